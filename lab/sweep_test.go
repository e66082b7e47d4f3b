package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/internal/units"
)

// sweepFile writes a sweep file and gives its path.
func sweepFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sweep.yaml")
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func plan(t *testing.T, content string) *SweepPlan {
	t.Helper()
	sweep, err := LoadSweep(sweepFile(t, content))
	if err != nil {
		t.Fatal(err)
	}
	p, err := sweep.Plan("v1", "thinlink sweep")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const otaSweep = `version: 1
name: ota-test
title: a test
scenario: ota
profiles: [nbiot, ltem]
stacks: [mqtt-https, lwm2m-coap-pull]
seeds: 2
set:
  link.loss: [0%, 10%]
  image: 4KiB
  stack.mqtt.keep_alive: [60s, 10m]
interrupt:
  none: []
  outage: [outage@50%:90s]
  both: outage@50%:90s,reboot@70%
`

func TestSweepPlan(t *testing.T) {
	p := plan(t, otaSweep)
	// 2 profiles, 2 losses, 3 interruptions; 2 keep-alives of MQTT alone.
	if cells := 2 * 2 * 3 * (2 + 1); p.Cells() != cells || p.Len() != 2*cells || p.Info.Runs != 2*cells {
		t.Fatalf("%d cells and %d runs: want %d cells", p.Cells(), p.Len(), cells)
	}
	keys := map[string]bool{}
	for i := range p.Len() {
		run, key := p.run(i), p.key(i)
		if keys[key] {
			t.Errorf("run %d has the key of another", i)
		}
		keys[key] = true
		res := p.result(i, run.newResult())
		if loss := run.Link.Up.Loss.Rate.String(); res.Set["link.loss"] != loss || run.Link.Down.Loss != run.Link.Up.Loss {
			t.Errorf("run %d: loss %s up, %v down, set %v", i, loss, run.Link.Down.Loss, res.Set)
		}
		if run.Scenario.Image != 4<<10 || res.Set["image"] != "4KiB" {
			t.Errorf("run %d: image %v", i, run.Scenario.Image)
		}
		keepAlive, mqtt := res.Set["stack.mqtt.keep_alive"]
		if mqtt != (run.Stack.Protocol == "mqtt") || mqtt && units.FormatDuration(run.Stack.MQTT.KeepAlive) != map[string]string{"60s": "1m", "10m": "10m"}[keepAlive] {
			t.Errorf("run %d, %s: keep-alive %v, set %v", i, run.Stack.Name, run.Stack.MQTT.KeepAlive, res.Set)
		}
		if events := fmt.Sprint(run.Interrupts); events != map[string]string{
			"": "[]", "outage": "[outage@50%:1m30s]", "both": "[outage@50%:1m30s reboot@70%:10s]",
		}[res.Interrupt] {
			t.Errorf("run %d: %q is %s", i, res.Interrupt, events)
		}
		if want := p.Info.Seeds[i/p.Cells()]; run.Seed != want || res.Seed != want {
			t.Errorf("run %d: seed %d: want %d, one seed of all cells after the other", i, run.Seed, want)
		}
	}
	if got := fmt.Sprint(p.Info.Axes); got != "[{link.loss [0% 10%]} {image [4KiB]} {stack.mqtt.keep_alive [60s 10m]}]" {
		t.Errorf("axes %s: want the order of the file", got)
	}
	if got := fmt.Sprint(p.Info.Disruptions); got != "[{none []} {outage [outage@50%:1m30s]} {both [outage@50%:1m30s reboot@70%:10s]}]" {
		t.Errorf("interruptions %s: want the order of the file", got)
	}
}

func TestSweepDefaults(t *testing.T) {
	p := plan(t, "version: 1\nname: x\nscenario: connect\nprofiles: [nbiot]\n")
	if got := fmt.Sprint(p.Info.Stacks, p.Info.Engines, p.Info.Seeds, p.Len()); got != "[mqtt lwm2m] [sim] [1] 2" {
		t.Errorf("got %s", got)
	}
	p = plan(t, "version: 1\nname: x\nscenario: connect\nprofiles: [nbiot]\nstacks: [mqtt]\nseeds: [7, 3]\n")
	if got := fmt.Sprint(p.Info.Seeds, p.run(0).Seed); got != "[7 3] 7" {
		t.Errorf("got %s", got)
	}
}

// TestSweepKeys: a key changes with what influences the result and with
// nothing else.
func TestSweepKeys(t *testing.T) {
	base := plan(t, otaSweep).key(0)
	for from, to := range map[string]string{
		"title: a test": "title: another", "name: ota-test": "name: other", "seeds: 2": "seeds: [1, 9]",
		"[nbiot, ltem]": "[nbiot, nbiot-ce1]", "[0%, 10%]": "[0%, 5%]", "both:": "together:",
	} {
		if plan(t, strings.Replace(otaSweep, from, to, 1)).key(0) != base {
			t.Errorf("%s for %s changes the key of the first run", to, from)
		}
	}
	for from, to := range map[string]string{
		"[nbiot, ltem]": "[nbiot-ce1, ltem]", "[mqtt-https,": "[mqtt,", "4KiB": "5KiB", "[0%, 10%]": "[1%, 10%]",
		"[60s,": "[61s,", "seeds: 2": "seeds: [2]", "none: []": "none: [outage@10%]", "scenario: ota": "scenario: ./longer.yaml",
	} {
		path := sweepFile(t, strings.Replace(otaSweep, from, to, 1))
		longer := "version: 1\nname: ota\nkind: ota\nimage: 4KiB\nwindow: 5m\nlimit: 72h\n"
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "longer.yaml"), []byte(longer), 0o666); err != nil {
			t.Fatal(err)
		}
		sweep, err := LoadSweep(path)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := sweep.Plan("v1", ""); err != nil {
			t.Error(err)
		} else if p.key(0) == base {
			t.Errorf("%s for %s leaves the key as it was", to, from)
		}
	}
}

