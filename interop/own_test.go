//go:build interop

package interop

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m"
)

// agent is a device that obeys commands: a peer's, or ours.
type agent interface {
	do(t *testing.T, command string) (result string)
	// maker is its manufacturer.
	maker() string
	// update has somebody bring it an image, and holds what it got to that.
	update(t *testing.T, img clients.Image, bring func() error)
}

func (s *script) maker() string { return "Leshan" }

func (s *script) update(t *testing.T, img clients.Image, bring func() error) {
	t.Helper()
	must(t, bring())
	if got, want := s.do(t, "package"), hex.EncodeToString(img.SHA256[:]); got != want {
		t.Errorf("package of digest %s, want %s", got, want)
	}
}

// ownDevice is our LwM2M device, which obeys what Leshan's client does.
type ownDevice struct {
	*lwm2m.Device
	c        *capture
	commands chan string
}

// newOwnDevice makes one that updates its registration every four seconds.
func newOwnDevice(t *testing.T, c *capture, creds *credentials, edit func(*lwm2m.Options)) *ownDevice {
	t.Helper()
	return newOwnDeviceFor(t, platformAddr, c, creds, edit)
}

// newOwnDeviceFor makes one whose server has another address.
func newOwnDeviceFor(t *testing.T, server netip.Addr, c *capture, creds *credentials, edit func(*lwm2m.Options)) *ownDevice {
	t.Helper()
	d := &ownDevice{c: c, commands: make(chan string, 16)}
	opt := lwm2m.DefaultOptions()
	opt.UpdateInterval = 4 * time.Second
	edit(&opt)
	env := deviceEnv(t, c, creds)
	env.Site.Addr = server
	env.Record = func(e clients.Event) {
		if e.Kind == clients.EventCommand {
			d.commands <- e.Detail
		}
	}
	var err error
	d.Device, err = lwm2m.NewDevice(opt, env)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func (d *ownDevice) do(t *testing.T, command string) (result string) {
	t.Helper()
	verb, arg, _ := strings.Cut(command, " ")
	switch verb {
	case "connect":
		must(t, d.Connect(within(t, patience), reading(1), nil))
	case "report":
		n, err := strconv.ParseInt(arg, 10, 64)
		must(t, err)
		must(t, d.Report(within(t, patience), reading(n), nil))
	case "command":
		select {
		case result = <-d.commands:
		case <-time.After(patience):
			t.Error("no command")
		}
	case "updated":
		d.c.hear(t, 1)
	default:
		t.Fatalf("our device cannot %s", command)
	}
	return result
}

func (d *ownDevice) maker() string { return "thinlink" }

// update relies on the device, which compares digests before it says that it
// has the package.
func (d *ownDevice) update(t *testing.T, img clients.Image, bring func() error) {
	t.Helper()
	must(t, d.Expect(img))
	must(t, bring())
}

// reading is what the devices of the reference experiment measure.
func reading(n int64) clients.Reading {
	return clients.Reading{
		Text: "An observed object: a text of some sixty characters, no more.", Integer: n, Float: 20.5 + float64(n), Boolean: n%2 == 0,
	}
}

// arrives has a device report and our platform take it.
func arrives(t *testing.T, p clients.Platform, device string, d agent, n int64) {
	t.Helper()
	arrived, err := p.Await(device, reading(n))
	must(t, err)
	d.do(t, fmt.Sprint("report ", n))
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Errorf("reading %d did not arrive", n)
	}
}

// commanded is what the device was written.
func commanded(t *testing.T, d agent, want int64) {
	t.Helper()
	if got := d.do(t, "command"); got != fmt.Sprint(want) {
		t.Errorf("the device was written %q, want %d", got, want)
	}
}

// TestOwnLwM2M has our LwM2M device at our server, exchange by exchange what
// Leshan's client does there and what our device does at Leshan's server.
func TestOwnLwM2M(t *testing.T) {
	creds := newCredentials(t, lwm2m.DefaultOptions().PKI)
	c := record(t, "our LwM2M device at our LwM2M server")
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			p := lwm2mPlatform(t, c, creds, s.options())
			manageByOurs(t, c, p, newOwnDevice(t, c, creds, s.edit), s)
			must(t, p.Close())
		})
	}
	t.Run("operations", func(t *testing.T) {
		operateByOurs(t, c, creds, func(t *testing.T) agent {
			return newOwnDevice(t, c, creds, func(o *lwm2m.Options) { o.Security, o.UpdateInterval = lwm2m.NoSec, 0 })
		})
	})
	for _, security := range bootstrapped {
		bootstrapByOurs(t, c, creds, security, func(t *testing.T) agent {
			return newOwnDevice(t, c, creds, func(o *lwm2m.Options) { withAccount(o, security) })
		})
	}
}
