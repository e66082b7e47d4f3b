package tcp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// A SYN and an ACK with SACK blocks, byte for byte as Linux sends them.
var wireForms = []struct {
	seg tcp.Segment
	hex string
}{
	{
		tcp.Segment{SrcPort: 50000, DstPort: 80, Seq: 0x01020304, Flags: tcp.SYN, Window: 64582, MSS: 1318,
			SACKPermitted: true, Timestamps: true, TSVal: 1000, WindowScale: 7},
		"c350 0050 01020304 00000000 a002 fc46 0000 0000" +
			"02040526 0402 080a 000003e8 00000000 01 030307",
	},
	{
		tcp.Segment{SrcPort: 80, DstPort: 50000, Seq: 1, Ack: 2, Flags: tcp.ACK | tcp.PSH, Window: 500, Timestamps: true,
			TSVal: 7, TSEcr: 8, WindowScale: -1, SACK: []tcp.SACKBlock{{Start: 10, End: 20}, {Start: 30, End: 40}}, Payload: []byte("hi")},
		"0050 c350 00000001 00000002 d018 01f4 0000 0000" +
			"0101 080a 00000007 00000008 0101 0512 0000000a 00000014 0000001e 00000028 6869",
	},
	{
		tcp.Segment{SrcPort: 1, DstPort: 2, Flags: tcp.SYN | tcp.ACK, MSS: 536, SACKPermitted: true, WindowScale: 0},
		"0001 0002 00000000 00000000 8012 0000 0000 0000 02040218 0101 0402 01 030300",
	},
	{
		tcp.Segment{SrcPort: 1, DstPort: 2, Flags: tcp.RST, WindowScale: -1},
		"0001 0002 00000000 00000000 5004 0000 0000 0000",
	},
}

func TestWireForm(t *testing.T) {
	for _, c := range wireForms {
		want, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got := c.seg.AppendTo([]byte{0xEE})
		if !bytes.Equal(got[1:], want) {
			t.Errorf("%v: % x\nwant % x", c.seg.Flags, got[1:], want)
		}
		back, err := tcp.Parse(want)
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(c.seg, back, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	}
}

func TestParseErrors(t *testing.T) {
	ok := wireForms[0].seg.AppendTo(nil)
	short := bytes.Clone(ok)
	short[12] = 4 << 4
	long := bytes.Clone(ok)
	long[12] = 15 << 4
	option := bytes.Clone(ok)
	option[21] = 60
	zero := bytes.Clone(ok)
	zero[21] = 0
	for name, b := range map[string][]byte{"empty": nil, "short header": ok[:19], "offset below 5": short,
		"offset beyond the end": long, "option beyond the header": option, "option of length 0": zero} {
		if _, err := tcp.Parse(b); !errors.Is(err, tcp.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Options that are unknown or of the wrong length are ignored, a scale above
// 14 means 14, one outside a SYN nothing.
func TestParseOddOptions(t *testing.T) {
	b, _ := hex.DecodeString("00010002000000000000000080020000" + "00000000" + "fd05aabbcc" + "0203ff" + "030320" + "00")
	s, err := tcp.Parse(b)
	if err != nil || s.MSS != 0 || s.WindowScale != 14 {
		t.Errorf("%+v, %v", s, err)
	}
	b[13] = byte(tcp.ACK)
	if s, err = tcp.Parse(b); err != nil || s.WindowScale != -1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestReset(t *testing.T) {
	r, ok := tcp.Reset(&tcp.Segment{SrcPort: 1, DstPort: 2, Seq: 10, Flags: tcp.SYN, Payload: []byte("abc")})
	if !ok || r.Flags != tcp.RST|tcp.ACK || r.Seq != 0 || r.Ack != 14 || r.SrcPort != 2 || r.DstPort != 1 {
		t.Errorf("of a SYN: %+v", r)
	}
	r, ok = tcp.Reset(&tcp.Segment{Seq: 10, Ack: 77, Flags: tcp.ACK})
	if !ok || r.Flags != tcp.RST || r.Seq != 77 {
		t.Errorf("of an ACK: %+v", r)
	}
	if _, ok = tcp.Reset(&tcp.Segment{Flags: tcp.RST}); ok {
		t.Error("a reset is answered")
	}
}

func TestFlagNames(t *testing.T) {
	if got := (tcp.FIN | tcp.SYN | tcp.RST | tcp.PSH | tcp.ACK | tcp.URG | tcp.ECE | tcp.CWR).String(); got != "FSRP.UEW" {
		t.Error(got)
	}
}

// What Parse accepts, AppendTo writes so that it parses to the same.
func FuzzParse(f *testing.F) {
	for _, c := range wireForms {
		f.Add(c.seg.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := tcp.Parse(b)
		if err != nil {
			return
		}
		if len(s.SACK) > 4 || s.WindowScale > 14 {
			t.Fatalf("%+v", s)
		}
		w := s.AppendTo(nil)
		if int(w[12]>>4)*4 > 60 || len(w) > len(b)+40 {
			t.Skip("more options at once than a header of ours holds")
		}
		back, err := tcp.Parse(w)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, back, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}
