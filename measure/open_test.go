package measure

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/thinlink/thinlink/internal/wire"
)

// encapsulations wrap an IP packet as capture tools do.
var encapsulations = map[string]struct {
	link layers.LinkType
	wrap func(ip []byte) []byte
}{
	"raw":      {layers.LinkTypeRaw, func(ip []byte) []byte { return ip }},
	"raw BSD":  {layers.LinkType(12), func(ip []byte) []byte { return ip }},
	"loopback": {layers.LinkTypeNull, func(ip []byte) []byte { return append([]byte{2, 0, 0, 0}, ip...) }},
	"Ethernet": {layers.LinkTypeEthernet, func(ip []byte) []byte {
		b := append(make([]byte, 12), etherOf(ip)...)
		b = append(b, ip...)
		for len(b) < 60 { // padding of short frames
			b = append(b, 0)
		}
		return b
	}},
	"VLAN": {layers.LinkTypeEthernet, func(ip []byte) []byte {
		b := append(make([]byte, 12), 0x81, 0, 0, 42)
		return append(append(b, etherOf(ip)...), ip...)
	}},
	"QinQ": {layers.LinkTypeEthernet, func(ip []byte) []byte {
		b := append(make([]byte, 12), 0x88, 0xa8, 0, 42, 0x81, 0, 0, 43)
		return append(append(b, etherOf(ip)...), ip...)
	}},
	"SLL":  {layers.LinkTypeLinuxSLL, func(ip []byte) []byte { return append(append(make([]byte, 14), etherOf(ip)...), ip...) }},
	"SLL2": {layers.LinkType(276), func(ip []byte) []byte { return append(append(etherOf(ip), make([]byte, 18)...), ip...) }},
}

func etherOf(ip []byte) []byte {
	if ip[0]>>4 == 6 {
		return []byte{0x86, 0xdd}
	}
	return []byte{8, 0}
}

// pcapOf writes frames as a pcap file, by another implementation.
func pcapOf(t testing.TB, link layers.LinkType, snap int, trace *Trace, wrap func([]byte) []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(65536, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range trace.Packets {
		frame := wrap(p.Data)
		ci := gopacket.CaptureInfo{Timestamp: p.Time, Length: len(frame), CaptureLength: min(len(frame), snap)}
		if err := w.WritePacket(ci, frame[:ci.CaptureLength]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestForeignCaptures: every encapsulation gives the counts of the original.
func TestForeignCaptures(t *testing.T) {
	original := download(t, 20_000)
	original.FatesKnown = false
	want := Judge(original)
	for name, e := range encapsulations {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.pcap")
			if err := os.WriteFile(file, pcapOf(t, e.link, 1<<16, original, e.wrap), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := Open(file, OpenOptions{KeyLog: original.KeyLog})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Warnings) != 1 || got.Warnings[0] != "device address not given: took 100.64.0.2" {
				t.Errorf("warnings %q", got.Warnings)
			}
			r := sum(t, got)
			if r.Up != want.Up || r.Down != want.Down || r.Layers != want.Layers || r.Retransmissions != want.Retransmissions {
				t.Errorf("got %+v, want %+v", r, want)
			}
		})
	}
}

func TestMicrosecondsBigEndian(t *testing.T) {
	original := download(t, 100)
	b := pcapOf(t, layers.LinkTypeRaw, 1<<16, original, func(b []byte) []byte { return b })
	// Turn the file round: header and record headers to big endian, nanoseconds
	// to microseconds.
	swap := func(b []byte, n int) { binary.BigEndian.PutUint32(b[n:], binary.LittleEndian.Uint32(b[n:])) }
	binary.BigEndian.PutUint32(b, 0xa1b2c3d4)
	binary.BigEndian.PutUint16(b[4:], 2)
	binary.BigEndian.PutUint16(b[6:], 4)
	swap(b, 16)
	swap(b, 20)
	for off := 24; off < len(b); {
		n := int(binary.LittleEndian.Uint32(b[off+8:]))
		binary.LittleEndian.PutUint32(b[off+4:], binary.LittleEndian.Uint32(b[off+4:])/1000)
		for i := 0; i < 16; i += 4 {
			swap(b, off+i)
		}
		off += 16 + n
	}
	got, err := ParseCapture(b, OpenOptions{Device: deviceIP})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range got.Packets {
		if !p.Time.Equal(original.Packets[i].Time) { // whole milliseconds
			t.Fatalf("packet %d at %v, want %v", i, p.Time, original.Packets[i].Time)
		}
	}
	if len(got.Packets) != len(original.Packets) || len(got.Warnings) != 0 {
		t.Errorf("%d packets, warnings %q", len(got.Packets), got.Warnings)
	}
}

// TestSnapLength: lengths are those on the wire, whatever was captured.
func TestSnapLength(t *testing.T) {
	original := download(t, 20_000)
	want := Judge(original)
	e := encapsulations["Ethernet"]
	got, err := ParseCapture(pcapOf(t, e.link, 96, original, e.wrap), OpenOptions{Device: deviceIP, KeyLog: original.KeyLog})
	if err != nil {
		t.Fatal(err)
	}
	r := sum(t, got)
	if r.Up != want.Up || r.Down != want.Down || r.Layers.IP != want.Layers.IP || r.Layers.Transport != want.Layers.Transport {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "cut by the capture's snapshot length") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

func TestOpenWarnings(t *testing.T) {
	p := newTape(8883)
	p.handshake()
	p.platform = netip.MustParseAddr("192.0.2.77")
	p.udp(up, make([]byte, 1600)) // larger than a frame
	p.device = netip.MustParseAddr("192.0.2.78")
	p.udp(up, nil) // between others
	trace := p.done()
	frames := 0
	wrap := func(ip []byte) []byte {
		frames++
		b := encapsulations["Ethernet"].wrap(ip)
		switch frames {
		case 2:
			b[12], b[13] = 8, 6 // ARP
		case 3:
			b[14] = 0x41 // IPv4 with an impossible header length
		}
		return b
	}
	b := pcapOf(t, layers.LinkTypeEthernet, 1<<16, trace, wrap)
	got, err := ParseCapture(b[:len(b)-3], OpenOptions{Device: deviceIP})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(got.Warnings, "\n")
	for _, want := range []string{"ends in the middle", "1 frames are not IP", "1 IP packets have a damaged", "1 packets are larger than Ethernet"} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning %q among %q", want, got.Warnings)
		}
	}
	if len(got.Packets) != 2 {
		t.Errorf("%d packets, want 2", len(got.Packets))
	}
	got, err = ParseCapture(b, OpenOptions{Device: deviceIP})
	if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), "1 packets are neither from nor to 100.64.0.2") {
		t.Errorf("%v, warnings %q", err, got.Warnings)
	}
}

