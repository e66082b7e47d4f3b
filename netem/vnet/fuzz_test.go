package vnet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// FuzzReceive throws packets at a host with sockets of every kind: it must not
// panic, and must answer with valid packets only. Each packet is preceded by
// its length and a byte: bit 0 repairs its lengths and checksums, so that it
// gets past them, bit 1 makes it one for the connection.
func FuzzReceive(f *testing.F) {
	for _, six := range []bool{false, true} {
		tap := &recorder{}
		cfg := config(perfect(), six)
		cfg.Tap = tap
		seedTraffic(f, cfg)
		var all []byte
		for _, p := range tap.packets {
			one := append([]byte{byte(len(p.ip) >> 8), byte(len(p.ip)), 1}, p.ip...)
			f.Add(one)
			one[2] |= 2
			all = append(all, one...)
		}
		f.Add(all)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, six := range []bool{false, true} {
			fuzzHost(t, b, six)
		}
	})
}

// seedTraffic leaves packets of every kind at the tap.
func seedTraffic(f *testing.F, cfg Config) {
	n := must(New(cfg))
	defer n.Close()
	l := must(n.Platform().Listen("tcp", ":80"))
	dev := must(n.Device().DialContext(f.Context(), "tcp", at(n.Platform(), "80")))
	plat := must(l.Accept())
	must(plat.Write(make([]byte, 3000)))
	must(dev.Read(make([]byte, 3000)))
	u := must(n.Device().DialContext(f.Context(), "udp", at(n.Platform(), "7")))
	must(u.Write([]byte("x")))
	u.Read(nil)
	dev.Close()
	plat.Close()
}

func fuzzHost(t *testing.T, b []byte, six bool) {
	tap := &recorder{}
	cfg := config(perfect(), six)
	cfg.Tap, cfg.Device.GRO = tap, true
	n := must(New(cfg))
	defer n.Close()
	h := n.Device()
	must(h.Listen("tcp", ":80"))
	must(n.Platform().Listen("tcp", ":9"))
	must(h.ListenPacket("udp", ":7"))
	must(h.ListenPacket(map[bool]string{false: "ip4:icmp", true: "ip6:ipv6-icmp"}[six], ""))
	must(h.DialContext(t.Context(), "udp", at(n.Platform(), "7")))
	n.lock()
	defer n.mu.Unlock()
	fuzzConn(h, fuzzPort)
	n.advance(n.now.Add(10 * time.Millisecond)) // the handshake
	for range 64 {
		if len(b) < 3 {
			break
		}
		size, mode := int(binary.BigEndian.Uint16(b)), b[2]
		b = b[3:]
		packet := bytes.Clone(b[:min(size, len(b))])
		b = b[len(packet):]
		repair(h, packet, mode)
		h.receive(packet)
		if mode&4 != 0 {
			h.releaseGRO()
			n.flush()
			n.advance(n.now.Add(time.Duration(mode) * time.Millisecond))
		}
	}
	h.releaseGRO()
	n.flush()
	n.advance(n.now.Add(time.Minute))
	if len(tap.packets) > 2000 {
		t.Fatalf("%d packets within a minute, last %x", len(tap.packets), tap.packets[len(tap.packets)-1].ip)
	}
	for _, p := range tap.packets {
		ip, err := wire.ParseIP(p.ip)
		if err != nil || !wire.Valid(p.ip, &ip) || len(p.ip) > n.mtu {
			t.Fatalf("a host sent %x: %v", p.ip, err)
		}
	}
}

// fuzzPort is the device's end of the connection that the packets are for.
const fuzzPort = 1000

// fuzzConn makes a connection to the platform's port 9 without waiting for it.
func fuzzConn(h *Host, port uint16) {
	n := h.net
	remote := netip.AddrPortFrom(h.peer.addr, 9)
	h.newConn("tcp", connKey{port, remote}, tcp.Dial(h.cfg.TCP, n.now, port, 9, n.iss.Uint32(), n.mtu, h.addr.Is6()))
	n.flush()
}

// FuzzNAT: translating never panics, and what comes through both ways is valid.
func FuzzNAT(f *testing.F) {
	for _, six := range []bool{false, true} {
		tap := &recorder{}
		cfg := config(perfect(), six)
		cfg.Tap = tap
		seedTraffic(f, cfg)
		for _, p := range tap.packets {
			f.Add(p.ip)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, six := range []bool{false, true} {
			n := must(New(config(perfect(), six)))
			n.Rebind()
			out := n.nat.outbound(b)
			in := bytes.Clone(b)
			if out != nil { // send it back
				p, err := wire.ParseIP(out)
				if err != nil || p.Src != n.nat.public {
					t.Fatalf("%x became %x", b, out)
				}
				in = bytes.Clone(out)
				end{p.Dst, portOf(&p, false)}.writeTo(in, &p, true)
				end{p.Src, portOf(&p, true)}.writeTo(in, &p, false)
			}
			in = n.nat.inbound(in)
			if p, err := wire.ParseIP(in); in != nil && (err != nil || p.Dst != n.device.addr) {
				t.Fatalf("%x became %x", b, in)
			}
			n.Close()
		}
	})
}

// repair makes a packet pass the host's checks.
func repair(h *Host, b []byte, mode byte) {
	p, err := wire.ParseIPCut(b)
	if err != nil || mode&1 == 0 || p.HeaderLen != plainHeader(&p) || p.Is6() != h.addr.Is6() {
		return
	}
	end{addr: h.addr}.writeTo(b, &wire.IP{Src: p.Src}, false)
	if mode&2 != 0 && hasPorts(p.Protocol) && len(p.Payload) >= 4 {
		end{h.peer.addr, 9}.writeTo(b, &p, true)
		binary.BigEndian.PutUint16(p.Payload[2:], fuzzPort)
	}
	wire.Seal(b)
}
