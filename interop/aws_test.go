//go:build interop

package interop

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt"
	"github.com/thinlink/thinlink/clients/pki"
)

// TestAWSIoTPythonSDK has the reference experiment's own client at our platform:
// its byte counts are those that the experiment published, within a tenth.
func TestAWSIoTPythonSDK(t *testing.T) {
	python := python(t, "AWSIOTPYTHONSDK", "AWSIoTPythonSDK")
	opt := mqtt.DefaultOptions()
	creds := newCredentials(t, opt.PKI)
	c := record(t, "AWSIoTPythonSDK at our platform")
	opt.Topics = "plain" // of the platform's commands
	p := mqttPlatform(t, c, creds, opt)
	d := startScript(t, python, "python/aws_device.py", pki.DeviceName, pki.ServerName, "600", creds.ca, creds.deviceCert, creds.deviceKey)

	c.reference(t, "connect, shadow get and two updates, jobs", 14907, func(t *testing.T) { d.do(t, "connect") })
	d.do(t, "subscribe thinlink/"+pki.DeviceName+"/command")
	c.reference(t, "ten shadow updates", 15394, func(t *testing.T) {
		for i := range 10 {
			d.do(t, fmt.Sprint("report ", i+1))
			time.Sleep(quiet) // thirty seconds in the experiment: acknowledgements come alone
		}
	})
	c.reference(t, "command on a plain topic", 217, func(t *testing.T) {
		must(t, p.Command(within(t, patience), pki.DeviceName, 42))
		if got := d.do(t, "received"); got != "42" {
			t.Errorf("received %q", got)
		}
	})
	c.reference(t, "job with an image of 1 MiB over HTTPS", 1.11e6, func(t *testing.T) {
		updated := make(chan error, 1)
		go func() { updated <- p.Update(within(t, patience), pki.DeviceName, newImage(1<<20)) }()
		d.do(t, "job")
		must(t, <-updated)
	})
	c.exchange(t, "disconnect", func(t *testing.T) { d.do(t, "disconnect") })

	// The experiment's client pings once in ten minutes; this one, in four seconds.
	d = startScript(t, python, "python/aws_device.py", pki.DeviceName, pki.ServerName, "4", creds.ca, creds.deviceCert, creds.deviceKey)
	d.do(t, "connect")
	c.reference(t, "one keep-alive", 260, func(t *testing.T) { time.Sleep(4500 * time.Millisecond) })
}

// TestAWSShadowDelta sends a desired state to the reference experiment's client.
func TestAWSShadowDelta(t *testing.T) {
	python := python(t, "AWSIOTPYTHONSDK", "AWSIoTPythonSDK")
	opt := mqtt.DefaultOptions()
	creds := newCredentials(t, opt.PKI)
	c := record(t, "AWSIoTPythonSDK at our platform")
	p := mqttPlatform(t, c, creds, opt)
	d := startScript(t, python, "python/aws_device.py", pki.DeviceName, pki.ServerName, "600", creds.ca, creds.deviceCert, creds.deviceKey)
	d.do(t, "connect")
	c.exchange(t, "desired state", func(t *testing.T) {
		must(t, p.Command(within(t, patience), pki.DeviceName, 17))
		if got := d.do(t, "delta"); got != "17" {
			t.Errorf("the delta says %q", got)
		}
	})
}

// mqttPlatform is ours.
func mqttPlatform(t *testing.T, c *capture, creds *credentials, opt mqtt.Options) *mqtt.Platform {
	t.Helper()
	p, err := mqtt.NewPlatform(opt, platformEnv(c, creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// newImage is a firmware image of random bytes.
func newImage(size int) clients.Image {
	data := make([]byte, size)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(data)
	return clients.Image{Name: "firmware", Version: "1.0.1", Data: data, SHA256: sha256.Sum256(data)}
}

// script is a peer that obeys one line of its standard input after the other.
type script struct {
	*process
	in io.Writer
}

func startScript(t *testing.T, path string, args ...string) *script {
	t.Helper()
	return startScriptWith(t, func(*process) {}, path, args...)
}

func startScriptWith(t *testing.T, prepare func(*process), path string, args ...string) *script {
	t.Helper()
	s := &script{}
	s.process = startWith(t, func(p *process) {
		prepare(p)
		in, err := p.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		s.in = in
	}, path, args...)
	s.expect(t, `(?m)^ready\n`, patience)
	return s
}

// do has the peer carry out a command and returns the result.
func (s *script) do(t *testing.T, command string) (result string) {
	t.Helper()
	s.mu.Lock()
	s.out.Reset()
	s.mu.Unlock()
	if _, err := fmt.Fprintln(s.in, command); err != nil {
		t.Fatal(err)
	}
	return s.expect(t, "(?m)^done "+command+" (.*)\n", patience)[1]
}
