package capfile

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// block makes a pcapng block.
func block(order binary.AppendByteOrder, typ uint32, body []byte) []byte {
	body = append(bytes.Clone(body), make([]byte, padding(len(body)))...)
	b := order.AppendUint32(nil, typ)
	b = order.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return order.AppendUint32(b, uint32(len(body)+12))
}

func words(order binary.AppendByteOrder, v ...uint32) []byte {
	var b []byte
	for _, w := range v {
		b = order.AppendUint32(b, w)
	}
	return b
}

func option(order binary.AppendByteOrder, code uint16, v string) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, code), uint16(len(v)))
	return append(append(b, v...), make([]byte, padding(len(v)))...)
}

func section(order binary.AppendByteOrder) []byte {
	b := order.AppendUint32(nil, byteOrderMagic)
	b = order.AppendUint16(order.AppendUint16(b, 1), 0)
	return block(order, blockSection, append(b, bytes.Repeat([]byte{0xff}, 8)...))
}

// TestTimeStamps: resolutions and offsets of draft-ietf-opsawg-pcapng section
// 4.2.
func TestTimeStamps(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, tt := range []struct {
			resolution string
			offset     int64
			stamp      uint64
			want       time.Time
		}{
			{"", 0, 1_500_000, time.Unix(1, 500_000_000)},
			{"\x09", 0, 1_500_000_001, time.Unix(1, 500_000_001)},
			{"\x03", 10, 1_500, time.Unix(11, 500_000_000)},
			{"\x00", -10, 15, time.Unix(5, 0)},
			{"\x0c", 0, 1_500_000_000_999, time.Unix(1, 500_000_000)},
			{"\x8a", 0, 1536, time.Unix(1, 500_000_000)},
			{"\xff", 7, 1, time.Unix(7, 0)}, // finer than we can tell
		} {
			idb := append(order.AppendUint16(nil, LinkRaw), 0, 0, 0, 0, 0, 0)
			if tt.resolution != "" {
				idb = append(idb, option(order, optResolution, tt.resolution)...)
			}
			if tt.offset != 0 {
				idb = append(idb, option(order, optOffset, string(order.AppendUint64(nil, uint64(tt.offset))))...)
			}
			file := append(section(order), block(order, blockInterface, idb)...)
			file = append(file, block(order, blockEnhanced, append(words(order, 0, uint32(tt.stamp>>32), uint32(tt.stamp), 3, 3), 0x45, 1, 2))...)
			f, err := Parse(file)
			if err != nil || len(f.Packets) != 1 || !f.Packets[0].Time.Equal(tt.want) {
				t.Errorf("%v, resolution %q: %+v, %v; want %v", order, tt.resolution, f, err, tt.want)
			}
		}
	}
}

// TestBlocks: all kinds of packet blocks, secrets, sections with interfaces of
// their own, and blocks to skip.
func TestBlocks(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	file := section(le)
	file = append(file, block(le, 0x0bad, []byte("unknown"))...)
	file = append(file, block(le, blockSecrets, append(words(le, secretsTLS, 3), "one"...))...)
	file = append(file, block(le, blockSecrets, append(words(le, 0x57474b4c, 3), "wg!"...))...)
	file = append(file, block(le, blockSecrets, append(words(le, secretsTLS, 3), "two"...))...)
	file = append(file, block(le, blockInterface, append([]byte{1, 0, 0, 0, 4, 0, 0, 0}, option(le, optInterfaceName, "eth0")...))...)
	file = append(file, block(le, blockSimple, append(words(le, 9), "abcd"...))...) // cut to the snapshot length
	file = append(file, block(le, blockPacket, append([]byte{0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}, "xy"...))...)
	file = append(file, section(be)...)
	file = append(file, block(be, blockInterface, append([]byte{0, 101, 0, 0, 0, 0, 0, 0}, option(be, optInterfaceName, "tun0")...))...)
	file = append(file, block(be, blockEnhanced, append(words(be, 0, 0, 1_000_000, 5, 7), "hello\x00\x00\x00"+string(option(be, optCustomBinary, "\x00\x00\x7e\xd9own"))...))...)
	f, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.KeyLog); got != "one\ntwo\n" {
		t.Errorf("key log %q", got)
	}
	want := []Packet{
		{Interface: "eth0", LinkType: 1, Data: []byte("abcd"), Length: 9},
		{Interface: "eth0", LinkType: 1, Data: []byte("xy"), Length: 3, Time: time.Unix(0, 1000)},
		{Interface: "tun0", LinkType: 101, Data: []byte("hello"), Length: 7, Time: time.Unix(1, 0), Custom: []byte("own")},
	}
	for i, p := range f.Packets {
		w := want[i]
		if p.Interface != w.Interface || p.LinkType != w.LinkType || !bytes.Equal(p.Data, w.Data) || p.Length != w.Length || !p.Time.Equal(w.Time) || !bytes.Equal(p.Custom, w.Custom) {
			t.Errorf("packet %d: %+v, want %+v", i, p, w)
		}
	}
	if len(f.Packets) != len(want) || f.Truncated {
		t.Errorf("%d packets, truncated %v", len(f.Packets), f.Truncated)
	}
	for n := range file { // every prefix is read as far as it goes, or refused
		if f, err := Parse(file[:n]); err == nil && n < len(file) && n > len(section(le)) && !f.Truncated && len(f.Packets) == len(want) {
			t.Errorf("the first %d bytes pass for the whole", n)
		}
	}
}

