package lwm2m

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// traffic counts what the device's datagram sockets carry, as the connectivity
// statistics object wants it: IP packets, headers included, while it is told to.
// Downloads over TCP are not counted.
type traffic struct {
	header int64 // bytes of IP and UDP
	now    func() time.Time

	mu                     sync.Mutex
	on                     bool
	until                  time.Time // zero: until stopped
	sent, received         int64     // bytes
	messages, total, large int64
	period                 time.Duration
}

func newTraffic(header int64, now func() time.Time) *traffic {
	return &traffic{header: header, now: now}
}

// headers are the bytes of IP and UDP in front of a datagram of a host.
func headers(binding string, addr netip.Addr) int64 {
	const udp, ipv4, ipv6 = 8, 20, 40 // RFC 768, RFC 791, RFC 8200
	switch {
	case binding == BindingNonIP, binding == BindingSMS:
		return 0
	case addr.Is6():
		return ipv6 + udp
	}
	return ipv4 + udp
}

// count notes one datagram of a payload of n bytes.
func (t *traffic) count(n int, into *int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on || n < 0 || !t.until.IsZero() && t.now().After(t.until) {
		return
	}
	size := int64(n) + t.header
	*into += size
	t.messages++
	t.total += size
	t.large = max(t.large, size)
}

// instance is the connectivity statistics object (appendix E.8).
func (t *traffic) instance() *tree.Instance {
	return &tree.Instance{
		Values: model.Values{
			objects.StatisticsSent: nil, objects.StatisticsReceived: nil, objects.StatisticsMaxMessage: nil,
			objects.StatisticsAverageMessage: nil, objects.StatisticsPeriod: int64(0),
		},
		Refresh: t.refresh,
		OnWrite: t.write,
		Execute: map[uint16]func(string) error{
			objects.StatisticsStart: func(string) error { t.start(); return nil },
			objects.StatisticsStop:  func(string) error { t.stop(); return nil },
		},
	}
}

func (t *traffic) refresh(v model.Values) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v[objects.StatisticsSent], v[objects.StatisticsReceived] = t.sent/1000, t.received/1000
	v[objects.StatisticsMaxMessage], v[objects.StatisticsAverageMessage] = t.large, t.total/max(t.messages, 1)
}

func (t *traffic) write(v model.Values) (model.Values, error) {
	seconds, ok := v[objects.StatisticsPeriod].(int64)
	if ok && (seconds < 0 || seconds > 1<<31) {
		return nil, model.Refuse(codes.BadRequest, "collection period out of range")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ok {
		t.period = time.Duration(seconds) * time.Second
	}
	return v, nil
}

// start counts from zero, for the collection period if there is one.
func (t *traffic) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent, t.received, t.messages, t.total, t.large = 0, 0, 0, 0, 0
	t.on, t.until = true, time.Time{}
	if t.period > 0 {
		t.until = t.now().Add(t.period)
	}
}

// stop counts no more; what was counted stays.
func (t *traffic) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on = false
}

// packets counts what a socket carries.
func (t *traffic) packets(pc net.PacketConn) net.PacketConn { return countedPackets{pc, t} }

type countedPackets struct {
	net.PacketConn
	traffic *traffic
}

func (c countedPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(b)
	if err == nil {
		c.traffic.count(n, &c.traffic.received)
	}
	return n, from, err
}

func (c countedPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := c.PacketConn.WriteTo(b, to)
	if err == nil {
		c.traffic.count(n, &c.traffic.sent)
	}
	return n, err
}

// datagrams counts what a connected socket carries.
func (t *traffic) datagrams(conn net.Conn) net.Conn { return countedConn{conn, t} }

type countedConn struct {
	net.Conn
	traffic *traffic
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		c.traffic.count(n, &c.traffic.received)
	}
	return n, err
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil {
		c.traffic.count(n, &c.traffic.sent)
	}
	return n, err
}
