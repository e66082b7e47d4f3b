package vnet

import (
	"bytes"
	"net/netip"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// maxMerged is the longest segment that generic receive offload makes, bytes
// (GRO_LEGACY_MAX_SIZE in Linux's netdevice.h, less the headers).
const maxMerged = 65535 - wire.IPv6HeaderLen - maxTCPHeader

// gro merges consecutive data segments of one connection that arrive at one
// instant, by the rules of Linux's tcp_gro_receive: all but the last are
// full-sized, and headers differ in sequence number, FIN and PSH only.
type gro struct {
	held    bool
	src     netip.Addr
	first   int    // payload of the first segment
	header  []byte // ports, acknowledgement, window and options of the first
	segment tcp.Segment
	buffer  []byte // of segment.Payload, once there is a second
	merged  bool
}

// receiveGRO holds a segment back, merged with what is held already.
func (h *Host) receiveGRO(p *wire.IP, s *tcp.Segment) {
	g := &h.gro
	if g.takes(p, s) {
		if !g.merged {
			g.merged = true
			g.buffer = append(g.buffer[:0], g.segment.Payload...)
		}
		g.buffer = append(g.buffer, s.Payload...)
		g.segment.Payload = g.buffer
		g.segment.Flags |= s.Flags
	} else {
		h.releaseGRO()
		*g = gro{held: true, src: p.Src, first: len(s.Payload), header: p.Payload, segment: *s, buffer: g.buffer}
	}
	if len(s.Payload) < g.first || s.Flags&^tcp.ACK != 0 {
		h.releaseGRO()
	}
}

// takes reports whether s continues what is held.
func (g *gro) takes(p *wire.IP, s *tcp.Segment) bool {
	return g.held && g.src == p.Src && len(s.Payload) > 0 && len(s.Payload) <= g.first &&
		s.Seq == g.segment.Seq+uint32(len(g.segment.Payload)) &&
		len(g.segment.Payload)+len(s.Payload) <= maxMerged &&
		s.Flags&^(tcp.FIN|tcp.PSH) == tcp.ACK && g.sameHeader(p.Payload)
}

// sameHeader compares all of two TCP headers but for sequence number, flags
// and checksum.
func (g *gro) sameHeader(b []byte) bool {
	a, end := g.header, 4*int(b[12]>>4)
	return a[12] == b[12] && bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[8:12], b[8:12]) &&
		bytes.Equal(a[14:16], b[14:16]) && bytes.Equal(a[18:end], b[18:end])
}

// releaseGRO hands over what is held, if anything.
func (h *Host) releaseGRO() {
	if !h.gro.held {
		return
	}
	h.gro.held = false
	h.handleTCP(h.gro.src, &h.gro.segment)
	h.gro.header = nil
}
