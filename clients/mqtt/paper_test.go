package mqtt

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

// tap counts packets as the reference experiment does: Ethernet frames of 14
// bytes more than the IP packet.
type tap struct {
	mu sync.Mutex
	counts
}

type counts struct {
	bytes [2]int   // by netem.Direction
	sizes []string // of each packet, with time and direction
}

func (t *tap) now() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

func (t *tap) Sent(now time.Time, _ uint64, dir netem.Direction, ip []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes[dir] += len(ip) + 14
	t.sizes = append(t.sizes, fmt.Sprintf("%s %v %d", now.Format("05.000"), dir, len(ip)+14))
}
func (*tap) Delivered(time.Time, uint64)           {}
func (*tap) Dropped(time.Time, uint64, netem.Drop) {}
func (*tap) Radio(time.Time, netem.RadioState)     {}

// rsaMaterial is that of the default options.
var rsaMaterial = sync.OnceValue(func() *pki.Material {
	m, err := pki.New(DefaultOptions().PKI)
	if err != nil {
		panic(err)
	}
	return m
})

// newSession starts a session over a modelled link; end closes all of it.
func newSession(tb testing.TB, link netem.Config, seed uint64, opt Options) (s *clients.Session, env *clients.Env, packets *tap, n *vnet.Network, end func()) {
	tb.Helper()
	stack, err := New(opt)
	if err != nil {
		tb.Fatal(err)
	}
	packets = new(tap)
	n, err = vnet.New(vnet.Config{
		Device:   vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.2"), GRO: true},
		Platform: vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.1"), GRO: true},
		Link:     link, Seed: seed, Tap: packets,
	})
	if err != nil {
		tb.Fatal(err)
	}
	env = &clients.Env{
		Device: n.Device(), Platform: n.Platform(), PKI: rsaMaterial(), Seed: seed,
		Flash: new(flash.Memory), KeyLog: io.Discard, Record: func(clients.Event) {}, Now: time.Now,
	}
	s, err = clients.Start(tb.Context(), stack, env)
	if err != nil {
		tb.Fatal(err)
	}
	return s, env, packets, n, func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
		n.Close()
	}
}

// overLink runs a session over a modelled link in virtual time.
func overLink(t *testing.T, link netem.Config, seed uint64, edit func(*Options), test func(ctx context.Context, s *clients.Session, tap *tap)) {
	t.Helper()
	opt := DefaultOptions()
	if edit != nil {
		edit(&opt)
	}
	rsaMaterial() // outside the bubble, once for all
	synctest.Test(t, func(t *testing.T) {
		s, _, packets, _, end := newSession(t, link, seed, opt)
		test(t.Context(), s, packets)
		end()
		time.Sleep(time.Hour) // paho may sleep before it connects again
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The reference experiment over a LAN: bytes and packets within a few percent of
// what was published, and the packets it tells of.
func TestReferenceExperiment(t *testing.T) {
	for _, c := range []struct {
		name    string
		edit    func(*Options)
		before  func(ctx context.Context, s *clients.Session) error // not measured
		steps   func(ctx context.Context, s *clients.Session) error
		window  time.Duration
		bytes   float64
		within  float64
		packets int     // 0: not published
		up      float64 // share of the bytes; 0: not published
	}{
		{
			name:   "connect",
			steps:  func(ctx context.Context, s *clients.Session) error { return s.Connect(ctx, sample) },
			window: 2 * time.Minute, bytes: 14907, within: .08, packets: 46, up: .40,
		},
		{
			name:   "steady",
			before: func(ctx context.Context, s *clients.Session) error { return s.Connect(ctx, sample) },
			steps:  func(context.Context, *clients.Session) error { return nil },
			window: 10 * time.Minute, bytes: 260, within: 0, packets: 3, up: .63,
		},
		{
			name:   "observe",
			before: func(ctx context.Context, s *clients.Session) error { return s.Connect(ctx, sample) },
			steps: func(ctx context.Context, s *clients.Session) error {
				for i := range int64(10) {
					r := sample
					r.Integer += i
					if err := s.Report(ctx, r); err != nil {
						return err
					}
					time.Sleep(30 * time.Second)
				}
				return nil
			},
			bytes: 15394, within: .05, packets: 30, up: .53,
		},
		{
			name:   "command",
			edit:   func(o *Options) { o.Topics = "plain" },
			before: func(ctx context.Context, s *clients.Session) error { return s.Connect(ctx, sample) },
			steps:  func(ctx context.Context, s *clients.Session) error { return s.Command(ctx, 42) },
			window: 2 * time.Minute, bytes: 217, within: .05, packets: 2, up: .30,
		},
		{
			name: "ota",
			steps: func(ctx context.Context, s *clients.Session) error {
				if err := s.Connect(ctx, sample); err != nil {
					return err
				}
				return s.Update(ctx, newImage(1<<20))
			},
			window: 5 * time.Minute, bytes: 1.11e6, within: .03,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			overLink(t, netem.Config{MTU: 1500}, 1, c.edit, func(ctx context.Context, s *clients.Session, tap *tap) {
				if c.before != nil {
					must(t, c.before(ctx, s))
					time.Sleep(time.Minute)
				}
				before := tap.now()
				start := time.Now()
				must(t, c.steps(ctx, s))
				time.Sleep(c.window - time.Since(start))
				after := tap.now()
				up := after.bytes[netem.Up] - before.bytes[netem.Up]
				down := after.bytes[netem.Down] - before.bytes[netem.Down]
				sizes := after.sizes[len(before.sizes):]
				packets := len(sizes)
				bytes, share := float64(up+down), float64(up)/float64(up+down)
				t.Logf("%d packets, %.0f bytes (%+.1f %%), %.0f %% up", packets, bytes, 100*(bytes/c.bytes-1), 100*share)
				if os.Getenv("PACKETS") != "" {
					for _, s := range sizes {
						t.Log(s)
					}
				}
				if math.Abs(bytes/c.bytes-1) > c.within {
					t.Errorf("%.0f bytes, want %.0f", bytes, c.bytes)
				}
				if c.packets > 0 && math.Abs(float64(packets)/float64(c.packets)-1) > c.within {
					t.Errorf("%d packets, want %d", packets, c.packets)
				}
				if c.up > 0 && math.Abs(share-c.up) > .03 {
					t.Errorf("%.0f %% up, want %.0f %%", 100*share, 100*c.up)
				}
			})
		})
	}
}
