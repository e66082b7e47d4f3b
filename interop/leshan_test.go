//go:build interop

package interop

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/lwm2m"
	"github.com/thinlink/thinlink/clients/pki"
)

// jars is the class path of a part of Leshan.
func jars(t *testing.T, pin, part string) string {
	t.Helper()
	dir := filepath.Join(cache(t), part+"-"+pinned(t, pin))
	if _, err := os.Stat(dir); err != nil {
		missing(t, "%s %s: not installed: make interop does", part, pinned(t, pin))
	}
	return filepath.Join(dir, "*")
}

// leshan is the demo server, driven by its REST interface.
type leshan struct{ *process }

// The REST interface is outside the wire that is captured.
const leshanWeb = "127.0.0.1:8080"

func startLeshan(t *testing.T, creds *credentials) *leshan {
	t.Helper()
	path := jars(t, "LESHAN_SERVER_DEMO", "leshan-server-demo")
	java := program(t, "JAVA", "default-jdk-headless", []string{"-version"}, "java")
	trust := filepath.Join(t.TempDir(), "trust")
	must(t, os.Mkdir(trust, 0o700))
	must(t, os.WriteFile(filepath.Join(trust, "root.der"), creds.Root, 0o600))
	here, err := os.Getwd()
	must(t, err)
	p := startWith(t, inTempDir(t), java, "-Dlogback.configurationFile="+filepath.Join(here, "leshan", "logback.xml"),
		"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.net=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED",
		"-cp", path, "org.eclipse.leshan.server.demo.LeshanServerDemo", "-m", filepath.Join(here, "leshan", "models"),
		"-lh", platformAddr.String(), "-slh", platformAddr.String(), "-wh", "127.0.0.1", "-wp", "8080",
		"-cert", creds.serverCert, "-prik", file(t, "key.der", creds.Server.Key), "-truststore", trust)
	p.expect(t, "(?i)web server started|Started ServerConnector", patience)
	return &leshan{p}
}

// inTempDir runs a peer where it may leave files.
func inTempDir(t *testing.T) func(*process) {
	return func(p *process) { p.cmd.Dir = t.TempDir() }
}

// call makes a REST call and returns what it answered, which must be a success.
func (l *leshan) call(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		must(t, err)
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(within(t, patience), method, "http://"+leshanWeb+"/api/"+path, in)
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("Leshan: %s %s: %s: %s", method, path, resp.Status, out)
	}
	var v map[string]any
	if len(out) > 0 && out[0] == '{' {
		must(t, json.Unmarshal(out, &v))
	}
	return v
}

// operate has the server perform an operation on the device and returns its
// response's status and content.
func (l *leshan) operate(t *testing.T, method, path string, body any, query ...string) (status string, content any) {
	t.Helper()
	v := l.call(t, method, "clients/"+pki.DeviceName+path+"?timeout=20&"+strings.Join(query, "&"), body)
	status, _ = v["status"].(string)
	return status, v["content"]
}

// wants performs an operation and holds its response to a status.
func (l *leshan) wants(t *testing.T, want, method, path string, body any, query ...string) any {
	t.Helper()
	status, content := l.operate(t, method, path, body, query...)
	if !strings.HasPrefix(status, want) {
		t.Errorf("%s %s %v: %s, want %s", method, path, query, status, want)
	}
	return content
}

// value is that of a single resource in a response's content.
func value(content any) string {
	m, _ := content.(map[string]any)
	return fmt.Sprint(m["value"])
}

// events follows what the server says of a device until the test ends.
func (l *leshan) events(t *testing.T) *feed {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+leshanWeb+"/event?ep="+url.QueryEscape(pki.DeviceName), nil)
	must(t, err)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	f := &feed{process{name: "Leshan's events", done: make(chan struct{}), more: make(chan struct{})}}
	go func() {
		defer close(f.done)
		defer resp.Body.Close()
		io.Copy(&f.process, resp.Body)
	}()
	return f
}

// feed is a stream of events, read like a process's output.
type feed struct{ process }

