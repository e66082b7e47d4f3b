package measure

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// of counts a stream's classes: protocol, payload.
func (c *classes) of(n int) [2]int64 {
	var l Layers
	c.count(&l, 0, n)
	return [2]int64{l.Protocol, l.Payload}
}

func TestMQTTClasses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stream string
		v5     bool
		want   [2]int64
	}{
		{"QoS 0", "\x30\x07\x00\x03a/bhi", false, [2]int64{7, 2}},
		{"QoS 1 with identifier", "\x32\x09\x00\x03a/b\x00\x01hi", false, [2]int64{9, 2}},
		{"empty message", "\x31\x05\x00\x03a/b", false, [2]int64{7, 0}},
		{"MQTT 5 properties", "\x30\x0a\x00\x03a/b\x02\x01\x00hi", true, [2]int64{10, 2}},
		{"others", "\xc0\x00\xd0\x00\x40\x02\x00\x01\x82\x08\x00\x01\x00\x03a/b\x01", false, [2]int64{18, 0}},
		{"two-byte length", "\x30\x85\x01\x00\x03a/b" + string(make([]byte, 128)), false, [2]int64{8, 128}},
		{"cut in the message", "\x30\x27\x00\x03a/bhi", false, [2]int64{7, 2}},
		{"cut in the topic", "\x30\x27\x00\x03a", false, [2]int64{5, 0}},
		{"cut in the length", "\x30\x80", false, [2]int64{2, 0}},
		{"out of step", "\xc0\x00\x00\x00\x00\x00", false, [2]int64{2, 4}},
		{"malformed length", "\x30\xff\xff\xff\xff\x01", false, [2]int64{0, 6}},
	} {
		c := mqttClasses([]byte(tt.stream), tt.v5)
		if got := c.of(len(tt.stream)); got != tt.want {
			t.Errorf("%s: protocol, payload %v, want %v", tt.name, got, tt.want)
		}
	}
	for s, want := range map[string][2]bool{
		"\x10\x10\x00\x04MQTT\x04\x02": {true, false},
		"\x10\x10\x00\x04MQTT\x05\x02": {true, true},
		"\x10\x10\x00\x06MQIsdp\x03":   {true, false},
		"\x10\x10\x00\x04HTTP":         {},
		"GET /":                        {},
		"":                             {},
	} {
		if got := [2]bool{isMQTT([]byte(s)), isMQTT5([]byte(s))}; got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

// TestCoAPClasses: messages as RFC 8323 section 3.2 lays them out.
func TestCoAPClasses(t *testing.T) {
	const csm = "\x30\xe1\x22\x04\x80" // Max-Message-Size 1152
	for _, tt := range []struct {
		name, stream string
		want         [2]int64
	}{
		{"CSM", csm, [2]int64{5, 0}},
		{"GET with token and path", csm + "\x21\x01\xaa\xb1a", [2]int64{10, 0}},
		{"answer", csm + "\x71\x45\xaa\xc1\x2a\xffabcd", [2]int64{11, 4}},
		{"length of 13 and more", "\xd1\x02\x44\xaa\xc1\x2a\xff" + string(make([]byte, 12)), [2]int64{7, 12}},
		{"length of 269 and more", "\xe0\x00\x05\x02\xff" + string(make([]byte, 273)), [2]int64{5, 273}},
		{"length of 65805 and more", "\xf0\x00\x00\x00\x02\x45\xff" + string(make([]byte, 65806)), [2]int64{7, 65806}},
		{"cut in the payload", "\xd1\x20\x44\xaa\xff1234", [2]int64{5, 4}},
		{"cut in the token", "\xd8\x20\x44\xaa", [2]int64{4, 0}},
		{"longer than anything", "\xf0\xff\xff\xff\xff\x45\xffx", [2]int64{7, 1}},
		{"out of step", csm + "\x09\xff", [2]int64{5, 2}},
	} {
		c := coapClasses([]byte(tt.stream))
		if got := c.of(len(tt.stream)); got != tt.want {
			t.Errorf("%s: protocol, payload %v, want %v", tt.name, got, tt.want)
		}
	}
	for s, want := range map[string]bool{csm: true, "\x00\xe1": true, "\x21\x01\xaa\xb1a": false, "\x01\xe1\xaa": false, "GET / HTTP/1.1": false, "": false} {
		if isCoAPStream([]byte(s)) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}

func TestHTTPClasses(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n" // 27 bytes
	for _, tt := range []struct {
		name    string
		stream  string
		methods []string
		want    [2]int64
	}{
		{"requests", get + "POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody" + get, nil, [2]int64{27 + 38 + 27, 4}},
		{"response", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", []string{"GET"}, [2]int64{38, 5}},
		{"HEAD has no content", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", []string{"HEAD", "GET"}, [2]int64{76, 5}},
		{"100 Continue", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", []string{"POST"}, [2]int64{25 + 38, 5}},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", []string{"GET"}, [2]int64{48, 0}},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nhello", []string{"GET"}, [2]int64{19, 5}},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n", []string{"GET"}, [2]int64{47 + 7 + 2 + 3 + 2 + 3 + 6 + 2, 8}},
		{"partial content", "HTTP/1.1 206 Partial Content\r\nContent-Length: 50\r\n\r\nhello", []string{"GET"}, [2]int64{52, 5}},
		{"cut in the head", "HTTP/1.1 200 OK\r\nConte", nil, [2]int64{22, 0}},
		{"out of step", get + "\x00\x01\x02", nil, [2]int64{27, 3}},
		{"broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", []string{"GET"}, [2]int64{47, 4}},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02hi", []string{"GET"}, [2]int64{36, 4}},
	} {
		c, _ := httpClasses([]byte(tt.stream), tt.methods)
		if got := c.of(len(tt.stream)); got != tt.want {
			t.Errorf("%s: protocol, payload %v, want %v", tt.name, got, tt.want)
		}
	}
	_, methods := httpClasses([]byte(get+"HEAD / HTTP/1.1\r\n\r\n"), nil)
	if d := cmp.Diff([]string{"GET", "HEAD"}, methods); d != "" {
		t.Error(d)
	}
}

func TestHTTP2Classes(t *testing.T) {
	b := "\x00\x00\x02\x04\x00\x00\x00\x00\x00ab" + "\x00\x00\x05\x00\x01\x00\x00\x00\x01hello" + "\x00\x00"
	c := http2Classes([]byte(b), 0)
	if got, want := c.of(len(b)), [2]int64{11 + 9 + 2, 5}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestClasses(t *testing.T) {
	var c classes
	c.add(10, classSecurity)
	c.add(5, classProtocol)
	c.add(0, classPayload)
	c.add(5, classProtocol)
	c.add(20, classOpaque)
	for _, tt := range []struct {
		offset int64
		n      int
		want   Layers
		opaque int64
	}{
		{0, 40, Layers{Security: 10, Protocol: 10, Payload: 20}, 20},
		{9, 2, Layers{Security: 1, Protocol: 1}, 0},
		{19, 2, Layers{Protocol: 1, Payload: 1}, 1},
		{35, 10, Layers{Payload: 10}, 5}, // beyond what is known
		{100, 3, Layers{Payload: 3}, 0},
		{-5, 7, Layers{Payload: 5, Security: 2}, 0},
		{-5, 3, Layers{Payload: 3}, 0},
	} {
		var l Layers
		if opaque := c.count(&l, tt.offset, tt.n); l != tt.want || opaque != tt.opaque {
			t.Errorf("[%d, +%d): %+v, %d opaque; want %+v, %d", tt.offset, tt.n, l, opaque, tt.want, tt.opaque)
		}
	}
}
