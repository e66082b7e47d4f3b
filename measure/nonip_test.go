package measure

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thinlink/thinlink/netem"
)

// TestNonIP: without IP there are no headers to count, in memory or read back;
// a datagram that looks like an IP packet is none.
func TestNonIP(t *testing.T) {
	tape := newTape(portCoAP)
	for _, id := range []uint16{1, 2, 1} { // the last one is a repetition
		tape.udp(up, coapPost(id, "22.5"))
		tape.udp(down, coapChanged(id))
	}
	withIP := tape.done()
	trace := tape.done()
	trace.Bearer, trace.Packets = netem.BearerNonIP, nil
	for _, p := range withIP.Packets {
		p.Data = p.Data[28:]
		trace.Packets = append(trace.Packets, p)
	}
	want, got := Judge(withIP), Judge(trace)
	if got.Layers.IP != 0 || got.Layers.Transport != 0 || got.Layers.Protocol != want.Layers.Protocol || got.Layers.Payload != want.Layers.Payload {
		t.Errorf("layers %+v, with IP %+v", got.Layers, want.Layers)
	}
	if n := want.Up.Bytes - 28*want.Up.Packets; got.Up.Bytes != n || got.Up.BytesEthernet != n || got.Down.Bytes != want.Down.Bytes-28*want.Down.Packets {
		t.Errorf("%+v, %+v", got.Up, got.Down)
	}
	if got.Retransmissions != want.Retransmissions || got.Retransmissions.CoAP != 1 {
		t.Errorf("%+v, with IP %+v", got.Retransmissions, want.Retransmissions)
	}
	if d := cmp.Diff(Judge(PaperRule(trace)), got); d != "" {
		t.Errorf("PaperRule: %s", d)
	}
	dir := t.TempDir()
	files, err := WriteFiles(dir, "run", trace, About{})
	if err != nil {
		t.Fatal(err)
	}
	back, err := ReadTrace(filepath.Join(dir, files.PCAPNG), filepath.Join(dir, files.Events))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, Judge(back)); d != "" {
		t.Errorf("read back: %s", d)
	}
	// 20 bytes that begin as an IPv4 header does: version 4, a token of 5 bytes.
	like := []byte{0x45, 0x02, 0x00, 0x14, 1, 2, 3, 4, 5, 0xb1, 'a', 0xff, 1, 2, 3, 4, 5, 6, 7, 8}
	trace.Packets = trace.Packets[:1]
	trace.Packets[0].Data = append(like, make([]byte, 10)...)
	if got := Judge(trace); got.Up.Bytes != 30 || got.Layers.IP != 0 || got.Layers.Protocol != 12 || len(got.Warnings) != 0 {
		t.Errorf("%+v", got)
	}
}
