//go:build interop

package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/mqtt"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/pki"
)

// patience is how long a peer may take for a step on a busy machine.
const patience = 30 * time.Second

// serveBroker is our broker: TLS with client certificates on 8883, plain on
// 1883.
func serveBroker(t *testing.T, creds *credentials, keys *keyLog) *broker.Broker {
	t.Helper()
	b := broker.New(broker.Options{})
	plain, secure := listen(t, 1883), tls.NewListener(listen(t, 8883), creds.serverTLS(t, keys))
	go b.Serve(plain)
	go b.Serve(secure)
	t.Cleanup(func() { b.Close() })
	return b
}

// mosquittoClient runs mosquitto_pub or mosquitto_sub.
type mosquittoClient struct {
	pub, sub string
	creds    *credentials
	secure   bool
	version  string // of -V
}

func (m mosquittoClient) args(more ...string) []string {
	args := []string{"-h", pki.ServerName, "-V", m.version, "-p", "1883"}
	if m.secure {
		args = []string{"-h", pki.ServerName, "-V", m.version, "-p", "8883", "--cafile", m.creds.ca, "--cert", m.creds.deviceCert, "--key", m.creds.deviceKey}
	}
	return append(args, more...)
}

func (m mosquittoClient) publish(t *testing.T, args ...string) {
	t.Helper()
	run(t, patience, m.pub, m.args(args...)...)
}

// subscribe starts mosquitto_sub and waits until it has subscribed.
func (m mosquittoClient) subscribe(t *testing.T, args ...string) *process {
	t.Helper()
	p := startC(t, m.sub, m.args(append(args, "-d")...)...)
	p.expect(t, `Subscribed \(mid`, patience)
	return p
}

// versions of MQTT that both ends speak, as mosquitto_pub -V has them.
var mqttVersions = []struct{ flag, name string }{{"mqttv311", "MQTT 3.1.1"}, {"mqttv5", "MQTT 5"}}

// TestMosquittoClients has mosquitto_pub and mosquitto_sub at our broker.
func TestMosquittoClients(t *testing.T) {
	creds := newCredentials(t, pki.Options{Key: pki.P256, Chain: 1})
	m := mosquittoClients(t, creds)
	c := record(t, "mosquitto_pub and mosquitto_sub at our broker")
	b := serveBroker(t, creds, &c.keys)
	for _, v := range mqttVersions {
		m.secure, m.version = true, v.flag
		for qos := range 3 {
			c.exchange(t, fmt.Sprintf("%s: QoS %d over TLS with client certificates", v.name, qos), func(t *testing.T) { throughOurBroker(t, m, qos) })
		}
		c.exchange(t, v.name+": 1 MiB at QoS 2", func(t *testing.T) { bigMessage(t, m) })
		m.secure = false
		c.exchange(t, v.name+": retained message, replaced and removed", func(t *testing.T) { retained(t, m) })
		c.exchange(t, v.name+": will of a client that is killed, none of one that disconnects", func(t *testing.T) { will(t, m) })
		c.exchange(t, v.name+": persistent session at QoS 1 and 2", func(t *testing.T) { persistent(t, m) })
		c.exchange(t, v.name+": keep-alive", func(t *testing.T) { keepAlive(t, m, b) })
		c.exchange(t, v.name+": wildcards, overlapping", func(t *testing.T) { wildcards(t, m) })
	}
	c.exchange(t, "MQTT 5: properties travel with a message", func(t *testing.T) { properties(t, m) })
	c.exchange(t, "MQTT 5: topic alias", func(t *testing.T) { alias(t, m) })
	c.exchange(t, "MQTT 5: session and message expiry", func(t *testing.T) { expiry(t, m) })
	c.exchange(t, "MQTT 5: receive maximum 1 at QoS 2", func(t *testing.T) { receiveMaximum(t, m) })
	c.exchange(t, "MQTT 5: shared subscription", func(t *testing.T) { shared(t, m) })
	c.exchange(t, "MQTT 5: will with delay", func(t *testing.T) { delayedWill(t, m) })
	c.exchange(t, "no client certificate: refused", func(t *testing.T) {
		p := start(t, m.pub, "-h", pki.ServerName, "-p", "8883", "--cafile", creds.ca, "-t", "a", "-m", "x")
		<-p.done
		if p.err == nil {
			t.Error("accepted without a certificate")
		}
	})
}

