package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The header of RFC 1071-style textbooks: its checksum is 0xb861.
const textbookIPv4 = "4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7"

func TestIPv4KnownAnswer(t *testing.T) {
	b := append(unhex(t, textbookIPv4), make([]byte, 95)...)
	p, err := ParseIP(b)
	if err != nil {
		t.Fatal(err)
	}
	if p.Src != netip.MustParseAddr("192.168.0.1") || p.Dst != netip.MustParseAddr("192.168.0.199") ||
		p.Protocol != ProtoUDP || p.HopLimit != 64 || p.TotalLen != 115 || p.HeaderLen != 20 || len(p.Payload) != 95 || p.Fragment() {
		t.Fatalf("parsed %+v", p)
	}
	if Fold(Sum(0, b[:20])) != 0 {
		t.Fatal("the textbook checksum does not verify")
	}
	built := AppendIP(nil, p)
	built = append(built, make([]byte, 95)...)
	Seal(built)
	if !bytes.Equal(built[:20], b[:20]) {
		t.Fatalf("built %x, want %x", built[:20], b[:20])
	}
}

// naiveSum is RFC 1071 section 4.1, word by word.
func naiveSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		sum += w
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestSumKnownAnswer(t *testing.T) {
	// RFC 1071 section 3: the sum of these is ddf2.
	b := unhex(t, "0001 f203 f4f5 f6f7")
	if got := Fold(Sum(0, b)); got != ^uint16(0xddf2) {
		t.Fatalf("checksum %04x, want %04x", got, ^uint16(0xddf2))
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 1501))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, want := Fold(Sum(0, b)), naiveSum(b)
		if got != want {
			t.Fatalf("%x: %04x, want %04x", b, got, want)
		}
	})
}

