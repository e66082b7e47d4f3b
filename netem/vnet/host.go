package vnet

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// firstPort begins the ephemeral ports (RFC 6335 section 6).
const firstPort = 49152

// hopLimit of all packets (RFC 1700).
const hopLimit = 64

// Host is one end of the link. Its methods are safe for concurrent use.
type Host struct {
	net  *Network
	dir  netem.Direction // of the packets it sends
	cfg  HostConfig
	addr netip.Addr
	peer *Host

	lastPort  uint16
	packetID  uint16 // IPv4's Identification
	conns     map[connKey]*tcpConn
	tcpPorts  map[uint16]int // connections and listeners by local port
	listeners map[uint16]*listener
	udp       map[uint16]*packetConn
	raw       []*packetConn // ICMP
	open      []dropper     // all of the above in the order they were made
	segment   tcp.Segment   // scratch of receiveTCP
	gro       gro
}

// dropper is a socket that can end without a word to its peer.
type dropper interface{ drop() }

func newHost(n *Network, dir netem.Direction, cfg HostConfig) *Host {
	if cfg.TCP == (tcp.Config{}) {
		cfg.TCP = tcp.Linux()
	}
	if cfg.Backlog <= 0 {
		cfg.Backlog = defaultBacklog
	}
	return &Host{
		net: n, dir: dir, cfg: cfg, addr: cfg.Addr,
		lastPort:  firstPort - 1,
		conns:     map[connKey]*tcpConn{},
		tcpPorts:  map[uint16]int{},
		listeners: map[uint16]*listener{},
		udp:       map[uint16]*packetConn{},
	}
}

// Addr is the host's own address.
func (h *Host) Addr() netip.Addr { return h.addr }

// DialContext connects to a numeric address over "tcp" or "udp" (also with 4
// or 6). Connections have CloseRead, CloseWrite and, for statistics, Stats;
// UDP ones are net.PacketConns too. Errors are those of package net; an
// address that the other host does not have is ENETUNREACH.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	proto, remote, err := h.parse(network, address)
	if err == nil && proto != wire.ProtoTCP && proto != wire.ProtoUDP {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, opError("dial", network, nil, nil, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", network, nil, netAddr(proto, remote), err)
	}
	h.net.lock()
	defer h.net.unlock()
	if proto == wire.ProtoTCP {
		return h.dialTCP(ctx, network, remote)
	}
	return h.dialUDP(network, remote)
}

// Listen accepts connections over "tcp", "tcp4" or "tcp6". Port 0 chooses one.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	proto, local, err := h.parse(network, address)
	if err == nil && proto != wire.ProtoTCP {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, opError("listen", network, nil, nil, err)
	}
	h.net.lock()
	defer h.net.unlock()
	return h.listenTCP(network, local)
}

// ListenPacket opens a socket for datagrams over "udp", "udp4" or "udp6", or
// for ICMP messages over "ip4:icmp" or "ip6:ipv6-icmp". As with package net,
// the application makes the checksum of ICMP for IPv4, the host that of
// ICMPv6.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	proto, local, err := h.parse(network, address)
	if err == nil && proto == wire.ProtoTCP {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, opError("listen", network, nil, nil, err)
	}
	h.net.lock()
	defer h.net.unlock()
	return h.listenPacket(network, proto, local)
}

// Reset drops all sockets of the host at once, as a reboot does: no packet
// tells the peer. Whoever waits on one gets net.ErrClosed. The host can be
// used again at once; its next connections have new ports.
func (h *Host) Reset() {
	h.net.lock()
	defer h.net.unlock()
	h.reset()
}

func (h *Host) reset() {
	for _, s := range slices.Clone(h.open) {
		s.drop()
	}
}

func (h *Host) parse(network, address string) (uint8, netip.AddrPort, error) {
	proto, err := h.protocol(network)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	ap, err := h.address(proto, address)
	return proto, ap, err
}

// bind checks an address to listen on and chooses a port if it has none.
func (h *Host) bind(proto uint8, local netip.AddrPort) (netip.AddrPort, error) {
	if h.net.closed {
		return local, syscall.ENETDOWN
	}
	if local.Addr() != h.addr && !local.Addr().IsUnspecified() {
		return local, syscall.EADDRNOTAVAIL
	}
	port := local.Port()
	switch {
	case proto != wire.ProtoTCP && proto != wire.ProtoUDP:
	case port == 0:
		if port = h.ephemeral(proto); port == 0 {
			return local, syscall.EADDRINUSE
		}
	case proto == wire.ProtoTCP && h.listeners[port] != nil, proto == wire.ProtoUDP && h.udp[port] != nil:
		return local, syscall.EADDRINUSE
	}
	return netip.AddrPortFrom(h.addr, port), nil
}

// ephemeral returns the next free port, 0 if there is none. Ports go up one by
// one, so that they depend on nothing but the order of calls.
func (h *Host) ephemeral(proto uint8) uint16 {
	for range 1<<16 - firstPort {
		if h.lastPort++; h.lastPort < firstPort {
			h.lastPort = firstPort
		}
		if proto == wire.ProtoTCP && h.tcpPorts[h.lastPort] == 0 || proto == wire.ProtoUDP && h.udp[h.lastPort] == nil {
			return h.lastPort
		}
	}
	return 0
}

// reaches reports whether packets to a arrive anywhere.
func (h *Host) reaches(a netip.Addr) bool {
	return a == h.peer.addr || h.dir == netem.Down && h.net.nat != nil && h.net.nat.reachable(a)
}

func (h *Host) remove(s dropper) {
	if i := slices.Index(h.open, s); i >= 0 {
		h.open = slices.Delete(h.open, i, i+1)
	}
}

// begin starts a packet to dst with room for n bytes behind the IP header.
func (h *Host) begin(dst netip.Addr, proto uint8, n int) []byte {
	header := wire.IPv4HeaderLen
	if h.addr.Is6() {
		header = wire.IPv6HeaderLen
	}
	h.packetID++
	return wire.AppendIP(make([]byte, 0, header+n), wire.IP{
		Src: h.addr, Dst: dst, Protocol: proto, HopLimit: hopLimit, ID: uint32(h.packetID),
	})
}

// send finishes a packet and lets it go.
func (h *Host) send(packet []byte) {
	wire.Seal(packet)
	h.net.send(h, packet)
}

// receive takes a packet from the link. What is malformed or for somebody else
// is dropped, as on any host.
func (h *Host) receive(packet []byte) {
	p, err := wire.ParseIP(packet)
	if err != nil || p.Dst != h.addr || p.Fragment() || !usable(p.Src) || !wire.Valid(packet, &p) {
		return
	}
	if p.Protocol == wire.ProtoTCP {
		h.receiveTCP(&p)
		return
	}
	h.releaseGRO()
	switch p.Protocol {
	case wire.ProtoUDP:
		h.receiveUDP(packet, &p)
	case h.icmpProtocol():
		h.receiveICMP(&p)
	}
}