// throughOurBroker sends twenty messages through the broker, each once.
func throughOurBroker(t *testing.T, m mosquittoClient, qos int) {
	const count = 20
	level := fmt.Sprint(qos)
	p := m.subscribe(t, "-t", "data/#", "-q", level, "-C", fmt.Sprint(count), "-F", "got %t %q %p")
	var want, input []string
	for i := range count {
		input = append(input, fmt.Sprintf("message %d", i))
		want = append(want, fmt.Sprintf("got data/1 %d message %d", qos, i))
	}
	text := file(t, "lines", []byte(strings.Join(input, "\n")+"\n"))
	run(t, patience, "/bin/sh", append([]string{"-c", `in=$1; shift; "$@" <"$in"`, "sh", text, m.pub}, m.args("-t", "data/1", "-q", level, "-l")...)...)
	if got := messages(p.wait(t, patience)); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// messages are the lines that -F "got ..." made.
func messages(output string) (got []string) {
	for _, line := range lines(output) {
		if strings.HasPrefix(line, "got ") {
			got = append(got, line)
		}
	}
	return got
}

func bigMessage(t *testing.T, m mosquittoClient) {
	data := slices.Repeat([]byte("0123456789abcdef"), (1<<20-64)/16) // the broker takes packets of 1 MiB
	p := m.subscribe(t, "-t", "big", "-q", "2", "-C", "1", "-F", "got %l")
	m.publish(t, "-t", "big", "-q", "2", "-f", file(t, "big", data))
	if got, want := messages(p.wait(t, patience)), []string{fmt.Sprintf("got %d", len(data))}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func retained(t *testing.T, m mosquittoClient) {
	m.publish(t, "-t", "kept/1", "-m", "old", "-r", "-q", "1")
	m.publish(t, "-t", "kept/1", "-m", "new", "-r", "-q", "1")
	p := m.subscribe(t, "-t", "kept/+", "-q", "1", "-C", "1", "-F", "got %r %p")
	if got, want := messages(p.wait(t, patience)), []string{"got 1 new"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	m.publish(t, "-t", "kept/1", "-n", "-r", "-q", "1")
	p = m.subscribe(t, "-t", "kept/+", "-q", "1", "-C", "1", "-F", "got %r %p")
	m.publish(t, "-t", "kept/2", "-m", "live", "-q", "1")
	if got, want := messages(p.wait(t, patience)), []string{"got 0 live"}; !slices.Equal(got, want) {
		t.Errorf("after removal: got %q, want %q", got, want)
	}
}

func will(t *testing.T, m mosquittoClient) {
	watch := m.subscribe(t, "-t", "wills/#", "-q", "2", "-C", "2", "-F", "got %t %q %p")
	polite := m.args("-i", "polite", "-t", "none", "--will-topic", "wills/polite", "--will-payload", "gone", "-E")
	run(t, patience, m.sub, polite...) // -E ends it with DISCONNECT, reason 0
	killed := m.subscribe(t, "-i", "killed", "-t", "none", "--will-topic", "wills/killed", "--will-payload", "gone", "--will-qos", "2")
	killed.kill()
	watch.expect(t, "got wills/killed", patience)
	m.publish(t, "-t", "wills/last", "-m", "end", "-q", "2")
	if got, want := messages(watch.wait(t, patience)), []string{"got wills/killed 2 gone", "got wills/last 2 end"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func persistent(t *testing.T, m mosquittoClient) {
	session := []string{"-i", "sleeper", "-c", "-t", "later/#", "-q", "2"} // MQTT 5: a session that never expires
	run(t, patience, m.sub, m.args(append(session, "-E")...)...)           // subscribes and leaves
	for i, qos := range []string{"1", "2", "1", "2"} {
		m.publish(t, "-t", "later/1", "-m", fmt.Sprint("m", i), "-q", qos)
	}
	p := start(t, m.sub, m.args(append(session, "-C", "4", "-F", "got %q %p")...)...)
	got := messages(p.wait(t, patience))
	slices.Sort(got) // mosquitto_sub hands over QoS 2 when it is released
	if want := []string{"got 1 m0", "got 1 m2", "got 2 m1", "got 2 m3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	run(t, patience, m.sub, m.args("-i", "sleeper", "-t", "later/#", "-E")...) // clean: the session ends
}

func keepAlive(t *testing.T, m mosquittoClient, b *broker.Broker) {
	p := m.subscribe(t, "-i", "awake", "-t", "x", "-k", "5")
	p.expect(t, "received PINGRESP", patience)
	if !b.Connected("awake") {
		t.Error("the broker has dropped a client that keeps alive")
	}
	p.kill()
}

func wildcards(t *testing.T, m mosquittoClient) {
	p := m.subscribe(t, "-t", "a/+/c", "-t", "a/#", "-q", "1", "-C", "3", "-F", "got %t")
	m.publish(t, "-t", "a/b/d", "-m", "1", "-q", "1")
	m.publish(t, "-t", "b/b/c", "-m", "2", "-q", "1")
	m.publish(t, "-t", "a/b/c", "-m", "3", "-q", "1")
	// Once or once for each subscription, as the broker likes [MQTT-3.3.5-1].
	m.publish(t, "-t", "a/end", "-m", "4", "-q", "1")
	m.publish(t, "-t", "a/end", "-m", "4", "-q", "1")
	got := messages(p.wait(t, patience))
	if len(got) != 3 || got[0] != "got a/b/d" || got[1] != "got a/b/c" {
		t.Errorf("got %q", got)
	}
}

func properties(t *testing.T, m mosquittoClient) {
	p := m.subscribe(t, "-t", "asked/#", "-q", "1", "-C", "1", "-F", "got %C %R %D %P %p")
	m.publish(t, "-t", "asked/1", "-q", "1", "-m", "x", "-D", "publish", "content-type", "application/json",
		"-D", "publish", "response-topic", "answers/1", "-D", "publish", "correlation-data", "c17", "-D", "publish", "user-property", "a", "b")
	if got, want := messages(p.wait(t, patience)), []string{"got application/json answers/1 c17 a:b x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func alias(t *testing.T, m mosquittoClient) {
	p := m.subscribe(t, "-t", "a/long/topic", "-q", "1", "-C", "3", "-F", "got %t %p")
	m.publish(t, "-t", "a/long/topic", "-q", "1", "-m", "x", "--repeat", "3", "-D", "publish", "topic-alias", "3")
	if got, want := messages(p.wait(t, patience)), slices.Repeat([]string{"got a/long/topic x"}, 3); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func expiry(t *testing.T, m mosquittoClient) {
	session := func(seconds string, more ...string) []string {
		return m.args(append([]string{"-i", "mortal", "-c", "-x", seconds, "-t", "later/#", "-q", "1"}, more...)...)
	}
	run(t, patience, m.sub, session("60", "-E")...)
	m.publish(t, "-t", "later/1", "-m", "short", "-q", "1", "-D", "publish", "message-expiry-interval", "1")
	m.publish(t, "-t", "later/1", "-m", "long", "-q", "1", "-D", "publish", "message-expiry-interval", "60")
	time.Sleep(1500 * time.Millisecond)
	got := messages(run(t, patience, m.sub, session("1", "-C", "1", "-F", "got %p")...))
	if want := []string{"got long"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	m.publish(t, "-t", "later/1", "-m", "lost", "-q", "1")
	time.Sleep(1500 * time.Millisecond) // the session ends
	p := startC(t, m.sub, session("0", "-d", "-C", "1", "-F", "got %p")...)
	p.expect(t, `Subscribed \(mid`, patience)
	m.publish(t, "-t", "later/1", "-m", "kept", "-q", "1")
	if got, want := messages(p.wait(t, patience)), []string{"got kept"}; !slices.Equal(got, want) {
		t.Errorf("after the session expired: got %q, want %q", got, want)
	}
}

func receiveMaximum(t *testing.T, m mosquittoClient) {
	p := m.subscribe(t, "-t", "many", "-q", "2", "-C", "5", "-F", "got %p", "-D", "connect", "receive-maximum", "1")
	m.publish(t, "-t", "many", "-q", "2", "-m", "x", "--repeat", "5")
	if got, want := messages(p.wait(t, patience)), slices.Repeat([]string{"got x"}, 5); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func shared(t *testing.T, m mosquittoClient) {
	a := m.subscribe(t, "-t", "$share/g/work", "-q", "1", "-C", "2", "-F", "got %p")
	b := m.subscribe(t, "-t", "$share/g/work", "-q", "1", "-C", "2", "-F", "got %p")
	for i := range 4 {
		m.publish(t, "-t", "work", "-q", "1", "-m", fmt.Sprint(i))
	}
	got := append(messages(a.wait(t, patience)), messages(b.wait(t, patience))...)
	slices.Sort(got)
	if want := []string{"got 0", "got 1", "got 2", "got 3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func delayedWill(t *testing.T, m mosquittoClient) {
	watch := m.subscribe(t, "-t", "wills/#", "-q", "1", "-C", "1", "-F", "got %t %p")
	killed := m.subscribe(t, "-i", "late", "-x", "60", "-t", "none", "--will-topic", "wills/late", "--will-payload", "gone", "-D", "will", "will-delay-interval", "1")
	killed.kill()
	begin := time.Now()
	if got, want := messages(watch.wait(t, patience)), []string{"got wills/late gone"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if d := time.Since(begin); d < 900*time.Millisecond {
		t.Errorf("the will came after %v, want 1 s", d)
	}
}

// startMosquitto runs it as broker: TLS with client certificates on 8883, plain
// on 1883.
func startMosquitto(t *testing.T, creds *credentials) *process {
	t.Helper()
	path := program(t, "MOSQUITTO", "mosquitto", []string{"-h"}, "mosquitto")
	conf := fmt.Sprintf(`user root
listener 8883 %[1]s
cafile %[2]s
certfile %[3]s
keyfile %[4]s
require_certificate true
allow_anonymous true
listener 1883 %[1]s
allow_anonymous true
`, platformAddr, creds.ca, creds.serverCert, creds.serverKey)
	p := start(t, path, "-v", "-c", file(t, "mosquitto.conf", []byte(conf)))
	p.expect(t, `mosquitto version \S+ running`, patience)
	return p
}

// TestMosquittoBroker has our MQTT device at Mosquitto, with Mosquitto's clients
// as the application behind it.
func TestMosquittoBroker(t *testing.T) {
	creds := newCredentials(t, pki.Options{Key: pki.P256, Chain: 1})
	program(t, "MOSQUITTO", "mosquitto", []string{"-h"}, "mosquitto")
	m := mosquittoClients(t, creds)
	c := record(t, "our MQTT device at Mosquitto")
	broker := startMosquitto(t, creds)
	deviceAtBroker(t, c, m)
	c.exchange(t, "the broker restarts: the device connects again", func(t *testing.T) { brokerRestarts(t, c, m, broker) })
}

// mosquittoClients are those, over TCP.
func mosquittoClients(t *testing.T, creds *credentials) mosquittoClient {
	t.Helper()
	return mosquittoClient{
		pub:   program(t, "MOSQUITTO", "mosquitto-clients", []string{"--help"}, "mosquitto_pub"),
		sub:   program(t, "MOSQUITTO", "mosquitto-clients", []string{"--help"}, "mosquitto_sub"),
		creds: creds, version: "mqttv311",
	}
}

// mqttDevice is our device at the platform's address.
func mqttDevice(t *testing.T, c *capture, creds *credentials, edit func(*mqtt.Options)) *mqtt.Device {
	t.Helper()
	opt := mqtt.DefaultOptions()
	opt.Topics, opt.OTA, opt.QoS, opt.ReconnectMax = "plain", "none", 1, time.Second
	edit(&opt)
	d, err := mqtt.NewDevice(opt, deviceEnv(t, c, creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// deviceEnv is the world of a device of ours.
func deviceEnv(t *testing.T, c *capture, creds *credentials) *clients.Env {
	return &clients.Env{
		Device: deviceHost, Site: clients.Site{Addr: platformAddr}, PKI: creds.Material, Seed: 1, Flash: new(flash.Memory),
		KeyLog: &c.keys, Now: time.Now, Record: func(clients.Event) {},
	}
}

// Topics of our device.
const (
	reportTopic  = "thinlink/" + pki.DeviceName + "/report"
	commandTopic = "thinlink/" + pki.DeviceName + "/command"
)

// expectReport waits for the reading with an integer.
func expectReport(t *testing.T, app *process, integer int) {
	t.Helper()
	app.expect(t, fmt.Sprintf(`got %s \d \{"string_value":"[^"]*","integer_value":%d,`, reportTopic, integer), patience)
}

// command sends one from Mosquitto's client.
func (m mosquittoClient) command(t *testing.T, value int64) func(context.Context) error {
	return func(context.Context) error {
		m.publish(t, "-t", commandTopic, "-q", "2", "-m", fmt.Sprintf(`{"command":%d}`, value))
		return nil
	}
}

func atMosquitto(t *testing.T, c *capture, m mosquittoClient, edit func(*mqtt.Options)) {
	ctx := within(t, patience)
	app := m.subscribe(t, "-t", "thinlink/#", "-q", "2", "-F", "got %t %q %p")
	d := mqttDevice(t, c, m.creds, edit)
	must(t, d.Connect(ctx, clients.Reading{Text: "a", Integer: 1, Float: 1.5, Boolean: true}, nil))
	expectReport(t, app, 1)
	must(t, d.Report(ctx, clients.Reading{Text: "b", Integer: 2}, nil))
	expectReport(t, app, 2)
	must(t, d.Command(ctx, 42, m.command(t, 42)))
}

func deviceSleeps(t *testing.T, c *capture, m mosquittoClient, version string) {
	ctx := within(t, patience)
	d := mqttDevice(t, c, m.creds, func(o *mqtt.Options) { o.Version, o.CleanSession = version, false })
	must(t, d.Connect(ctx, clients.Reading{Integer: 1}, nil))
	d.PowerOff()
	must(t, m.command(t, 17)(ctx))
	must(t, d.PowerOn(ctx))
	must(t, d.Command(ctx, 17, nil))
}

func brokerRestarts(t *testing.T, c *capture, m mosquittoClient, broker *process) {
	ctx := within(t, patience)
	d := mqttDevice(t, c, m.creds, func(*mqtt.Options) {})
	must(t, d.Connect(ctx, clients.Reading{Integer: 1}, nil))
	broker.kill()
	startMosquitto(t, m.creds)
	app := m.subscribe(t, "-t", "thinlink/#", "-q", "2", "-F", "got %t %q %p")
	must(t, d.Report(ctx, clients.Reading{Integer: 2}, nil))
	expectReport(t, app, 2)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
