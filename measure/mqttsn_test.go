package measure

import (
	"encoding/hex"
	"testing"

	"github.com/thinlink/thinlink/netem"
)

// A conversation of MQTT-SN: what is sent again counts again, and an application
// message is payload.
func TestMQTTSN(t *testing.T) {
	b := func(s string) []byte {
		data, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	p := newTape(1883)
	up := func(s string) *Packet { return p.udp(netem.Up, b(s)) }
	down := func(s string) *Packet { return p.udp(netem.Down, b(s)) }
	up("0704040100" + "3c64").Lost = netem.DropLoss // CONNECT
	up("0704040100" + "3c64")                       // again
	down("030500")
	up("080a00000001" + "612f") // REGISTER
	down("070b0001000100")
	up("090c2000010002" + "7879") // PUBLISH, QoS 1
	up("090ca000010002" + "7879") // DUP, the first one has arrived
	down("070d0001000200")
	up("090c0000010000" + "7879") // QoS 0: the same bytes are another message
	up("090c0000010000" + "7879")
	up("0216") // PINGREQ
	down("0217")
	up("0216") // a new one, since the first was answered
	down("0217")
	p.trace.FatesKnown = true
	r := sum(t, p.done())
	if want := (Retransmissions{MQTTSN: 2, MQTTSNSpurious: 1}); r.Retransmissions != want {
		t.Errorf("%+v, want %+v", r.Retransmissions, want)
	}
	const packets, all = 14, 7 + 7 + 3 + 8 + 7 + 9 + 9 + 7 + 9 + 9 + 2 + 2 + 2 + 2
	if want := (Layers{IP: 20 * packets, Transport: 8 * packets, Payload: 8, Protocol: all - 8}); r.Layers != want {
		t.Errorf("%+v, want %+v", r.Layers, want)
	}
	for _, bad := range []string{"", "01", "0100", "0305", "030300", "050c2000", "031100"} {
		if m, ok := parseMQTTSN(b(bad)); ok {
			t.Errorf("%s: %+v", bad, m)
		}
	}
}
