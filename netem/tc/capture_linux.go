package tc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/thinlink/thinlink/internal/sniff"
	"github.com/thinlink/thinlink/netem"
)

// Capture is the tap on the router: every IP packet that comes in or goes out
// of its two devices, with the kernel's time stamps.
type Capture struct {
	*sniff.Sniffer
	mtu      int
	toDevice int            // index of the router's device towards the device
	headers  map[int][]byte // what the router writes before IP packets, by device

	came func(netem.Direction, []byte) // is told at once

	frames []frame // the sniffer's until it has ended
	err    error
}

func (b *Testbed) newCapture() (*Capture, error) {
	c := &Capture{mtu: b.cfg.Plan.MTU, toDevice: b.down.index, headers: map[int][]byte{
		b.down.index: slices.Concat(deviceMAC, toDeviceMAC), b.up.index: slices.Concat(platformMAC, toPlatformMAC),
	}}
	c.came = func(dir netem.Direction, ip []byte) {
		if d := b.driver.Load(); d != nil {
			d.packet(dir, ip)
		}
	}
	err := b.router.do(func() (err error) {
		c.Sniffer, err = sniff.Open(sniff.Link, c.take)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Capture) take(p sniff.Packet) {
	if len(p.Data) < ethernetHeader {
		return
	}
	header, ip := p.Data[:ethernetHeader], p.Data[ethernetHeader:]
	want := native.AppendUint16(slices.Clone(c.headers[p.Device]), p.Protocol)
	f := frame{at: p.At, towardsDevice: p.Device == c.toDevice, out: p.Out, data: slices.Clone(ip)}
	f.damaged = f.out && !bytes.Equal(header, want)
	if len(ip) > c.mtu && c.err == nil {
		c.err = fmt.Errorf("capture: a packet of %d bytes on a link with an MTU of %d: an offload is on (tso, gso, gro)", len(ip), c.mtu)
	}
	c.frames = append(c.frames, f)
	if !f.out && between(f.data) {
		c.came(f.direction(), f.data)
	}
}

// stop ends the capture; it may be called again.
func (c *Capture) stop() ([]frame, error) {
	err := c.Close()
	return c.frames, errors.Join(c.err, err)
}
