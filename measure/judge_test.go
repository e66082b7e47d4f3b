package measure

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

const second = time.Second

func TestCounts(t *testing.T) {
	p := newTape(9)
	p.udp(up, make([]byte, 72))   // 100 bytes with headers
	p.udp(down, make([]byte, 22)) // 50
	p.udp(up, make([]byte, 172)).Lost = netem.DropQueue
	p.ip(up, wire.ProtoICMP, func(b []byte) []byte {
		return wire.AppendICMP(b, wire.ICMP{Type: wire.ICMPEchoRequest, Payload: make([]byte, 56)})
	})
	trace := p.done()
	r := sum(t, trace)
	if want := (Counts{Packets: 3, Bytes: 384, BytesEthernet: 384 + 42, Dropped: 1, BytesDropped: 200}); r.Up != want {
		t.Errorf("up %+v, want %+v", r.Up, want)
	}
	if want := (Counts{Packets: 1, Bytes: 50, BytesEthernet: 64}); r.Down != want {
		t.Errorf("down %+v, want %+v", r.Down, want)
	}
	if want := (Layers{IP: 80, Transport: 32, Payload: 72 + 22 + 172 + 56}); r.Layers != want {
		t.Errorf("%+v, want %+v", r.Layers, want)
	}
	// The window is half open.
	trace.WindowStart, trace.WindowEnd = trace.Packets[1].Time, trace.Packets[2].Time
	if r = sum(t, trace); r.Up.Packets != 0 || r.Down.Packets != 1 || r.WindowS != 0.001 {
		t.Errorf("one packet's window: %+v", r)
	}
}

func TestPorts(t *testing.T) {
	p := newTape(5694)
	p.udp(up, make([]byte, 72)) // 100 bytes with headers
	p.port = 5684
	p.udp(up, make([]byte, 22)).Lost = netem.DropQueue // 50
	p.udp(down, make([]byte, 172))
	p.port = 5694
	p.udp(down, make([]byte, 2))
	p.ip(up, wire.ProtoICMP, func(b []byte) []byte {
		return wire.AppendICMP(b, wire.ICMP{Type: wire.ICMPEchoRequest, Payload: make([]byte, 56)})
	})
	want := []PortCounts{
		{5684, Counts{1, 50, 64, 1, 50}, Counts{1, 200, 214, 0, 0}},
		{5694, Counts{1, 100, 114, 0, 0}, Counts{1, 30, 44, 0, 0}},
	}
	trace := p.done()
	if diff := cmp.Diff(want, Ports(trace)); diff != "" {
		t.Error(diff)
	}
	trace.WindowEnd = trace.WindowStart
	if got := Ports(trace); len(got) != 0 {
		t.Errorf("outside the window: %+v", got)
	}
}

func TestIPv6Layers(t *testing.T) {
	p := newTape(5683)
	p.device, p.platform = device6, platform6
	p.udp(up, coapPost(1, "hello"))
	p.udp(down, coapChanged(1))
	r := sum(t, p.done())
	if want := (Layers{IP: 80, Transport: 16, Protocol: 28, Payload: 5}); r.Layers != want {
		t.Errorf("%+v, want %+v", r.Layers, want)
	}
}

func TestCoAPRetransmissions(t *testing.T) {
	p := newTape(5683)
	p.at(0).udp(up, coapPost(1, "x")).Lost = netem.DropLoss
	p.at(2).udp(up, coapPost(1, "x")) // needed
	p.at(4).udp(down, coapChanged(1))
	p.at(6).udp(up, coapPost(1, "x")) // needless
	p.at(7).udp(down, coapChanged(1)) // its answer is no retransmission
	p.at(8).udp(down, coapPost(1, "x"))
	p.at(9).udp(up, coapPost(2, "x"))
	p.at(0.002+247).udp(up, coapPost(1, "x")) // EXCHANGE_LIFETIME is over
	trace := p.done()
	r := sum(t, trace)
	if want := (Retransmissions{CoAP: 2, CoAPSpurious: 1}); r.Retransmissions != want {
		t.Errorf("%+v, want %+v", r.Retransmissions, want)
	}
	trace.FatesKnown = false
	if r = Judge(trace); r.Retransmissions.CoAP != 2 || r.Retransmissions.CoAPSpurious != 0 {
		t.Errorf("foreign: %+v", r.Retransmissions)
	}
}

