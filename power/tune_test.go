package power

import (
	"fmt"
	"testing"

	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/profiles"
)

func TestTune(t *testing.T) {
	get := func(profile, module string) (netem.Config, Model) {
		p, err := profiles.Load(profile)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Load(module)
		if err != nil {
			t.Fatal(err)
		}
		model, err := m.Model(p.Technology, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Netem(), model
	}
	for _, mod := range []string{"sara-n211", "bc95", "bg96", "m5311", "nrf9160"} {
		for _, pr := range []string{"nbiot-network-a", "nbiot-network-b", "nbiot-ce0-rai", "nbiot"} {
			for _, n := range []int{20, 512} {
				cfg, m := get(pr, mod)
				r, err := Echo(n, 2000).Run(cfg, &m, 1)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Printf("%-10s %-16s %3d B: %.3f J median, %.3f mean, %.1f s; %+v\n", mod, pr, n, r.EnergyJ.Median, r.EnergyJ.Mean, r.DurationS.Median, r.States)
			}
		}
	}
	for _, pr := range []string{"nbiot", "nbiot-ce1", "nbiot-ce2"} {
		cfg, m := get(pr, "3gpp")
		cfg.Radio.RRC.RAI = 1e6
		for _, n := range []int{50, 200} {
			r, err := Probe{Up: n + 65 , Down: 65, Count: 3000}.Run(cfg, &m, 1)
			if err != nil {
				t.Fatal(err)
			}
			per := 1.
			if n == 200 {
				per = 12
			}
			years := 18000 / (86400*15e-6 + per*r.EnergyJ.Mean) / 365.25
			fmt.Printf("%s %d: %.3f J, %.2f years %+v %.1fs\n", pr, n, r.EnergyJ.Mean, years, r.States, r.DurationS.Mean)
		}
	}
}
