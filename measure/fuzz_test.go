package measure

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// checkSum: layers add up to the bytes.
func checkSum(t *testing.T, trace *Trace) {
	r := Judge(trace)
	l := r.Layers
	if got, want := l.IP+l.Transport+l.Security+l.Protocol+l.Payload, r.Up.Bytes+r.Down.Bytes; got != want {
		t.Errorf("layers %+v add up to %d, want %d", l, got, want)
	}
	for _, n := range []int64{l.IP, l.Transport, l.Security, l.Protocol, l.Payload} {
		if n < 0 {
			t.Errorf("negative layer: %+v", l)
		}
	}
}

// FuzzJudge: whatever packets hold, every byte is counted once. The input is
// cut into packets of a length and direction it says itself.
func FuzzJudge(f *testing.F) {
	var seed []byte
	for _, p := range download(f, 300).Packets {
		n := len(p.Data)<<1 | int(p.Dir)
		seed = append(seed, byte(n>>8), byte(n))
		seed = append(seed, p.Data...)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		trace := &Trace{Device: deviceIP, WindowStart: epoch, WindowEnd: epoch.Add(time.Hour), FatesKnown: true}
		for at := epoch; len(b) >= 2; at = at.Add(time.Millisecond) {
			head := int(b[0])<<8 | int(b[1])
			n := min(head>>1, len(b)-2)
			trace.Packets = append(trace.Packets, Packet{Time: at, Dir: netem.Direction(head & 1), Data: b[2 : 2+n]})
			b = b[2+n:]
		}
		checkSum(t, trace)
	})
}

// total of a stream's classes.
func (c *classes) len() int64 {
	if len(c.ends) == 0 {
		return 0
	}
	return c.ends[len(c.ends)-1]
}

// FuzzApplication: no parser claims bytes that are not there.
func FuzzApplication(f *testing.F) {
	request, answer, _ := mqttConversation(100)
	f.Add(request, true)
	f.Add(answer, false)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), false)
	f.Add([]byte{8, snPublish, snDUP | 0x20, 0, 1, 0, 3, 'x'}, false)
	f.Add([]byte{1, 0, 6, snDisconnect, 0, 60}, false)
	f.Add([]byte{0x42, 2, 0x12, 0x34, 1, 2, 0xb2, 'r', 'd', 0x11, 0x28, 0xff, 'x'}, false)
	f.Add(append([]byte(http2Preface), 0, 0, 3, 0, 0, 0, 0, 0, 1, 1, 2, 3), false)
	f.Fuzz(func(t *testing.T, b []byte, v5 bool) {
		for name, c := range map[string]classes{
			"mqtt": mqttClasses(b, v5), "http2": http2Classes(b, 0),
			"http": first(httpClasses(b, nil)), "http response": first(httpClasses(b, []string{"HEAD", "GET"})),
		} {
			if c.len() > int64(len(b)) {
				t.Errorf("%s: %d of %d bytes", name, c.len(), len(b))
			}
		}
		if m, ok := parseCoAP(b); ok && m.header > len(b) {
			t.Errorf("coap: header of %d in %d bytes", m.header, len(b))
		}
		if m, ok := parseMQTTSN(b); ok && (m.header > len(b) || m.key != nil && len(m.key) != len(b)) {
			t.Errorf("mqtt-sn: header of %d, key of %d in %d bytes", m.header, len(m.key), len(b))
		}
	})
}

func first(c classes, _ []string) classes { return c }

func FuzzReadEvents(f *testing.F) {
	var b bytes.Buffer
	if err := WriteEvents(&b, &Trace{Start: epoch, Events: []Event{{Time: epoch.Add(1), Kind: "a", Detail: "b", Offset: 1, Length: 2}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Fuzz(func(t *testing.T, s string) {
		events, err := ReadEvents(strings.NewReader(s), epoch)
		if err != nil {
			return
		}
		// What was read can be written and read again.
		var b bytes.Buffer
		if err := WriteEvents(&b, &Trace{Start: epoch, Events: events}); err != nil {
			t.Fatal(err)
		}
		again, err := ReadEvents(&b, epoch)
		if err != nil || len(again) != len(events) {
			t.Errorf("%v, %d of %d events", err, len(again), len(events))
		}
	})
}