// TestCoAPByContent: a request with a path is CoAP on any port; arbitrary
// payload is not.
func TestCoAPByContent(t *testing.T) {
	p := newTape(40000)
	p.udp(up, coapPost(1, "abc"))
	p.udp(down, coapChanged(1))
	if r := sum(t, p.done()); r.Layers.Protocol != 28 || r.Layers.Payload != 3 {
		t.Errorf("%+v", r.Layers)
	}
	p = newTape(40000)
	p.udp(up, []byte("@ping 0001"))
	p.udp(down, []byte("@ping 0001"))
	if r := sum(t, p.done()); r.Layers.Protocol != 0 || r.Layers.Payload != 20 {
		t.Errorf("%+v", r.Layers)
	}
}

func TestParseCoAP(t *testing.T) {
	for _, tt := range []struct {
		hex    string
		ok     bool
		header int
	}{
		{"40000001", true, 4},                                      // empty CON
		{"4000000101", false, 0},                                   // empty with content
		{"6045000101ff41", false, 0},                               // length 1 of option 0 is not there
		{"60450001ff41", true, 5},                                  // 2.05 "A"
		{"60450001ff", false, 0},                                   // marker without payload
		{"410100019999", false, 0},                                 // option 9 of 9 bytes missing
		{"4101000199b3616263", true, 9},                            // GET /abc
		{"41010001 99bd01 6162636465666768696a6b6c6d6e", true, 21}, // extended length 14
		{"41010001 99e1000061", true, 9},                           // extended delta 269
		{"41010001 99f0", false, 0},                                // reserved delta
		{"49010001", false, 0},                                     // token length 9
		{"00010001", false, 0},                                     // version 0
		{"40280001", false, 0},                                     // class 1
	} {
		var b []byte
		if _, err := fmt.Sscanf(strings.ReplaceAll(tt.hex, " ", ""), "%x", &b); err != nil {
			t.Fatal(err)
		}
		m, ok := parseCoAP(b)
		if ok != tt.ok || ok && m.header != tt.header {
			t.Errorf("%s: %+v, %v; want header %d, %v", tt.hex, m, ok, tt.header, tt.ok)
		}
	}
}

func TestFragments(t *testing.T) {
	p := newTape(9)
	p.udp(up, make([]byte, 1000))
	first := p.trace.Packets[0].Data
	first[6] = 0x20 // more fragments
	second := append([]byte(nil), first[:60]...)
	second[2], second[3] = 0, 60
	second[6], second[7] = 0, 126
	p.trace.Packets = append(p.trace.Packets, Packet{Time: p.now, Data: second})
	r := sum(t, p.done())
	if want := (Layers{IP: 40, Transport: 8, Payload: 1040}); r.Layers != want {
		t.Errorf("%+v, want %+v", r.Layers, want)
	}
	if len(r.Warnings) != 1 || r.Warnings[0] != "2 IP fragments: counted, their content as payload" {
		t.Errorf("%q", r.Warnings)
	}
}