// lwm2mDevice is ours at the platform's address.
func lwm2mDevice(t *testing.T, c *capture, creds *credentials, edit func(*lwm2m.Options)) *lwm2m.Device {
	t.Helper()
	opt := lwm2m.DefaultOptions()
	opt.DTLS.Device.FlightInterval = time.Second
	edit(&opt)
	d, err := lwm2m.NewDevice(opt, deviceEnv(t, c, creds))
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// TestLeshanServer has our LwM2M device at Leshan's demo server.
func TestLeshanServer(t *testing.T) {
	creds := newCredentials(t, lwm2m.DefaultOptions().PKI)
	c := record(t, "our LwM2M device at Leshan's demo server")
	l := startLeshan(t, creds)
	for _, security := range []string{lwm2m.NoSec, lwm2m.PSK, lwm2m.Certificate} {
		t.Run(security, func(t *testing.T) { manageByLeshan(t, c, l, creds, security) })
	}
}

// admit tells the server how the device secures its session, if it does.
func (l *leshan) admit(t *testing.T, security string) {
	t.Helper()
	switch security {
	case lwm2m.PSK:
		l.call(t, http.MethodPut, "security/clients", map[string]any{"endpoint": pki.DeviceName,
			"psk": map[string]any{"identity": pskIdentity, "key": hex.EncodeToString([]byte(pskKey))}})
	case lwm2m.Certificate:
		l.call(t, http.MethodPut, "security/clients", map[string]any{"endpoint": pki.DeviceName, "x509": true})
	}
}

func manageByLeshan(t *testing.T, c *capture, l *leshan, creds *credentials, security string) {
	l.admit(t, security)
	news := l.events(t)
	d := lwm2mDevice(t, c, creds, func(o *lwm2m.Options) {
		o.Security, o.Objects, o.Extended, o.Lifetime = security, []int{3303}, true, 6*time.Second
		if security == lwm2m.PSK {
			o.PSKIdentity, o.PSKKey = pskIdentity, hex.EncodeToString([]byte(pskKey))
		}
	})
	now := reading(1)
	c.exchange(t, security+": register", func(t *testing.T) {
		must(t, d.Connect(within(t, patience), now, nil))
		news.expect(t, "event: REGISTRATION", 5*time.Second)
	})
	c.exchange(t, security+": registration update", func(t *testing.T) { news.expect(t, "event: UPDATED", 8*time.Second) })
	for _, format := range []string{"TLV", "JSON", "SENML_JSON", "SENML_CBOR"} {
		c.exchange(t, security+": read an instance in "+format, func(t *testing.T) {
			content := fmt.Sprint(l.wants(t, "CONTENT", http.MethodGet, "/3/0", nil, "format="+format))
			if !strings.Contains(content, "thinlink") {
				t.Errorf("content %s", content)
			}
		})
	}
	c.exchange(t, security+": read an object", func(t *testing.T) { l.wants(t, "CONTENT", http.MethodGet, "/1", nil, "format=TLV") })
	c.exchange(t, security+": read a resource as text", func(t *testing.T) {
		if got := value(l.wants(t, "CONTENT", http.MethodGet, "/3/0/0", nil, "format=TEXT")); got != "thinlink" {
			t.Errorf("manufacturer %q", got)
		}
	})
	c.exchange(t, security+": read what is not there", func(t *testing.T) { l.wants(t, "NOT_FOUND", http.MethodGet, "/3/7", nil) })
	c.exchange(t, security+": write a resource as text", func(t *testing.T) {
		l.wants(t, "CHANGED", http.MethodPut, "/1/0/1", map[string]any{"id": 1, "value": 8}, "format=TEXT")
		if got := value(l.wants(t, "CONTENT", http.MethodGet, "/1/0/1", nil)); got != "8" {
			t.Errorf("lifetime %q", got)
		}
	})
	for _, format := range []string{"TLV", "SENML_JSON", "SENML_CBOR"} {
		c.exchange(t, security+": write a resource in "+format, func(t *testing.T) {
			l.wants(t, "CHANGED", http.MethodPut, "/1/0/1", map[string]any{"id": 1, "value": 9}, "format="+format)
		})
	}
	c.exchange(t, security+": discover", func(t *testing.T) { l.call(t, http.MethodGet, "clients/"+pki.DeviceName+"/3/discover", nil) })
	c.exchange(t, security+": execute registration update trigger", func(t *testing.T) {
		l.wants(t, "CHANGED", http.MethodPost, "/1/0/8", nil)
	})
	for _, format := range []string{"TLV", "JSON", "SENML_JSON", "SENML_CBOR"} {
		c.exchange(t, security+": observe an instance in "+format+", two notifications, cancel", func(t *testing.T) {
			l.wants(t, "CONTENT", http.MethodPost, "/33650/0/observe", nil, "format="+format)
			for range 2 {
				now = reading(now.Integer + 1)
				must(t, d.Report(within(t, patience), now, nil))
				news.expect(t, fmt.Sprintf(`event: NOTIFICATION\s+data: .*"res":"/33650/0".*"value":"?%d\b`, now.Integer), 5*time.Second)
			}
			l.call(t, http.MethodDelete, "clients/"+pki.DeviceName+"/33650/0/observe?timeout=20", nil)
		})
	}
}

// compiled is a program with Leshan's libraries. What it returns starts one.
func compiled(t *testing.T, class string) func(t *testing.T, prepare func(*process), args ...string) *script {
	t.Helper()
	path := jars(t, "LESHAN", "leshan")
	java := program(t, "JAVA", "default-jdk-headless", []string{"-version"}, "java")
	javac := program(t, "JAVA", "default-jdk-headless", []string{"-version"}, "javac")
	classes := t.TempDir()
	run(t, 2*patience, javac, "-d", classes, "-cp", path, "leshan/"+class+".java")
	return func(t *testing.T, prepare func(*process), args ...string) *script {
		t.Helper()
		return startScriptWith(t, prepare, java, append([]string{"-XX:TieredStopAtLevel=1",
			"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classes + ":" + path, class}, args...)...)
	}
}

// leshanModels describes our objects to Leshan.
func leshanModels(t *testing.T) string {
	t.Helper()
	models, err := filepath.Abs("leshan/models")
	must(t, err)
	return models
}

// javaDevice is a program with Leshan's client, compiled.
type javaDevice func(t *testing.T, prepare func(*process), args ...string) *script

func newJavaDevice(t *testing.T) javaDevice {
	t.Helper()
	return compiled(t, "Device")
}

// start starts one for the server at a URI, at an address of its own.
func (d javaDevice) start(t *testing.T, prepare func(*process), at netip.Addr, uri string, security ...string) *script {
	t.Helper()
	return d(t, prepare, append([]string{at.String(), uri, pki.DeviceName, leshanModels(t), "20"}, security...)...)
}

// here starts one at the device's end, for our server.
func (d javaDevice) here(t *testing.T, security ...string) *script {
	t.Helper()
	uri := map[string]string{
		"nosec": overUDP.uri(""), "psk": overPSK.uri(""), "x509": overDTLS.uri(""),
		"bootstrap-nosec": "coap://" + pki.ServerName + ":5783",
		"bootstrap-psk":   "coaps://" + pki.ServerName + ":5784", "bootstrap-x509": "coaps://" + pki.ServerName + ":5784",
	}[append(security, "nosec")[0]]
	return d.start(t, inTempDir(t), deviceAddr, uri, security...)
}

// scenario is how a device and a server manage a device's life.
type scenario struct {
	name, security, delivery, format string
	connectionID                     bool
}

var scenarios = []scenario{
	{"nosec, pull", lwm2m.NoSec, lwm2m.CoAPPull, "", false},
	{"nosec, push, SenML CBOR", lwm2m.NoSec, lwm2m.CoAPPush, "senml-cbor", false},
	{"psk, push", lwm2m.PSK, lwm2m.CoAPPush, "senml-json", false},
	{"certificate, connection ID, push", lwm2m.Certificate, lwm2m.CoAPPush, "", true},
}

func (s scenario) options() lwm2m.Options {
	opt := lwm2m.DefaultOptions()
	s.edit(&opt)
	return opt
}

func (s scenario) edit(o *lwm2m.Options) {
	if o.Security, o.Delivery, o.ConnectionID = s.security, s.delivery, s.connectionID; s.format != "" {
		o.Format = s.format
	}
	if s.security == lwm2m.PSK {
		o.PSKKey = hex.EncodeToString([]byte(pskKey))
	}
}

// leshanSecurity are the arguments by which Leshan's client has its keys.
func leshanSecurity(t *testing.T, creds *credentials, security string) []string {
	t.Helper()
	switch security {
	case lwm2m.PSK:
		return []string{"psk", pki.DeviceName, pskKey}
	case lwm2m.Certificate:
		return []string{"x509", file(t, "cert.der", creds.Device.Chain[0]), file(t, "key.der", creds.Device.Key), file(t, "server.der", creds.Server.Chain[0])}
	}
	return []string{"nosec"}
}

// TestLeshanClient has Leshan's client at our LwM2M server.
func TestLeshanClient(t *testing.T) {
	creds := newCredentials(t, lwm2m.DefaultOptions().PKI)
	c := record(t, "Leshan's client at our LwM2M server")
	device := newJavaDevice(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			p := lwm2mPlatform(t, c, creds, s.options())
			d := device.here(t, leshanSecurity(t, creds, s.security)...)
			manageByOurs(t, c, p, d, s)
			c.exchange(t, s.name+": deregister", func(t *testing.T) { d.do(t, "stop") })
		})
	}
	t.Run("operations", func(t *testing.T) {
		operateByOurs(t, c, creds, func(t *testing.T) agent { return device.here(t) })
	})
	for _, security := range bootstrapped {
		bootstrapByOurs(t, c, creds, security, func(t *testing.T) agent {
			args := leshanSecurity(t, creds, security)
			args[0] = "bootstrap-" + args[0]
			return device.here(t, args...)
		})
	}
}

// bootstrapped are the ways in which devices ask our bootstrap server.
var bootstrapped = []string{lwm2m.NoSec, lwm2m.PSK, lwm2m.Certificate}

// withAccount has a device or platform use the bootstrap server.
func withAccount(o *lwm2m.Options, security string) {
	scenario{security: security, delivery: o.Delivery}.edit(o)
	o.Bootstrap = lwm2m.BootstrapClient
}

// bootstrapByOurs gives a device its account.
func bootstrapByOurs(t *testing.T, c *capture, creds *credentials, security string, device func(*testing.T) agent) {
	opt := lwm2m.DefaultOptions()
	withAccount(&opt, security)
	t.Run(security+" bootstrap", func(t *testing.T) {
		p := lwm2mPlatform(t, c, creds, opt)
		d := device(t)
		c.exchange(t, security+": bootstrap, register, discover, observe", func(t *testing.T) {
			d.do(t, "connect")
			must(t, p.Connected(within(t, patience), pki.DeviceName))
		})
	})
}

// lwm2mPlatform is ours.
func lwm2mPlatform(t *testing.T, c *capture, creds *credentials, opt lwm2m.Options) *lwm2m.Platform {
	t.Helper()
	p, err := lwm2m.NewPlatform(opt, platformEnv(c, creds))
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// platformEnv is the world of a platform of ours.
func platformEnv(c *capture, creds *credentials) *clients.Env {
	return &clients.Env{
		Platform: platformHost, PKI: creds.Material, Seed: 1, Flash: new(flash.Memory),
		KeyLog: &c.keys, Now: time.Now, Record: func(clients.Event) {},
	}
}

// manageByOurs has our server manage a device.
func manageByOurs(t *testing.T, c *capture, p *lwm2m.Platform, d agent, s scenario) {
	ctx := within(t, 3*patience)
	c.exchange(t, s.name+": register, discover, observe", func(t *testing.T) {
		d.do(t, "connect")
		must(t, p.Connected(ctx, pki.DeviceName))
	})
	c.exchange(t, s.name+": two notifications", func(t *testing.T) {
		arrives(t, p, pki.DeviceName, d, 2)
		time.Sleep(quiet)
		arrives(t, p, pki.DeviceName, d, 3)
	})
	c.exchange(t, s.name+": write as text", func(t *testing.T) {
		must(t, p.Command(ctx, pki.DeviceName, 42))
		commanded(t, d, 42)
	})
	c.exchange(t, s.name+": firmware of 256 KiB", func(t *testing.T) {
		img := newImage(256 << 10)
		d.update(t, img, func() error { return p.Update(ctx, pki.DeviceName, img) })
	})
	c.exchange(t, s.name+": registration update", func(t *testing.T) { d.do(t, "updated") })
}
