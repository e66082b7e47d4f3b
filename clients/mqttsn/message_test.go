package mqttsn

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// Known bytes, by the tables of section 5.4.
func TestKnownMessages(t *testing.T) {
	for want, m := range map[string]message{
		"0704" + "04" + "01" + "003c" + "64": {kind: connect, clean: true, duration: 60, name: "d"},
		"030500":                             {kind: connack},
		"0206":                               {kind: willTopicReq},
		"050720742f":                         {kind: willTopic, qos: 1, name: "t/"},
		"0409" + "6279":                      {kind: willMsg, data: []byte("by")},
		"080a00010002612f":                   {kind: register, topic: 1, id: 2, name: "a/"},
		"070b0001000200":                     {kind: regack, topic: 1, id: 2},
		"080c2000010003" + "78":              {kind: publish, qos: 1, topic: 1, id: 3, data: []byte("x")},
		"080c6172310000" + "79":              {kind: publish, qos: qosNone, idType: topicPredefined, topic: 0x7231, data: []byte("y")},
		"080ca000010003" + "78":              {kind: publish, dup: true, qos: 1, topic: 1, id: 3, data: []byte("x")},
		"070d0001000302":                     {kind: puback, topic: 1, id: 3, code: invalidTopic},
		"0712200004" + "612f":                {kind: subscribe, qos: 1, id: 4, name: "a/"},
		"07122200046331":                     {kind: subscribe, qos: 1, idType: topicShort, topic: 0x6331, id: 4},
		"0813200001000400":                   {kind: suback, qos: 1, topic: 1, id: 4},
		"0316" + "64":                        {kind: pingreq, name: "d"},
		"0217":                               {kind: pingresp},
		"0218":                               {kind: disconnect},
		"0418003c":                           {kind: disconnect, hasDuration: true, duration: 60},
	} {
		if got := hex.EncodeToString(m.encode()); got != want {
			t.Errorf("%s: %s, want %s", m.kind, got, want)
		}
		b, _ := hex.DecodeString(want)
		if got, err := decode(b); err != nil || !reflect.DeepEqual(normal(got), normal(m)) {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
	long := message{kind: publish, topic: 1, data: []byte(strings.Repeat("x", 400))}
	b := long.encode()
	if b[0] != 1 || int(b[1])<<8|int(b[2]) != len(b) {
		t.Errorf("long message begins with % x", b[:4])
	}
	if got, err := decode(b); err != nil || !bytes.Equal(got.data, long.data) {
		t.Errorf("%v", err)
	}
}

func normal(m message) message {
	if len(m.data) == 0 {
		m.data = nil
	}
	return m
}

func TestMalformedMessages(t *testing.T) {
	for _, s := range []string{
		"", "02", "0305", "0304", "03ff00", "0704040200" + "3c64", "060404 01003c", "080c6300010003" + "78", "04180000ff", "0100", "010003",
		"050b000100", "0516ff" + "6465", "0803",
	} {
		b, _ := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if m, err := decode(b); err == nil {
			t.Errorf("%s: %+v", s, m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"0704040100 3c64", "080c2000010003" + "78", "0712200004" + "612f", "0418003c", "010009160000000000"} {
		b, _ := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil || m.kind == gwInfo || m.kind == searchGW {
			return
		}
		again, err := decode(m.encode())
		if err != nil || !reflect.DeepEqual(normal(again), normal(m)) {
			t.Errorf("%+v, then %+v, %v", m, again, err)
		}
	})
}
