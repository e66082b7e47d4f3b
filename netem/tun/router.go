package tun

import (
	"os"
	"slices"
	"sync"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// A port is one host's network device: a Read or Write is one IP packet.
type port interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	Close() error
}

// A router carries packets between two ports over a link, in real time.
type router struct {
	ports [2]port // by the direction of the packets that come in
	// admit, if not nil, says whether a packet that has come up may go on; it
	// may keep the packet and write it later.
	admit func(ip []byte) bool

	mu     sync.Mutex
	link   *netem.Link
	timer  *time.Timer
	closed bool
	tasks  sync.WaitGroup
}

func newRouter(link *netem.Link, device, platform port, admit func([]byte) bool) *router {
	r := &router{ports: [2]port{netem.Up: device, netem.Down: platform}, admit: admit, link: link}
	r.timer = time.AfterFunc(time.Hour, r.fire)
	r.mu.Lock()
	r.rearm()
	r.mu.Unlock()
	r.tasks.Go(func() { r.read(netem.Up) })
	r.tasks.Go(func() { r.read(netem.Down) })
	return r
}

// read hands a port's packets to the link until the port is closed.
func (r *router) read(dir netem.Direction) {
	buf := make([]byte, 1<<16)
	for {
		n, err := r.ports[dir].Read(buf)
		if err != nil {
			return
		}
		if !crosses(buf[:n]) {
			continue
		}
		packet := slices.Clone(buf[:n])
		r.mu.Lock()
		if !r.closed {
			now := time.Now()
			r.link.Advance(now, r.deliver)
			r.link.Send(now, dir, packet)
			r.rearm()
		}
		r.mu.Unlock()
	}
}

// crosses reports whether a packet is one host's for the other: not multicast,
// as router solicitations and group reports are.
func crosses(packet []byte) bool {
	p, err := wire.ParseIPCut(packet)
	return err == nil && !p.Dst.IsMulticast() && !p.Dst.IsLinkLocalUnicast() && p.Dst.AsSlice()[0] != 255
}

// fire is the timer's function.
func (r *router) fire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.link.Advance(time.Now(), r.deliver)
		r.rearm()
	}
}

func (r *router) rearm() {
	if at, ok := r.link.Next(); ok {
		r.timer.Reset(time.Until(at))
	} else {
		r.timer.Stop()
	}
}

// deliver writes a packet to the port on the other side. What that refuses is
// lost there, as on any host.
func (r *router) deliver(dir netem.Direction, packet []byte) {
	if dir == netem.Up && r.admit != nil && !r.admit(packet) {
		return
	}
	_, _ = r.ports[1-dir].Write(packet)
}

// outage cuts the link from now on.
func (r *router) outage(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		now := time.Now()
		r.link.Advance(now, r.deliver)
		r.link.Outage(now, d)
		r.rearm()
	}
}

// close stops the link; its tap sees the run complete.
func (r *router) close() {
	r.mu.Lock()
	if !r.closed {
		r.link.Advance(time.Now(), r.deliver)
	}
	r.closed = true
	r.timer.Stop()
	r.mu.Unlock()
	for _, p := range r.ports {
		_ = p.Close()
	}
	r.tasks.Wait()
}

var _ port = (*os.File)(nil)
