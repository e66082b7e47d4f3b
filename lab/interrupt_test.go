package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
)

func TestParseInterruptions(t *testing.T) {
	for text, want := range map[string]string{
		"outage@50%:90s":               "[outage@50%:1m30s]",
		"outage@50%":                   "[outage@50%:1m30s]",
		"reboot@70%, rebind@2m":        "[reboot@70%:10s rebind@2m]",
		"platform@0s:1s":               "[platform@0s:1s]",
		"":                             "KIND@WHEN",
		"outage":                       "KIND@WHEN",
		"flood@50%":                    "outage, platform",
		"outage@150%":                  "when",
		"outage@0%":                    "above 0%",
		"outage@-5s":                   "when",
		"outage@x":                     "when",
		"outage@50%:":                  "duration",
		"outage@50%:0s":                "above 0s",
		"rebind@50%:3s":                "an instant",
		"outage@50%:90s,reboot@70%:2x": "duration",
	} {
		got, err := ParseInterruptions(text)
		if out := fmt.Sprint(got); err == nil && out != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v: want %s", text, got, err, want)
		}
	}
}

// A rebooter is a device that can be switched off and on.
type rebooter struct {
	clients.Device
	log func(string)
	err error
}

func (r rebooter) PowerOff()                     { r.log("off") }
func (r rebooter) PowerOn(context.Context) error { r.log("on"); return r.err }

func TestInterrupter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var log []string
		note := func(s string) { log = append(log, fmt.Sprintf("%v %s", time.Since(start), s)) }
		w := &World{
			Now:    time.Now,
			Record: func(e clients.Event) { note(e.Kind) },
			Faults: Faults{
				Outage:      func(d time.Duration) error { note("outage"); return nil },
				ResetDevice: func() { note("reset") },
			},
		}
		list, err := ParseInterruptions("reboot@70%:10s,outage@50%:90s")
		if err != nil {
			t.Fatal(err)
		}
		i := newInterrupter(w, clients.Join(rebooter{log: note}, nil, ""), list, 1000, start)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- i.run(ctx) }()
		synctest.Wait()
		for offset := int64(0); offset < 1000; offset += 100 {
			i.observe(clients.Event{Kind: clients.EventOTAData, Offset: offset, Length: 100})
			synctest.Wait()
			time.Sleep(100 * time.Second)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := "6m40s interrupt, 6m40s outage, 8m10s interrupt.end, " +
			"10m0s interrupt, 10m0s reset, 10m0s off, 10m0s outage, 10m10s on, 10m10s interrupt.end"
		if got := strings.Join(log, ", "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// What an engine or a stack cannot do is said, never left out in silence.
func TestInterrupterCannot(t *testing.T) {
	broken := errors.New("does not boot")
	for text, want := range map[string]string{
		"outage@0s": "cannot interrupt its link",
		"rebind@0s": "no address translation",
		"reboot@0s": "cannot reboot",
	} {
		synctest.Test(t, func(t *testing.T) {
			list, err := ParseInterruptions(text)
			if err != nil {
				t.Fatal(err)
			}
			w := &World{Now: time.Now, Record: func(clients.Event) {}}
			err = newInterrupter(w, clients.Join(rebooter{err: broken}, nil, ""), list, 1, time.Now()).run(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v: want %q", text, err, want)
			}
		})
	}
}