func TestGuessDevice(t *testing.T) {
	p := newTape(443)
	p.device = netip.MustParseAddr("198.51.100.5") // a busy public client
	for range 20 {
		p.udp(up, nil)
		p.udp(down, nil)
	}
	p.device, p.port = netip.MustParseAddr("192.168.1.7"), 5684
	p.udp(down, nil) // only ever receives
	p.ip(up, wire.ProtoICMP, func(b []byte) []byte { return wire.AppendICMP(b, wire.ICMP{Type: 8}) })
	p.platform = netip.MustParseAddr("239.255.255.250")
	p.udp(down, nil)
	got, err := ParseCapture(pcapOf(t, layers.LinkTypeRaw, 1<<16, p.done(), func(b []byte) []byte { return b }), OpenOptions{})
	if err != nil || got.Device != p.device {
		t.Errorf("%v, %v; want %v", got.Device, err, p.device)
	}
}

// TestGarbage: what is no capture is refused, and the message says why.
func TestGarbage(t *testing.T) {
	pcap := pcapOf(t, layers.LinkTypeRaw, 1<<16, download(t, 100), func(b []byte) []byte { return b })
	var ng bytes.Buffer
	if err := WritePCAPNG(&ng, download(t, 100), About{}); err != nil {
		t.Fatal(err)
	}
	edit := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	section := int(binary.LittleEndian.Uint32(ng.Bytes()[4:]))
	for name, tt := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":           {nil, "neither a pcap nor a pcapng"},
		"text":            {[]byte("profile: nbiot\n"), "neither a pcap nor a pcapng"},
		"gzip":            {[]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"), "neither a pcap nor a pcapng"},
		"header only":     {pcap[:24], "no IP packets among 0 frames"},
		"half a header":   {pcap[:20], "header is cut off"},
		"pcap version":    {edit(pcap, 4, 9), "version 9.4"},
		"captured length": {edit(pcap, 24+8, 0xff, 0xff, 0xff, 0xff), "packet 1 at offset 24"},
		"link type":       {edit(pcap, 20, 200), "no IP packets among"},
		"byte order":      {edit(ng.Bytes(), 8, 1, 2, 3, 4), "no byte-order magic"},
		"section version": {edit(ng.Bytes(), 12, 7), "version 7"},
		"block length":    {edit(ng.Bytes(), section+4, 3), "length 3"},
		"trailer":         {edit(ng.Bytes(), section-4, 1), "differ"},
	} {
		_, err := ParseCapture(tt.b, OpenOptions{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing"), OpenOptions{}); err == nil {
		t.Error("no error for a missing file")
	}
	if _, err := ParseCapture(pcap, OpenOptions{Device: platform6}); err == nil || !strings.Contains(err.Error(), "no packets from or to 2001:db8::10") {
		t.Errorf("wrong device: %v", err)
	}
}

// FuzzParseCapture: no file makes us panic, and whatever is read adds up.
func FuzzParseCapture(f *testing.F) {
	trace := download(f, 3000)
	for _, e := range encapsulations {
		f.Add(pcapOf(f, e.link, 200, trace, e.wrap))
	}
	var ng bytes.Buffer
	if err := WritePCAPNG(&ng, trace, About{}); err != nil {
		f.Fatal(err)
	}
	f.Add(ng.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		trace, err := ParseCapture(b, OpenOptions{})
		if err == nil {
			checkSum(t, trace)
		}
	})
}
