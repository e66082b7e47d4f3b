package measure

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thinlink/thinlink/internal/sms"
	"github.com/thinlink/thinlink/netem"
)

// smsTrace is datagrams as short messages: a long one up in two segments, of
// which the first is sent twice, and a short one down; a second apart.
func smsTrace(t *testing.T) (trace *Trace, long, short []byte) {
	t.Helper()
	tape := newTape(portCoAP)
	trace = tape.done()
	trace.Bearer, trace.Packets = netem.BearerSMS, nil
	long, short = append(coapPost(1, "22.5"), make([]byte, 150)...), coapChanged(1)
	add := func(dir netem.Direction, p sms.PDU) {
		at := trace.WindowStart.Add(time.Duration(len(trace.Packets)) * time.Second)
		trace.Packets = append(trace.Packets, Packet{Time: at, Done: at, Dir: dir, Data: p.Append(nil)})
	}
	segments, err := sms.Split(long, 3)
	if err != nil || len(segments) != 2 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	for _, i := range []int{0, 0, 1} {
		add(up, sms.PDU{Kind: sms.Data, Up: true, Reference: uint8(i), Segment: segments[i]})
		add(down, sms.PDU{Kind: sms.CPAck, Answer: true})
		add(down, sms.PDU{Kind: sms.Ack, Reference: uint8(i), Answer: true})
	}
	add(down, sms.PDU{Kind: sms.Data, Segment: sms.Segment{Data: short}, Time: trace.Start})
	trace.WindowEnd = trace.WindowStart.Add(time.Minute)
	return trace, long, short
}

// TestSMS: what is dissected is the message that the segments make; the segment
// that came twice is payload and no message more. Read back it is the same.
func TestSMS(t *testing.T) {
	trace, long, short := smsTrace(t)
	got := Judge(trace)
	if got.SMS == nil || *got.SMS != (SMS{Up: 2, Down: 1}) {
		t.Errorf("short messages %+v", got.SMS)
	}
	plain := *trace
	plain.Bearer = netem.BearerNonIP
	plain.Packets = []Packet{{Time: trace.WindowStart, Dir: up, Data: long}, {Time: trace.WindowStart, Dir: down, Data: short}}
	want := Judge(&plain).Layers
	if l := got.Layers; l.Protocol != want.Protocol || l.Payload != want.Payload+sms.MaxPart || l.IP != 0 {
		t.Errorf("layers %+v, without segments %+v", l, want)
	}
	if l := got.Layers; l.Transport+l.Protocol+l.Payload != got.Up.Bytes+got.Down.Bytes {
		t.Errorf("%+v do not add up to %d + %d", l, got.Up.Bytes, got.Down.Bytes)
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
}

// TestSMSEdge: of a message that the window's edge cuts, or that never becomes
// whole, the bytes inside are payload, and the layers add up all the same.
func TestSMSEdge(t *testing.T) {
	for _, edge := range []time.Duration{time.Second, 5 * time.Second} {
		trace, _, _ := smsTrace(t)
		trace.WindowEnd = trace.WindowStart.Add(edge)
		got := Judge(trace)
		if l := got.Layers; l.Protocol != 0 || l.Transport+l.Payload != got.Up.Bytes+got.Down.Bytes {
			t.Errorf("within %v: %+v of %d + %d bytes", edge, l, got.Up.Bytes, got.Down.Bytes)
		}
	}
}
