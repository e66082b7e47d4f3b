package lwm2m

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet"
)

var material = sync.OnceValues(func() (*pki.Material, error) { return pki.New(DefaultOptions().PKI) })

// world is a device and its platform on a virtual network.
type world struct {
	t       *testing.T
	net     *vnet.Network
	env     *clients.Env
	keys    keyLog
	tap     *tap
	session *clients.Session
	opt     *Options
	cut     atomic.Bool // the device's datagrams are lost

	mu     sync.Mutex
	events []clients.Event
}

// tap adds up packets as the reference experiment counts them.
type tap struct {
	mu    sync.Mutex
	start time.Time
	log   []sent
}

type sent struct {
	at   time.Duration
	dir  netem.Direction
	size int // Ethernet frame
	ip   []byte
}

func (t *tap) Sent(now time.Time, _ uint64, dir netem.Direction, ip []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = append(t.log, sent{now.Sub(t.start), dir, len(ip) + 14, bytes.Clone(ip)})
}
func (t *tap) Delivered(time.Time, uint64)           {}
func (t *tap) Dropped(time.Time, uint64, netem.Drop) {}
func (t *tap) Radio(time.Time, netem.RadioState)     {}

// count is a sum over the packets of both directions.
type count struct{ up, down, packetsUp, packetsDown int }

func (c count) total() int   { return c.up + c.down }
func (c count) packets() int { return c.packetsUp + c.packetsDown }

// since adds up the packets from the n-th on.
func (t *tap) since(n int) (c count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.log[n:] {
		if s.dir == netem.Up {
			c.up += s.size
			c.packetsUp++
		} else {
			c.down += s.size
			c.packetsDown++
		}
	}
	return c
}

func (t *tap) mark() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.log)
}

// lan has next to no delay.
func lan() netem.Config { return shaped(0, time.Millisecond, 0) }

// narrowband is a slow link with a loss in percent.
func narrowband(loss float64) netem.Config { return shaped(26_000, 400*time.Millisecond, loss) }

func shaped(rate int, delay time.Duration, loss float64) netem.Config {
	d := netem.DirectionConfig{Rate: units.BitRate(rate), Delay: delay}
	d.Loss.Rate = units.Fraction(loss / 100)
	return netem.Config{MTU: 1500, Up: d, Down: d}
}

// inWorld runs f in a bubble of virtual time. Whatever outlives the session's
// Close fails the test.
func inWorld(t *testing.T, link netem.Config, opt Options, f func(*world)) {
	t.Helper()
	m, err := material()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, tap: &tap{start: time.Now()}}
		w.net = must(vnet.New(vnet.Config{
			Device:   vnet.HostConfig{Addr: netip.MustParseAddr("100.64.0.2")},
			Platform: vnet.HostConfig{Addr: netip.MustParseAddr("203.0.113.10")},
			Link:     link, Seed: 1, Tap: w.tap, Bearer: bearerOf(opt.Binding),
		}))
		w.env = &clients.Env{
			Device: cutHost{w.net.Device(), &w.cut}, Platform: w.net.Platform(), PKI: m, Seed: 1,
			Flash: new(flash.Memory), KeyLog: &w.keys, Record: w.record, Now: time.Now,
		}
		st := must(New(opt))
		w.session = must(clients.Start(t.Context(), st, w.env))
		w.opt = &opt
		if n := w.tap.mark(); n != 0 {
			t.Errorf("Start sent %d packets", n)
		}
		defer w.net.Close()
		defer w.close()
		f(w)
	})
}

// close ends the session, which must not send anything: a scenario's window
// may still be open.
func (w *world) close() {
	before := w.tap.mark()
	if err := w.session.Close(); err != nil {
		w.t.Errorf("Close: %v", err)
	}
	if c := w.tap.since(before); c.packets() > 0 && w.opt.Delivery != HTTPSPull && w.opt.Delivery != CoAPTCPPull {
		w.t.Errorf("Close sent %d packets", c.packets())
	}
}

// pass lets time pass, and everything come to rest that is due by then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) record(e clients.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// recorded lists the events of a kind.
func (w *world) recorded(kind string) (list []clients.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

func (w *world) check(what string, err error) {
	w.t.Helper()
	if err != nil {
		for _, e := range w.events {
			if e.Kind != clients.EventOTAData {
				w.t.Logf("%s: %s", e.Kind, e.Detail)
			}
		}
		w.t.Fatalf("%s: %v", what, err)
	}
}

func (w *world) connect() {
	w.t.Helper()
	w.check("connect", w.session.Connect(w.t.Context(), reading(0)))
}

// cost is what a step sends.
func (w *world) cost(step func()) count {
	w.t.Helper()
	n := w.tap.mark()
	step()
	return w.tap.since(n)
}

// device is the device in its present life, platform the other end, and known
// what its application knows of the device.
func (w *world) device() *device     { return w.session.Device.(*Device).life }
func (w *world) platform() *Platform { return w.session.Platform.(*Platform) }
func (w *world) known() facts        { return w.platform().client(w.env.DeviceName()).get() }

// sinceReport is the age of the last report.
func (w *world) sinceReport() time.Duration {
	obs := w.device().obs
	obs.mu.Lock()
	defer obs.mu.Unlock()
	return time.Since(obs.list[0].last)
}

// registrations counts those that the server has.
func (w *world) registrations() int {
	r := w.platform().registry
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byEndpoint)
}

// reading is of constant size in TLV.
func reading(n int) clients.Reading {
	return clients.Reading{
		Text:    fmt.Sprintf("thinlink reference reading %03d: all parts within their limits", n),
		Integer: int64(1_000_000 + n), Float: 20 + float64(n)/128, Boolean: true,
	}
}

// image is random, and another one for every size.
func image(size int) clients.Image {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), byte(size >> 8)}).Read(data)
	return clients.Image{Name: "firmware", Version: "2.0.0", Data: data, SHA256: sha256.Sum256(data)}
}

// cutHost loses what its packet sockets send while cut is set.
type cutHost struct {
	clients.Host
	cut *atomic.Bool
}

func (h cutHost) ListenPacket(network, address string) (net.PacketConn, error) {
	pc, err := h.Host.ListenPacket(network, address)
	return cutConn{pc, h.cut}, err
}

type cutConn struct {
	net.PacketConn
	cut *atomic.Bool
}

func (c cutConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.cut.Load() {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

// cutFor loses all uplink datagrams for a while.
func (w *world) cutFor(d time.Duration) {
	w.cut.Store(true)
	time.AfterFunc(d, func() { w.cut.Store(false) })
}

// keyLog is written by several sessions.
type keyLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (k *keyLog) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.Write(b)
}

func (k *keyLog) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.String()
}
