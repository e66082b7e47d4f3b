package coap

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// TestRegisterOnTheWire is an LwM2M registration, byte by byte.
func TestRegisterOnTheWire(t *testing.T) {
	r := NewRequest(codes.POST, "/rd", "lwm2m=1.1", "ep=x").WithPayload(LinkFormat, []byte("</3/0>"))
	got, err := encode(message.Message{
		Type: message.Confirmable, Code: r.Code, MessageID: 0x1234, Token: []byte{1, 2},
		Options: r.Options, Payload: r.Payload,
	})
	want := append([]byte{0x42, 0x02, 0x12, 0x34, 1, 2}, // CON, POST
		"\xb2rd\x11\x28\x39lwm2m=1.1\x04ep=x\xff</3/0>"...) // Uri-Path, Content-Format 40, two Uri-Query
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got\n%q, %v, want\n%q", got, err, want)
	}
	m, err := decode(got)
	if diff := cmp.Diff(r.Options, m.Options); err != nil || diff != "" {
		t.Errorf("decoded: %v, options differ: %s", err, diff)
	}
}

func TestOptions(t *testing.T) {
	m := &Message{}
	m.AddQuery("b=U")
	m.SetLocationPath("rd/5a3f")
	m.SetPath("//a//b/")
	m.AddQuery("lt=60")
	m.SetETag([]byte{1})
	m.SetETag([]byte{2, 3})
	m.SetAccept(11542)
	m.SetContentFormat(TextPlain)
	m.AddIfMatch(nil)
	m.AddIfMatch([]byte{7})
	m.SetUint(message.Size2, 1<<20)
	for i := 1; i < len(m.Options); i++ {
		if m.Options[i-1].ID > m.Options[i].ID {
			t.Errorf("options are not sorted: %v", m.Options)
		}
	}
	accept, _ := m.Accept()
	format, hasFormat := m.ContentFormat()
	size, _ := m.Size2()
	_, hasObserve := m.Observe()
	got := []any{m.Path(), m.LocationPath(), m.Queries(), m.ETag(), accept, format, hasFormat, m.IfMatch(), size, hasObserve}
	want := []any{"/a/b", "/rd/5a3f", []string{"b=U", "lt=60"}, []byte{2, 3}, message.MediaType(11542), TextPlain, true, [][]byte{nil, {7}}, uint32(1 << 20), false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	m.SetPath("/")
	if m.Path() != "/" || m.ETag() == nil {
		t.Errorf("path %q after SetPath(/)", m.Path())
	}
}

// TestCloneIsIndependent: changing a clone leaves the original alone.
func TestCloneIsIndependent(t *testing.T) {
	m := NewRequest(codes.GET, "/a/b", "q").Message
	before := slices.Clone(m.Options)
	c := m.clone()
	c.SetPath("/x/y/z")
	c.SetUint(message.Observe, 0)
	c.Remove(message.URIQuery)
	if diff := cmp.Diff(before, m.Options); diff != "" {
		t.Error(diff)
	}
}

func TestCodeString(t *testing.T) {
	for code, want := range map[codes.Code]string{codes.GET: "0.01", codes.Content: "2.05", codes.Continue: "2.31", codes.NotFound: "4.04", codes.ProxyingNotSupported: "5.05", Conflict: "4.09"} {
		if got := CodeString(code); got != want {
			t.Errorf("CodeString(%d) = %s, want %s", code, got, want)
		}
	}
}

// The conditions of RFC 7252 section 5.10.8.
func TestConditions(t *testing.T) {
	tag, other := []byte{1, 2}, []byte{3}
	for _, c := range []struct {
		what   string
		match  [][]byte
		none   bool
		exists bool
		tags   [][]byte
		want   bool
	}{
		{"no condition", nil, false, false, nil, true},
		{"must exist, does", [][]byte{{}}, false, true, nil, true},
		{"must exist, does not", [][]byte{{}}, false, false, nil, false},
		{"has the tag", [][]byte{tag}, false, true, [][]byte{tag}, true},
		{"has one of the tags", [][]byte{other, tag}, false, true, [][]byte{tag}, true},
		{"has another tag", [][]byte{other}, false, true, [][]byte{tag}, false},
		{"has no tag", [][]byte{tag}, false, true, nil, false},
		{"must not exist, does not", nil, true, false, nil, true},
		{"must not exist, does", nil, true, true, nil, false},
		{"contradiction", [][]byte{{}}, true, true, nil, false},
	} {
		var m Message
		for _, tag := range c.match {
			m.AddIfMatch(tag)
		}
		if c.none {
			m.Set(message.IfNoneMatch, nil)
		}
		if got := m.Holds(c.exists, c.tags...); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