func TestRadioTimes(t *testing.T) {
	rec := NewRecorder(epoch, deviceIP)
	at := func(s float64) time.Time { return epoch.Add(time.Duration(s * 1e9)) }
	rec.Radio(at(0), netem.RadioPSM)
	rec.Radio(at(5), netem.RadioIdle)
	rec.OpenWindow(at(10))
	rec.Radio(at(12), netem.RadioSetup)
	rec.Radio(at(13), netem.RadioTx)
	rec.Radio(at(13.5), netem.RadioConnected)
	rec.Radio(at(15), netem.RadioRx)
	rec.Radio(at(15.25), netem.RadioConnected)
	rec.CloseWindow(at(20))
	rec.Radio(at(30), netem.RadioPSM)
	got := Judge(rec.Trace()).RadioS
	if want := (RadioS{TX: 0.5, RX: 0.25, Connected: 1 + 1.5 + 4.75, Idle: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if total := got.TX + got.RX + got.Connected + got.Idle + got.PSM; math.Abs(total-10) > 1e-9 {
		t.Errorf("states add up to %v s of 10", total)
	}
}

func TestOTA(t *testing.T) {
	rec := NewRecorder(epoch, deviceIP)
	rec.OpenWindow(epoch)
	for _, r := range [][2]int64{{0, 1000}, {1000, 500}, {0, 1000}, {1000, 1000}, {1900, 200}} {
		rec.Event(Event{Time: epoch, Kind: "ota.data", Offset: r[0], Length: r[1]})
	}
	rec.CloseWindow(epoch.Add(1))
	got := Judge(rec.Trace()).OTA
	if want := (&OTA{ReceivedBytes: 3700, WastedBytes: 1000 + 500 + 100}); !cmp.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if r := Judge(&Trace{}); r.OTA != nil || r.Warnings == nil {
		t.Errorf("empty trace: %+v", r)
	}
}

func TestRecorder(t *testing.T) {
	rec := NewRecorder(epoch, deviceIP)
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	data := []byte{1}
	for i := range 5 {
		rec.Sent(at(i), uint64(i+1), netem.Direction(i%2), data)
	}
	rec.Delivered(at(10), 1)
	rec.Dropped(at(11), 2, netem.DropLoss)
	rec.Dropped(at(12), 3, netem.DropLoss) // one copy of a duplicate
	rec.Delivered(at(13), 3)               // the other
	rec.Delivered(at(14), 4)
	rec.Dropped(at(15), 4, netem.DropCorrupt) // its copy
	tr := rec.Trace()
	want := []Packet{
		{at(0), up, data, at(10), ""},
		{at(1), down, data, at(11), netem.DropLoss},
		{at(2), up, data, at(13), ""},
		{at(3), down, data, at(14), ""},
		{at(4), up, data, time.Time{}, ""},
	}
	if d := cmp.Diff(want, tr.Packets); d != "" {
		t.Error(d)
	}
	if !tr.FatesKnown || tr.Device != deviceIP || !tr.Start.Equal(epoch) {
		t.Errorf("%+v", tr)
	}
	// Key logs are written by several connections at once, line by line.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				fmt.Fprintf(rec.KeyLog(), "LABEL %d\n", i)
				rec.Event(Event{Time: at(-i), Kind: "x"})
			}
		})
	}
	wg.Wait()
	tr = rec.Trace()
	lines := strings.Split(strings.TrimSpace(string(tr.KeyLog)), "\n")
	if len(lines) != 800 || len(tr.Events) != 800 {
		t.Errorf("%d lines, %d events", len(lines), len(tr.Events))
	}
	for _, l := range lines {
		var n int
		if _, err := fmt.Sscanf(l, "LABEL %d", &n); err != nil {
			t.Fatalf("line %q: %v", l, err)
		}
	}
	for i := 1; i < len(tr.Events); i++ {
		if tr.Events[i].Time.Before(tr.Events[i-1].Time) {
			t.Fatal("events are not in order of time")
		}
	}
	var _ io.Writer = rec.KeyLog()
}

func TestDescribe(t *testing.T) {
	p := newTape(9)
	p.step = 0
	p.at(0).udp(up, make([]byte, 72))      // 100
	p.at(1.5).udp(down, make([]byte, 172)) // 200
	p.at(1.9).udp(down, make([]byte, 171)) // 199
	p.at(3.25).udp(up, make([]byte, 73))   // 101
	got := Describe(p.done(), 100, second)
	want := &Traffic{
		MeanPacket: 150, ShareDown: 399. / 600,
		Lengths: []LengthBin{{From: 100, To: 200, Up: 2, Down: 1}, {From: 200, To: 300, Down: 1}},
		Series: []SeriesPoint{
			{T: 0, UpPackets: 1, UpBytes: 100}, {T: 1, DownPackets: 2, DownBytes: 399},
			{T: 2}, {T: 3, UpPackets: 1, UpBytes: 101},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	long := &Trace{WindowEnd: time.Time{}.Add(1000 * time.Hour)}
	if n := len(Describe(long, 100, time.Second).Series); n > 10_000 || n < 5_000 {
		t.Errorf("%d points for 1000 hours", n)
	}
}

func TestPaperRule(t *testing.T) {
	p := newTape(8883)
	p.handshake()
	p.port = 53
	p.udp(up, make([]byte, 30))
	p.ip(up, wire.ProtoICMP, func(b []byte) []byte { return wire.AppendICMP(b, wire.ICMP{Type: 8}) })
	p.port, p.platform = 5684, platformIP.Next()
	p.udp(up, make([]byte, 30))
	trace := p.done()
	if r := Judge(PaperRule(trace)); r.Up.Packets != 3 || r.Down.Packets != 1 || r.Up.BytesEthernet != 66+66+72 {
		t.Errorf("all platforms: %+v", r)
	}
	if r := Judge(PaperRule(trace, platformIP)); r.Up.Packets != 3 || r.Up.Bytes != 52+52+58 {
		t.Errorf("one platform, DNS included: %+v", r)
	}
	if len(trace.Packets) != 6 {
		t.Errorf("the original has %d packets", len(trace.Packets))
	}
}