var families = []struct {
	name     string
	src, dst netip.Addr
	icmp     uint8
	header   int
}{
	{"ipv4", netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.1.1"), ProtoICMP, IPv4HeaderLen},
	{"ipv6", netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:1::1"), ProtoICMPv6, IPv6HeaderLen},
}

func TestRoundTrip(t *testing.T) {
	for _, fam := range families {
		t.Run(fam.name, func(t *testing.T) {
			udp := AppendIP(nil, IP{Src: fam.src, Dst: fam.dst, Protocol: ProtoUDP, HopLimit: 64, ID: 7, TrafficClass: 0xb8})
			udp = append(AppendUDP(udp, 1024, 5683), "hello"...)
			Seal(udp)
			p := mustParse(t, udp)
			if p.Src != fam.src || p.Dst != fam.dst || p.HopLimit != 64 || p.TrafficClass != 0xb8 || p.HeaderLen != fam.header {
				t.Fatalf("parsed %+v", p)
			}
			u, err := ParseUDP(p.Payload)
			if err != nil || u.SrcPort != 1024 || u.DstPort != 5683 || string(u.Payload) != "hello" {
				t.Fatalf("%+v, %v", u, err)
			}
			echo := AppendIP(nil, IP{Src: fam.src, Dst: fam.dst, Protocol: fam.icmp, HopLimit: 1})
			echo = AppendICMP(echo, ICMP{Type: 8, Rest: Echo(5, 9), Payload: []byte("odd")})
			Seal(echo)
			p = mustParse(t, echo)
			m, err := ParseICMP(p.Payload)
			if err != nil || m.Type != 8 || m.ID() != 5 || m.Seq() != 9 || string(m.Payload) != "odd" {
				t.Fatalf("%+v, %v", m, err)
			}
			for i := range echo {
				if p.Is6() && i < 8 && i != 4 && i != 5 {
					continue // IPv6's first words are covered by no checksum, but for the length
				}
				bad := bytes.Clone(echo)
				bad[i] ^= 0x10
				if q, err := ParseIP(bad); err == nil && Valid(bad, &q) {
					t.Fatalf("a flipped bit in byte %d goes unnoticed", i)
				}
			}
		})
	}
}

func mustParse(t *testing.T, b []byte) IP {
	t.Helper()
	p, err := ParseIP(b)
	if err != nil {
		t.Fatal(err)
	}
	if !Valid(b, &p) {
		t.Fatalf("checksum of %x", b)
	}
	return p
}

func TestUDPChecksum(t *testing.T) {
	// The data makes the sum come out as zero, which UDP sends as ffff.
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	packet := AppendUDP(AppendIP(nil, IP{Src: a, Dst: b, Protocol: ProtoUDP}), 1, 2)
	packet = append(packet, 0, 0)
	Seal(packet)
	copy(packet[28:], packet[26:28]) // put the checksum into the data: now the sum is zero
	Seal(packet)
	if got := packet[26:28]; !bytes.Equal(got, []byte{0xff, 0xff}) {
		t.Fatalf("checksum %x, want ffff", got)
	}
	mustParse(t, packet)
	packet[26], packet[27] = 0, 0
	mustParse(t, packet) // IPv4: no checksum

	c, d := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")
	packet = AppendUDP(AppendIP(nil, IP{Src: c, Dst: d, Protocol: ProtoUDP}), 1, 2)
	Seal(packet)
	packet[46], packet[47] = 0, 0
	p, err := ParseIP(packet)
	if err != nil || Valid(packet, &p) {
		t.Fatalf("IPv6 datagram without a checksum: valid, %v", err)
	}
}

func TestIPv6Extensions(t *testing.T) {
	// Hop-by-hop (8 bytes), destination options (16), fragment, then UDP.
	head := "6000 0000 0028 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
	ext := "3c00 0000 0000 0000" + "2c01 0000 0000 0000 0000 0000 0000 0000" + "1100 0001 0000002a"
	b := unhex(t, head+ext+"0001 0002 0008 0000")
	p, err := ParseIP(b)
	if err != nil || p.Protocol != ProtoUDP || p.HeaderLen != 72 || !p.Fragment() || p.ID != 42 || len(p.Payload) != 8 {
		t.Fatalf("%+v, %v", p, err)
	}
	for n := range b {
		if _, err := ParseIP(b[:n]); !errors.Is(err, ErrShort) {
			t.Fatalf("cut to %d bytes: %v, want ErrShort", n, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		packet string
		want   error
	}{
		"empty":             {"", ErrShort},
		"version 5":         {"55", ErrVersion},
		"short IPv4":        {"4500 0014", ErrShort},
		"IHL 4":             {"44" + textbookIPv4[2:], ErrHeader},
		"options cut":       {"46" + textbookIPv4[2:], ErrShort},
		"length below IHL":  {"4500 0013" + textbookIPv4[9:], ErrHeader},
		"length beyond end": {textbookIPv4, ErrShort},
		"IPv4-mapped":       {"6000 0000 0000 1140 00000000000000000000ffff0a000001 20010db8000000000000000000000002", ErrHeader},
		"extension beyond":  {"6000 0000 0008 0040 20010db8000000000000000000000001 20010db8000000000000000000000002 1101 000000000000", ErrHeader},
	} {
		if _, err := ParseIP(unhex(t, c.packet)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := ParseIPCut(unhex(t, textbookIPv4)); err != nil {
		t.Errorf("a cut capture: %v", err)
	}
	if _, err := ParseUDP(unhex(t, "0001 0002 0007 0000")); !errors.Is(err, ErrHeader) {
		t.Errorf("UDP length 7: %v", err)
	}
	if _, err := ParseUDP(unhex(t, "0001 0002 0009 0000")); !errors.Is(err, ErrShort) {
		t.Errorf("UDP length 9 of 8: %v", err)
	}
}

func TestTCPView(t *testing.T) {
	// A SYN as Linux sends it: MSS 1460, SACK permitted, timestamps, window scale 7.
	b := unhex(t, "9c40 01bb 00000001 00000000 a002 faf0 0000 0000 0204 05b4 0402 080a 0000 0001 0000 0000 0103 0307")
	s, err := ParseTCP(b)
	if err != nil {
		t.Fatal(err)
	}
	if s.SrcPort != 40000 || s.DstPort != 443 || s.Seq != 1 || s.Flags != SYN || s.Window != 64240 || s.HeaderLen != 40 || len(s.Payload) != 0 {
		t.Fatalf("parsed %+v", s)
	}
	var kinds []uint8
	for kind, data, rest, ok := NextTCPOption(s.Options); ok; kind, data, rest, ok = NextTCPOption(rest) {
		kinds = append(kinds, kind)
		if kind == OptMSS && !bytes.Equal(data, []byte{5, 0xb4}) {
			t.Errorf("MSS %x", data)
		}
	}
	if !bytes.Equal(kinds, []byte{OptMSS, OptSACKPermitted, OptTimestamps, OptWindowScale}) {
		t.Fatalf("options %v", kinds)
	}
	b[12] = 0x40
	if _, err := ParseTCP(b); !errors.Is(err, ErrHeader) {
		t.Errorf("data offset 4: %v", err)
	}
	b[12] = 0xf0
	if _, err := ParseTCP(b); !errors.Is(err, ErrShort) {
		t.Errorf("data offset 15: %v", err)
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	b := AppendIP(nil, IP{Src: families[1].src, Dst: families[1].dst, Protocol: ProtoUDP})
	b = AppendUDP(b, 1, 2)
	Seal(b)
	if n := testing.AllocsPerRun(100, func() {
		p, err := ParseIP(b)
		if err != nil || !Valid(b, &p) {
			t.Fatal(err)
		}
		if _, err := ParseUDP(p.Payload); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations per packet", n)
	}
}

// FuzzParse: no input panics, views lie within the packet, and a plain packet
// that was rebuilt from its parts is the same.
func FuzzParse(f *testing.F) {
	f.Add(append(unhex(f, textbookIPv4), make([]byte, 95)...))
	for _, fam := range families {
		b := AppendIP(nil, IP{Src: fam.src, Dst: fam.dst, Protocol: ProtoUDP, HopLimit: 64})
		b = append(AppendUDP(b, 1, 2), 3, 4)
		Seal(b)
		f.Add(b)
	}
	f.Add(unhex(f, "6000 0000 0008 2c40 20010db8000000000000000000000001 20010db8000000000000000000000002 1100 0001 0000002a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseIP(b)
		if err != nil {
			return
		}
		if p.HeaderLen+len(p.Payload) != p.TotalLen || p.TotalLen > len(b) {
			t.Fatalf("lengths of %+v", p)
		}
		Valid(b, &p)
		if u, err := ParseUDP(p.Payload); err == nil && UDPHeaderLen+len(u.Payload) != u.Length {
			t.Fatalf("lengths of %+v", u)
		}
		if s, err := ParseTCP(p.Payload); err == nil {
			for _, _, rest, ok := NextTCPOption(s.Options); ok; _, _, rest, ok = NextTCPOption(rest) {
			}
		}
		if m, err := ParseICMP(p.Payload); err == nil {
			if got := AppendICMP(nil, m); !bytes.Equal(got[4:], p.Payload[4:]) {
				t.Fatalf("ICMP %x became %x", p.Payload, got)
			}
		}
		if p.Fragment() || p.HeaderLen > IPv6HeaderLen || (!p.Is6() && p.HeaderLen > IPv4HeaderLen) {
			return
		}
		rebuilt := append(AppendIP(nil, p), p.Payload...)
		Seal(rebuilt)
		q, err := ParseIP(rebuilt)
		if err != nil || q.Src != p.Src || q.Dst != p.Dst || q.Protocol != p.Protocol || q.TotalLen != p.TotalLen {
			t.Fatalf("%+v became %+v, %v", p, q, err)
		}
		if at, ok := checksumAt(q.Protocol, q.Is6()); ok && len(q.Payload) >= at+2 && !Valid(rebuilt, &q) {
			t.Fatalf("sealed packet %x is not valid", rebuilt)
		}
	})
}
