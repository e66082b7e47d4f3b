package capfile

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestPDU(t *testing.T) {
	got := AppendPDU(nil, PDU{Dissector: "coap", Port: 5683, Down: true, Data: []byte{0x40, 1}})
	want := "000c0004636f6170" + "0018000400000003" + "0019000400001633" + "001a00040000c000" + "0023000400000001" + "00000000" + "4001"
	if hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
	if p, ok := ParsePDU(got); !ok || !p.Down || !bytes.Equal(p.Data, []byte{0x40, 1}) {
		t.Errorf("%+v, %v", p, ok)
	}
	for n := range len(got) - 2 {
		if p, ok := ParsePDU(got[:n]); ok {
			t.Errorf("cut to %d bytes: %+v", n, p)
		}
	}
	if _, ok := ParsePDU([]byte{0, 0, 0, 0, 1}); ok {
		t.Error("a frame without direction")
	}
}

func FuzzParsePDU(f *testing.F) {
	f.Add(AppendPDU(nil, PDU{Dissector: "dtls", Port: 5684, Data: []byte("data")}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if p, ok := ParsePDU(frame); ok && !bytes.HasSuffix(frame, p.Data) {
			t.Errorf("%x has data %x", frame, p.Data)
		}
	})
}
