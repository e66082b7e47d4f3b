//go:build interop

package interop

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	udpcoder "github.com/plgd-dev/go-coap/v3/udp/coder"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/lwm2m"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/tun"
	"github.com/thinlink/thinlink/profiles"
)

// The ends of a cell, and the address at which its device reaches platformAddr.
var (
	cellDevice   = netip.MustParseAddr("100.64.0.2")
	cellPlatform = netip.MustParseAddr("203.0.113.10")
	cellOutside  = netip.MustParseAddr("10.64.0.1")
)

// cell is profile nbiot at 5 % loss, in real time: engine tun's link.
type cell struct {
	*tun.Bed
	blocks blocks
}

// enterCell makes a cell, or skips where no TUN device is to be had.
func enterCell(t *testing.T) *cell {
	t.Helper()
	profile, err := profiles.Load("nbiot")
	must(t, err)
	must(t, profile.Set("link.loss", "5%"))
	c := &cell{blocks: blocks{Recorder: measure.NewRecorder(time.Now(), cellDevice), more: make(chan struct{})}}
	c.Bed, err = tun.NewBed(tun.Config{
		Device: tun.HostConfig{Addrs: []netip.Addr{cellDevice}}, Platform: tun.HostConfig{Addrs: []netip.Addr{cellPlatform}},
		Link: profile.Netem(), Seed: 1, Tap: &c.blocks,
		Gate: &tun.Gate{Outside: func(to netip.AddrPort) (netip.AddrPort, bool) {
			return netip.AddrPortFrom(platformAddr, to.Port()), to.Addr() == cellOutside
		}},
	})
	if lacks := (*tun.MissingError)(nil); errors.As(err, &lacks) && os.Getenv("THINLINK_REQUIRE_TUN") != "1" {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// leave ends the cell: what crossed it must be dissected without complaint, and
// no block may have been asked for or sent after a later one.
func (c *cell) leave(t *testing.T, peer string, opened time.Time) {
	t.Helper()
	now := time.Now()
	c.Halt()
	trace := c.blocks.Trace()
	trace.WindowStart, trace.WindowEnd = opened, now
	r := measure.Judge(trace)
	t.Logf("%s: %.1f s, %d packets, %d bytes up, %d down, %d lost, %d retransmitted", peer, now.Sub(opened).Seconds(),
		r.Up.Packets+r.Down.Packets, r.Up.Bytes, r.Down.Bytes, lost(trace), r.Retransmissions.CoAP)
	if r.OTA != nil {
		t.Logf("%s: %d image bytes received, %d of them wasted", peer, r.OTA.ReceivedBytes, r.OTA.WastedBytes)
	}
	if lost(trace) == 0 {
		t.Errorf("nothing was lost")
	}
	if !slices.IsSorted(c.blocks.offsets) {
		t.Errorf("an update that began anew: offsets %d", c.blocks.offsets)
	}
	(&capture{peer: peer, device: cellDevice, packets: trace.Packets}).dissect(t)
}

func lost(trace *measure.Trace) (n int) {
	for _, p := range trace.Packets {
		if p.Lost != "" {
			n++
		}
	}
	return n
}

// blocks is a tap that sees from which offsets requests ask for or bring blocks.
type blocks struct {
	*measure.Recorder

	mu      sync.Mutex
	offsets []int64
	more    chan struct{} // closed by the next one
}

// Sent implements netem.Tap.
func (b *blocks) Sent(now time.Time, id uint64, dir netem.Direction, ip []byte) {
	b.Recorder.Sent(now, id, dir, ip)
	offset, ok := blockOffset(ip)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offsets = append(b.offsets, offset)
	close(b.more)
	b.more = make(chan struct{})
}

// blockOffset reads the block option of a CoAP request (RFC 7959 section 2.2).
func blockOffset(packet []byte) (int64, bool) {
	ip, err := wire.ParseIP(packet)
	if err != nil || ip.Protocol != wire.ProtoUDP {
		return 0, false
	}
	udp, err := wire.ParseUDP(ip.Payload)
	if err != nil {
		return 0, false
	}
	m := message.Message{Options: make(message.Options, 0, 16)}
	if _, err := udpcoder.DefaultCoder.Decode(udp.Payload, &m); err != nil || m.Code == codes.Empty || m.Code >= codes.Created {
		return 0, false
	}
	for _, option := range []message.OptionID{message.Block1, message.Block2} {
		if v, err := m.Options.GetUint32(option); err == nil {
			return int64(v>>4) << (4 + v&7), true
		}
	}
	return 0, false
}

// await waits until a block at an offset, or beyond it, was asked for or sent.
func (b *blocks) await(t *testing.T, offset int64) {
	t.Helper()
	late := within(t, 3*patience)
	for {
		b.mu.Lock()
		reached, more := len(b.offsets) > 0 && b.offsets[len(b.offsets)-1] >= offset, b.more
		b.mu.Unlock()
		if reached {
			return
		}
		select {
		case <-more:
		case <-late.Done():
			t.Fatalf("no block at %d, only %d; events %v", offset, b.offsets, b.Trace().Events)
		}
	}
}

// What interrupts an update over NB-IoT: within CoAP's retransmissions, which
// give up after 45 s at the earliest (RFC 7252 section 4.8.2).
const (
	cellImage  = 16 << 10
	cellOutage = 15 * time.Second
)

// TestLeshanServerOverNBIoT has our device register with Leshan's server and
// pull an image from aiocoap's file server, through an outage and a reboot.
func TestLeshanServerOverNBIoT(t *testing.T) {
	t.Parallel()
	link := enterCell(t)
	creds := newCredentials(t, lwm2m.DefaultOptions().PKI)
	img := newImage(cellImage)
	serveFile(t, "firmware.bin", img.Data)
	l := startLeshan(t, creds)
	opt := lwm2m.DefaultOptions()
	opt.Security = lwm2m.NoSec
	env := deviceEnv(t, &capture{}, creds)
	env.Device, env.Site.Addr = link.Device(), cellOutside
	env.Record = func(e clients.Event) {
		link.blocks.Event(measure.Event{Time: time.Now(), Kind: e.Kind, Detail: e.Detail, Offset: e.Offset, Length: e.Length})
	}
	d, err := lwm2m.NewDevice(opt, env)
	must(t, err)
	t.Cleanup(func() { d.Close() })

	opened := time.Now()
	must(t, d.Expect(img))
	must(t, d.Connect(within(t, 2*patience), clients.Reading{}, nil))
	uri := fmt.Sprintf("coap://%s:%d/firmware.bin", cellOutside, filePort)
	l.wants(t, "CHANGED", "PUT", "/5/0/1", map[string]any{"id": 1, "value": uri})
	link.blocks.await(t, cellImage/3)
	must(t, link.Outage(cellOutage))
	link.blocks.await(t, 2*cellImage/3)
	d.PowerOff()
	time.Sleep(time.Second)
	must(t, d.PowerOn(within(t, 2*patience)))
	link.blocks.await(t, cellImage-1024)
	for deadline := time.Now().Add(patience); ; {
		state := value(l.wants(t, "CONTENT", "GET", "/5/0/3", nil))
		if state == strconv.Itoa(int(lwm2m.Downloaded)) {
			break
		}
		if state != strconv.Itoa(int(lwm2m.Downloading)) || time.Now().After(deadline) {
			t.Fatalf("firmware update state %s", state)
		}
	}
	link.leave(t, "our LwM2M device at Leshan's server over nbiot", opened)
}

// TestLeshanClientOverNBIoT has Leshan's client register with our server, which
// updates its firmware through an outage.
func TestLeshanClientOverNBIoT(t *testing.T) {
	t.Parallel()
	device := newJavaDevice(t)
	for _, delivery := range []string{lwm2m.CoAPPull, lwm2m.CoAPPush} {
		t.Run(delivery, func(t *testing.T) {
			t.Parallel()
			leshanOverNBIoT(t, device, delivery)
		})
	}
}

func leshanOverNBIoT(t *testing.T, device javaDevice, delivery string) {
	link := enterCell(t)
	opt := lwm2m.DefaultOptions()
	opt.Security, opt.Delivery = lwm2m.NoSec, delivery
	p, err := lwm2m.NewPlatform(opt, &clients.Env{
		Platform: link.Platform(), Seed: 1, Flash: new(flash.Memory), KeyLog: new(keyLog), Now: time.Now, Record: func(clients.Event) {},
	})
	must(t, err)
	t.Cleanup(func() { p.Close() })
	d := device.start(t, func(p *process) {
		inTempDir(t)(p)
		p.within = link.InDevice
	}, cellDevice, fmt.Sprintf("coap://%s:5683", cellPlatform))

	opened := time.Now()
	d.do(t, "connect")
	must(t, p.Connected(within(t, 2*patience), pki.DeviceName))
	img := newImage(cellImage)
	updated := make(chan error, 1)
	go func() { updated <- p.Update(within(t, 3*patience), pki.DeviceName, img) }()
	link.blocks.await(t, cellImage/2)
	must(t, link.Outage(cellOutage))
	must(t, <-updated)
	if got, want := d.do(t, "package"), fmt.Sprintf("%x", img.SHA256); got != want {
		t.Errorf("package of digest %s, want %s", got, want)
	}
	link.leave(t, "Leshan's client at our LwM2M server over nbiot, "+delivery, opened)
}

// filePort is where aiocoap's file server listens.
const filePort = 5690

// serveFile offers a file by aiocoap's file server.
func serveFile(t *testing.T, name string, data []byte) {
	t.Helper()
	interpreter := python(t, "AIOCOAP", "aiocoap")
	start(t, interpreter, "-m", "aiocoap.cli.fileserver", "--bind", netip.AddrPortFrom(platformAddr, filePort).String(), filepath.Dir(file(t, name, data)))
}