// TestSweepFiles: paths are relative to the sweep file, and a profile's
// content counts, not its name.
func TestSweepFiles(t *testing.T) {
	path := sweepFile(t, "version: 1\nname: x\nscenario: connect\nprofiles: [./mine.yaml]\nstacks: [mqtt]\n")
	key := func(profile string) string {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "mine.yaml"), []byte(profile), 0o666); err != nil {
			t.Fatal(err)
		}
		sweep, err := LoadSweep(path)
		if err != nil {
			t.Fatal(err)
		}
		p, err := sweep.Plan("", "")
		if err != nil {
			t.Fatal(err)
		}
		return p.key(0)
	}
	base := key("version: 1\nname: mine\nextends: nbiot\n")
	if key("version: 1\nname: mine\ntitle: other words\nextends: nbiot # and a comment\n") != base {
		t.Error("words change the key")
	}
	if key("version: 1\nname: mine\nextends: nbiot\nlink: {delay: 41ms}\n") == base {
		t.Error("the profile's content does not change the key")
	}
}

func TestSweepMistakes(t *testing.T) {
	head := "version: 1\nname: x\nscenario: ota\nprofiles: [nbiot]\nstacks: [mqtt-https]\n"
	for content, want := range map[string]string{
		"a: [":                                          "sweep.yaml:1:1: not YAML",
		"version: 1\n":                                  "missing",
		head + "seeds: 0\n":                             `sweep.yaml:6:8: field seeds: "0": want a whole number from 1 to 10000`,
		head + "seeds: []\n":                            "sweep.yaml:6:8: field seeds: empty",
		head + "seeds: [1, 1]\n":                        "sweep.yaml:6:12: field seeds.list.1: 1 is given twice",
		head + "seeds: [-1]\n":                          "sweep.yaml:6:9: field seeds.0: \"-1\"",
		head + "sets: {}\n":                             `unknown field "sets"; did you mean "set"?`,
		head + "set: {image: []}\n":                     "sweep.yaml:6:14: field set.image: empty",
		head + "set: {image: 0}\n":                      `sweep.yaml:6:14: field set.image: 0: field image: "0"`,
		head + "set: {imag: 1KiB}\n":                    `did you mean "image"?`,
		head + "set: {link.loss: [1%, 2000%]}\n":        `sweep.yaml:6:23: field set.link.loss: 2000%`,
		head + "set: {link.loss: [1%, 1%]}\n":           "1% is given twice",
		head + "set: {reports: 3}\n":                    "sweep.yaml:6:16: field set.reports: 3: reports belongs to scenario [observe]",
		head + "set: {stack.lwm2m.x: 3}\n":              "sweep.yaml:6:22: field set.stack.lwm2m.x: no stack of this sweep reads it",
		head + "set: {link.loss.p: 1%}\n":               "sweep.yaml:6:6: field set: together [link.loss.p=1%]",
		head + "interrupt: {x: 'outage@3s,flood@3s'}\n": "sweep.yaml:6:16: field interrupt.x.text: --interrupt \"flood@3s\"",
		head + "interrupt: {x: [flood@3s]}\n":           "sweep.yaml:6:17: field interrupt.x.0: \"flood@3s\": want an interruption",
		strings.Replace(head, "ota", "connect", 1) + "interrupt: {x: [outage@3s]}\n":                       "interruptions belong to scenario ota",
		strings.Replace(head, "[nbiot]", "[nbiott]", 1):                                                    `sweep.yaml:4:12: field profiles.0: unknown profile "nbiott"; did you mean "nbiot"?`,
		strings.Replace(head, "[nbiot]", "[]", 1):                                                          "sweep.yaml:4:11: field profiles: empty",
		strings.Replace(head, "[nbiot]", "[nbiot, nbiot]", 1):                                              "sweep.yaml:4:19: field profiles.1: nbiot is given twice",
		strings.Replace(head, "[nbiot]", "[./none.yaml]", 1):                                               "sweep.yaml:4:12: field profiles.0: ",
		strings.Replace(head, "mqtt-https", "udp", 1):                                                      "sweep.yaml:5:10: field stacks.0: scenario ota, stack udp",
		strings.Replace(head, "mqtt-https", "mqtt-htps", 1):                                                `did you mean "mqtt-https"?`,
		strings.Replace(head, "scenario: ota", "scenario: otta", 1):                                        "sweep.yaml:3:11: field scenario: unknown scenario",
		head + "seeds: 10000\nset: {image: [" + manySizes(101) + "]}\n":                                    "101 cells or more with 10000 seeds each: want at most 100000 cells and 1000000 runs",
		head + "seeds: 1\nset: {image: [" + manySizes(1000) + "], link.loss: [" + manyLosses(101) + "]}\n": "101000 cells or more",
	} {
		sweep, err := LoadSweep(sweepFile(t, content))
		if err == nil {
			_, err = sweep.Plan("", "")
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s\ngot  %v\nwant %s", content, err, want)
		}
	}
}

func manySizes(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(i + 1)
	}
	return strings.Join(list, ", ")
}

func manyLosses(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%.1f%%", float64(i)/10)
	}
	return strings.Join(list, ", ")
}

// Two profiles of one name would give results that nobody can tell apart.
func TestSweepSameNames(t *testing.T) {
	path := sweepFile(t, "version: 1\nname: x\nscenario: connect\nprofiles: [nbiot, ./mine.yaml]\nstacks: [mqtt]\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "mine.yaml"), []byte("version: 1\nname: nbiot\nextends: ltem\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	sweep, err := LoadSweep(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sweep.Plan("", ""); err == nil || !strings.Contains(err.Error(), "several cells of profile nbiot") {
		t.Errorf("got %v", err)
	}
}