func TestDamagedBlocks(t *testing.T) {
	le := binary.LittleEndian
	head := append(section(le), block(le, blockInterface, []byte{101, 0, 0, 0, 0, 0, 0, 0})...)
	for name, tt := range map[string]struct {
		block []byte
		want  string
	}{
		"short":             {block(le, blockEnhanced, words(le, 0, 0)), "shorter than its type needs"},
		"no such interface": {block(le, blockEnhanced, words(le, 1, 0, 0, 0, 0)), "interface 1 was not described"},
		"captured too much": {block(le, blockEnhanced, words(le, 0, 0, 0, 8, 8, 0)), "captured length 8"},
		"longer than life":  {block(le, blockEnhanced, words(le, 0, 0, 0, 4, 2, 0)), "captured length 4, length 2"},
		"secrets":           {block(le, blockSecrets, words(le, secretsTLS, 9)), "shorter than its type needs"},
	} {
		if _, err := Parse(append(bytes.Clone(head), tt.block...)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, Section{Application: "app", Comment: "comment", Custom: "{}"})
	w.Interface("a", "", LinkRaw)
	w.Interface("b", "second", LinkRaw)
	w.Secrets([]byte("key"))
	at := time.Unix(1_700_000_000, 123_456_789)
	for i := range 500 { // more than is buffered
		w.Packet(i%2, at.Add(time.Duration(i)), bytes.Repeat([]byte{byte(i)}, i), []string{"x", "yz"}[:i%3], []byte("c")[:i%2:1])
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f, err := Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if f.Application != "app" || f.Comment != "comment" || f.Custom != "{}" || string(f.KeyLog) != "key\n" || len(f.Packets) != 500 || f.Truncated {
		t.Errorf("%+v", f)
	}
	for i, p := range f.Packets {
		if p.Interface != "ab"[i%2:i%2+1] || !p.Time.Equal(at.Add(time.Duration(i))) || len(p.Data) != i || p.Length != i || string(p.Custom) != "c"[:i%2] {
			t.Fatalf("packet %d: %+v", i, p)
		}
	}
}

func TestIP(t *testing.T) {
	for _, tt := range []struct {
		name  string
		link  uint16
		frame string
		ok    bool
	}{
		{"too short for Ethernet", 1, "123456789012\x08", false},
		{"ARP", 1, "123456789012\x08\x06\x00", false},
		{"IPv4 that is not", 1, "123456789012\x08\x00\x50", false},
		{"cut VLAN tag", 1, "123456789012\x81\x00\x00", false},
		{"IPv6", 1, "123456789012\x86\xdd\x60", true},
		{"empty", 101, "", false},
		{"other version", 101, "\x50", false},
		{"short cooked", 276, "\x08\x00", false},
		{"short loopback", 0, "\x02", false},
		{"USB", 220, "\x45", false},
	} {
		if _, ok := IP(tt.link, []byte(tt.frame)); ok != tt.ok {
			t.Errorf("%s: %v", tt.name, ok)
		}
		if tt.ok && !KnownLink(tt.link) {
			t.Errorf("%s: link type %d is not known", tt.name, tt.link)
		}
	}
}

// FuzzParse: no file makes us panic or keep more than it holds.
func FuzzParse(f *testing.F) {
	var b bytes.Buffer
	w := NewWriter(&b, Section{Application: "app", Custom: "{}"})
	w.Interface("a", "", LinkRaw)
	w.Secrets([]byte("key"))
	w.Packet(0, time.Unix(1, 2), []byte("data"), []string{"comment"}, []byte("fate"))
	if err := w.Flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(append(section(binary.BigEndian), block(binary.BigEndian, blockInterface, append(make([]byte, 8), option(binary.BigEndian, optResolution, "\x93")...))...))
	f.Add(append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0}, make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			return
		}
		sum := 0
		for _, p := range file.Packets {
			sum += len(p.Data)
			if len(p.Data) > p.Length {
				t.Errorf("captured %d of %d bytes", len(p.Data), p.Length)
			}
			IP(p.LinkType, p.Data)
		}
		if sum > len(b) {
			t.Errorf("%d bytes of packets in %d", sum, len(b))
		}
	})
}
