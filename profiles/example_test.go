package profiles_test

import (
	"fmt"

	"github.com/thinlink/thinlink/profiles"
)

// A user's own profile says what differs from a built-in one.
func ExampleParse() {
	p, err := profiles.Parse("cellar.yaml", []byte(`
version: 1
name: cellar
title: our meters in the cellar
extends: nbiot-ce1
link:
  loss: 2% # measured in March
  down: {delay: 300ms}
radio:
  psm: {t3324: 10s, t3412: 1d}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := p.Set("link.up.loss", "5%"); err != nil {
		fmt.Println(err)
		return
	}
	link := p.Netem()
	from, _ := p.Provenance("link.down.loss.rate")
	fmt.Println(link.Up.Loss.Rate, link.Down.Loss.Rate, link.Down.Delay, link.Radio.PSM.T3412)
	fmt.Println(from.Source)
	// Output:
	// 5% 2% 300ms 24h0m0s
	// measured in March
}

// Every mistake says where it is and what is allowed.
func ExampleParse_mistakes() {
	_, err := profiles.Parse("cellar.yaml", []byte(`
version: 1
name: cellar
link:
  rate: -5kbit
  dealy: 1s
`))
	fmt.Println(err)
	// Output:
	// cellar.yaml:5:9: field link.rate: "-5kbit": want a bit rate of at least 0bit (for example 26kbit)
	// cellar.yaml:6:3: unknown field "link.dealy"; did you mean "delay"?
}
