package azure

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/thinlink/thinlink/clients/internal/memhost"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// bench is a hub on a broker, with a connection of one device.
type bench struct {
	t    *testing.T
	hub  *Hub
	b    *broker.Broker
	nc   net.Conn
	r    *bufio.Reader
	told []string
}

func run(t *testing.T, test func(x *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		device, platform := memhost.Pair(time.Millisecond)
		ln, err := platform.Listen("tcp", "10.0.0.1:8883")
		must(t, err)
		x := &bench{t: t, b: broker.New(broker.Options{})}
		x.hub = New(time.Now, Handlers{
			Telemetry: func(d string, p []byte) { x.told = append(x.told, d+" "+string(p)) },
			Reported:  func(d string, p []byte) { x.told = append(x.told, d+" reported "+string(p)) },
		})
		must(t, x.hub.Serve(x.b))
		go x.b.Serve(ln)
		x.nc, err = device.DialContext(t.Context(), "tcp", "10.0.0.1:8883")
		must(t, err)
		x.r = bufio.NewReader(x.nc)
		c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
		c.ProtocolName, c.ProtocolVersion, c.ClientIdentifier, c.CleanSession = "MQTT", 4, "d", true
		must(t, c.Write(x.nc))
		x.read()
		s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		s.MessageID, s.Topics, s.Qoss = 1, []string{TwinResults, TwinDesired, Methods, Registrations, DeviceBound("d") + "#"}, make([]byte, 5)
		must(t, s.Write(x.nc))
		x.read()
		test(x)
		must(t, x.b.Close())
		time.Sleep(time.Second)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (x *bench) read() packets.ControlPacket {
	x.t.Helper()
	x.nc.SetReadDeadline(time.Now().Add(time.Minute))
	p, err := packets.ReadPacket(x.r)
	must(x.t, err)
	return p
}

func (x *bench) publish(topic, payload string) {
	x.t.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, []byte(payload)
	must(x.t, p.Write(x.nc))
}

// want wants a message whose payload begins so.
func (x *bench) want(topic, payload string) string {
	x.t.Helper()
	p, ok := x.read().(*packets.PublishPacket)
	if !ok || p.TopicName != topic || !strings.HasPrefix(string(p.Payload), payload) {
		x.t.Fatalf("got %s, want %s %s", p, topic, payload)
	}
	return string(p.Payload)
}

func (x *bench) wantSilence() {
	x.t.Helper()
	x.nc.SetReadDeadline(time.Now().Add(time.Minute))
	p, err := packets.ReadPacket(x.r)
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		x.t.Fatalf("want silence, got %v, %v", p, err)
	}
}

// The exchanges of the documentation.
func TestTwinTopics(t *testing.T) {
	run(t, func(x *bench) {
		x.publish("$iothub/twin/GET/?$rid=a1", "")
		x.want("$iothub/twin/res/200/?$rid=a1", `{"desired":{"$version":1},"reported":{"$version":1}}`)
		x.publish("$iothub/twin/PATCH/properties/reported/?$rid=2", `{"battery":57,"radio":{"rsrp":-101}}`)
		x.want("$iothub/twin/res/204/?$rid=2&$version=2", "")
		x.publish("$iothub/twin/PATCH/properties/reported/?$rid=3", `{"battery":null}`)
		x.want("$iothub/twin/res/204/?$rid=3&$version=3", "")
		must(t, x.hub.Desire("d", []byte(`{"interval":60}`), 0))
		x.want("$iothub/twin/PATCH/properties/desired/?$version=2", `{"$version":2,"interval":60}`)
		x.publish("$iothub/twin/GET/?$rid=4", "")
		x.want("$iothub/twin/res/200/?$rid=4", `{"desired":{"$version":2,"interval":60},"reported":{"$version":3,"radio":{"rsrp":-101}}}`)
		for i, bad := range []string{"", "[1]", `{"a":1}{}`, `{"$version":1}`, `{"a.b":1}`, `{"a":"` + strings.Repeat("x", MaxProperties) + `"}`, strings.Repeat(`{"a":`, 12) + "1" + strings.Repeat("}", 12)} {
			x.publish(fmt.Sprintf("$iothub/twin/PATCH/properties/reported/?$rid=b%d", i), bad)
			x.want(fmt.Sprintf("$iothub/twin/res/400/?$rid=b%d", i), `{"errorCode":"BadRequest"`)
		}
		x.publish("$iothub/twin/GET/?rid=4", "") // nobody to answer
		x.wantSilence()
		synctest.Wait()
		if want := []string{`d reported {"$version":2,"battery":57,"radio":{"rsrp":-101}}`, `d reported {"$version":3,"radio":{"rsrp":-101}}`}; !slices.Equal(x.told, want) {
			t.Errorf("told %q", x.told)
		}
		if x.hub.Desire("d", []byte("x"), 0) == nil {
			t.Error("a patch that is none was accepted")
		}
	})
}

func TestMessagesAndMethods(t *testing.T) {
	run(t, func(x *bench) {
		x.publish("devices/d/messages/events/", "1")
		x.publish("devices/d/messages/events/$.ct=application%2Fjson&$.ce=utf-8", "2")
		x.publish("devices/other/messages/events/", "forged")
		time.Sleep(time.Second)
		x.hub.Message("d", []byte("hello"), 0)
		x.want("devices/d/messages/devicebound/%24.mid=00000001&%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound", "hello")
		synctest.Wait()
		if want := []string{"d 1", "d 2"}; !slices.Equal(x.told, want) {
			t.Errorf("told %q", x.told)
		}
		var answers []Answer
		must(t, x.hub.Invoke("d", "set interval", []byte(`{"s":60}`), 0, func(a Answer) { answers = append(answers, a) }))
		const call = "$iothub/methods/POST/set%20interval/?$rid=2"
		x.want(call, `{"s":60}`)
		c, ok := ParseCall(call)
		if !ok || c.Method != "set interval" {
			t.Fatalf("%+v, %v", c, ok)
		}
		x.publish(c.AnswerTopic(200), `{}`)
		x.publish(c.AnswerTopic(200), `again`)
		x.publish("$iothub/methods/res/200/?$rid=77", `nobody asked`)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(answers) != 1 || answers[0].Status != 200 || string(answers[0].Payload) != "{}" {
			t.Errorf("answers %+v", answers)
		}
	})
}

func TestProvisioning(t *testing.T) {
	run(t, func(x *bench) {
		x.hub.Assign("hub.test")
		x.publish(RegisterTopic("r1"), `{"registrationId":"d"}`)
		const op = "4.d0a671905ea5b2c8.00000001-0e54-4aa0-9d20-aeb1b89e6c7d"
		x.want("$dps/registrations/res/202/?$rid=r1&retry-after=3", `{"operationId":"`+op+`","status":"assigning"}`)
		x.publish(StatusTopic("r2", op), "")
		x.want("$dps/registrations/res/200/?$rid=r2", `{"operationId":"`+op+`","status":"assigned","registrationState":{"registrationId":"d","createdDateTimeUtc":"2000-01-01T`)
		x.publish(StatusTopic("r3", op), "")
		x.want("$dps/registrations/res/404/?$rid=r3", `{"errorCode":404`)
		x.publish(RegisterTopic("r4"), `{"registrationId":"other"}`)
		x.want("$dps/registrations/res/400/?$rid=r4", `{"errorCode":400`)
	})
}

func TestServeAgain(t *testing.T) {
	run(t, func(x *bench) {
		next := broker.New(broker.Options{})
		defer next.Close()
		must(t, x.hub.Serve(next))
		x.publish("$iothub/twin/GET/?$rid=1", "")
		x.wantSilence()
	})
}

// The token is that of Python's hmac and urllib.parse.quote.
func TestToken(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	const want = "SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=A%2BUwqHMczRPN%2FvpzG6FSFkwUkmoo0m8eI6xkixvu0yI%3D&se=1300000000"
	got := Token(Resource("hub.test", "d1"), key, time.Unix(1300000000, 0), "")
	if got != want {
		t.Errorf("token %s, want %s", got, want)
	}
	now := time.Unix(1299999999, 0)
	must(t, Verify(got, Resource("hub.test", "d1"), key, now))
	reg := Token(RegistrationResource("0ne", "d1"), key, now.Add(time.Hour), "registration")
	must(t, Verify(reg, RegistrationResource("0ne", "d1"), key, now))
	for name, err := range map[string]error{
		"expired":        Verify(got, Resource("hub.test", "d1"), key, now.Add(time.Second)),
		"other device":   Verify(got, Resource("hub.test", "d2"), key, now),
		"other key":      Verify(got, Resource("hub.test", "d1"), key[1:], now),
		"later expiry":   Verify(strings.Replace(got, "se=13", "se=14", 1), Resource("hub.test", "d1"), key, now),
		"no token":       Verify("x", Resource("hub.test", "d1"), key, now),
		"half a token":   Verify("SharedAccessSignature sr=%2", Resource("hub.test", "d1"), key, now),
		"without expiry": Verify("SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=x", Resource("hub.test", "d1"), key, now),
	} {
		if err == nil {
			t.Errorf("%s was let in", name)
		}
	}
}

// FuzzTopics feeds any topic and payload to hub and device.
func FuzzTopics(f *testing.F) {
	f.Add("$iothub/twin/GET/?$rid=1", "")
	f.Add("$iothub/twin/PATCH/properties/reported/?$rid=1", `{"a":{"b":null}}`)
	f.Add("$iothub/methods/res/200/?$rid=1", "{}")
	f.Add("$iothub/methods/POST/a%20b/?$rid=1", "{}")
	f.Add("$iothub/twin/res/204/?$rid=1&$version=3", "")
	f.Add("$dps/registrations/PUT/iotdps-register/?$rid=1", `{"registrationId":"d"}`)
	f.Add("$dps/registrations/res/202/?$rid=1&retry-after=3", "")
	f.Fuzz(func(t *testing.T, topic, payload string) {
		if c, ok := ParseCall(topic); ok {
			if again, ok := ParseCall(methodCall + "x/?" + rid(c.ID)); !ok || again.ID != c.ID {
				t.Errorf("%+v, then %+v", c, again)
			}
		}
		if r, ok := ParseResult(topic); ok && r.ID == "" {
			t.Errorf("%q has no identifier", topic)
		}
		b := broker.New(broker.Options{})
		defer b.Close()
		h := New(time.Now, Handlers{})
		must(t, h.Serve(b))
		for _, handle := range []func(broker.Message){h.get, h.patch, h.register, h.status} {
			handle(broker.Message{Topic: topic, Payload: []byte(payload), From: "d"})
		}
		_ = b.Publish(broker.Message{Topic: topic, Payload: []byte(payload)})
	})
}

// FuzzTwin merges any patches: what is accepted stays within the limits.
func FuzzTwin(f *testing.F) {
	f.Add(`{"a":1}`, `{"a":{"b":[1,{"c":null}]}}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		var w Twin
		before := int64(1)
		for _, p := range []string{first, second} {
			version, err := w.Report([]byte(p))
			if err == nil && version != before+1 || err != nil && version != before {
				t.Errorf("version %d after %d, %v", version, before, err)
			}
			before = version
		}
		if n := len(w.Reported()); n > MaxProperties+40 {
			t.Errorf("%d bytes", n)
		}
	})
}
