//go:build interop

package interop

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/measure"
)

// leshanServer is a server with Leshan's libraries, newer than the demo.
type leshanServer struct{ *script }

func startLeshanServer(t *testing.T, creds *credentials) leshanServer {
	t.Helper()
	return leshanServer{compiled(t, "Server")(t, inTempDir(t), platformAddr.String(), leshanModels(t),
		file(t, "cert.der", creds.Server.Chain[0]), file(t, "key.der", creds.Server.Key), file(t, "root.der", creds.Root))}
}

// wants has the server perform an operation and holds the result to what it
// must contain.
func (l leshanServer) wants(t *testing.T, command string, want ...string) {
	t.Helper()
	got := l.do(t, command)
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s: %s, want %s", command, got, w)
		}
	}
}

// TestLeshanLibrary has our LwM2M device at a server with Leshan's libraries.
func TestLeshanLibrary(t *testing.T) {
	creds := newCredentials(t, lwm2m.DefaultOptions().PKI)
	c := record(t, "our LwM2M device at Leshan's server library")
	l := startLeshanServer(t, creds)
	now := reading(1)

	t.Run("operations", func(t *testing.T) {
		d := lwm2mDevice(t, c, creds, func(o *lwm2m.Options) {
			o.Security, o.Objects, o.Extended, o.Apply = lwm2m.NoSec, []int{19, 3303}, true, true
		})
		c.exchange(t, "register with 1.1", func(t *testing.T) {
			must(t, d.Connect(within(t, patience), now, nil))
			l.wants(t, "wait registered", "LwM2M 1.1 [U]")
		})
		operateByLeshan(t, c, l, d, now)
		must(t, d.Close())
	})
	for _, s := range scenarios[1:] { // its server has no files to pull
		t.Run(s.name, func(t *testing.T) { manageByLeshanLibrary(t, c, l, creds, s) })
	}
	t.Run("1.0 and 1.2", func(t *testing.T) { versionsAtLeshan(t, c, l, creds, now) })
	t.Run("send", func(t *testing.T) { sendToLeshan(t, c, l, creds, now) })
	t.Run("queue", func(t *testing.T) { queueAtLeshan(t, c, l, creds, now) })
	t.Run("another address", func(t *testing.T) { movesAtLeshan(t, c, l, creds) })
	t.Run("connection ID", func(t *testing.T) { identifiedByLeshan(t, c, l, creds, now) })
	t.Run("bootstrap", func(t *testing.T) { bootstrapByLeshan(t, c, l, creds) })
}

func operateByLeshan(t *testing.T, c *capture, l leshanServer, d *lwm2m.Device, now clients.Reading) {
	perform := func(name, command string, want ...string) {
		c.exchange(t, name, func(t *testing.T) { l.wants(t, command, want...) })
	}
	perform("discover", "discover /33650/0", "CONTENT", "/33650/0/3")
	perform("write attributes", "attributes /33650/0 1 60", "CHANGED")
	perform("discover attributes", "discover /33650/0", "pmin=1", "pmax=60")
	perform("write attributes anew", "attributes /33650/0 0 300", "CHANGED")
	for _, format := range []string{"TLV", "JSON", "SENML_JSON", "SENML_CBOR"} {
		perform("read an instance in "+format, "read "+format+" /33650/0", "CONTENT", "21.5")
		perform("write a resource in "+format, "write "+format+" /33650/0/4 600", "CHANGED")
		perform("update an instance in "+format, "update "+format+" /33650/0/4 300", "CHANGED")
	}
	perform("read a resource in text", "read TEXT /33650/0/1", "CONTENT", "value=1,")
	perform("read a resource in CBOR", "read CBOR /33650/0/1")
	perform("write the lifetime as text", "write TEXT /1/0/1 600", "CHANGED")
	perform("create", "create TLV 19 7 0=0xcafe 2=9", "CREATED")
	perform("read what was created", "read TLV /19/7/0/0", "CONTENT", "value=2Bytes")
	perform("delete", "delete /19/7", "DELETED")
	perform("read what was deleted", "read TLV /19/7", "NOT_FOUND")
	perform("execute registration update trigger", "execute /1/0/8", "CHANGED")
	perform("execute what cannot be", "execute /3/0/0", "METHOD_NOT_ALLOWED")
	for _, format := range []string{"SENML_JSON", "SENML_CBOR"} {
		perform("read-composite in "+format, "read-composite "+format+" /3/0/0 /33650/0/1 /1/0", "CONTENT", "thinlink", "/33650/0/1", "/1/0")
		perform("write-composite in "+format, "write-composite "+format+" /1/0/1=500 /33650/0/4=17", "CHANGED")
		c.exchange(t, "observe-composite in "+format+", two notifications, cancel", func(t *testing.T) {
			l.wants(t, "observe-composite "+format+" /33650/0/1 /3/0/0", "CONTENT")
			notify(t, l, d, &now)
		})
	}
	c.exchange(t, "observe an instance in SENML_CBOR, two notifications, cancel", func(t *testing.T) {
		l.wants(t, "observe SENML_CBOR /33650/0", "CONTENT")
		notify(t, l, d, &now)
	})
	img := newImage(64 << 10)
	must(t, d.Expect(img))
	c.exchange(t, "firmware of 64 KiB, pushed and applied", func(t *testing.T) {
		l.wants(t, "observe TEXT /5/0/3", "CONTENT", "value=0,")
		l.wants(t, "push /5/0/0 "+file(t, "image", img.Data), "CHANGED")
		l.wants(t, "wait notification", "value=1,")
		l.wants(t, "wait notification", "value=2,")
		l.wants(t, "execute /5/0/2", "CHANGED")
		l.wants(t, "wait registered", "LwM2M 1.1")
		l.wants(t, "read TEXT /5/0/5", "value=1,")
	})
}

// exploreByLeshan does to a device that registers what our server does.
func exploreByLeshan(t *testing.T, l leshanServer, format string) {
	t.Helper()
	l.wants(t, "wait registered", "LwM2M 1.1")
	l.wants(t, "discover /3", "CONTENT")
	l.wants(t, "discover /33650", "CONTENT")
	l.wants(t, "observe "+format+" /33650/0", "CONTENT")
}

// secure tells the server how the device secures its session.
func (l leshanServer) secure(t *testing.T, security string) {
	t.Helper()
	l.wants(t, "nosec "+pki.DeviceName)
	switch security {
	case lwm2m.PSK:
		l.wants(t, fmt.Sprintf("psk %s %s %x", pki.DeviceName, pki.DeviceName, pskKey))
	case lwm2m.Certificate:
		l.wants(t, "x509 "+pki.DeviceName)
	}
}

// manageByLeshanLibrary does to our device what manageByOurs does.
func manageByLeshanLibrary(t *testing.T, c *capture, l leshanServer, creds *credentials, s scenario) {
	l.secure(t, s.security)
	l.wants(t, "forget notification") // of the device before
	d := newOwnDevice(t, c, creds, s.edit)
	c.exchange(t, s.name+": register, discover, observe", func(t *testing.T) {
		d.do(t, "connect")
		exploreByLeshan(t, l, map[string]string{"": "TLV", "senml-cbor": "SENML_CBOR", "senml-json": "SENML_JSON"}[s.format])
	})
	c.exchange(t, s.name+": two notifications", func(t *testing.T) {
		for n := range 2 {
			d.do(t, fmt.Sprint("report ", n+2))
			l.wants(t, "wait notification", fmt.Sprintf("value=%d,", n+2))
			time.Sleep(quiet)
		}
	})
	c.exchange(t, s.name+": write as text", func(t *testing.T) {
		l.wants(t, "write TEXT /33650/0/4 42", "CHANGED")
		commanded(t, d, 42)
	})
	img := newImage(256 << 10)
	path := file(t, "image", img.Data)
	c.exchange(t, s.name+": firmware of 256 KiB", func(t *testing.T) {
		d.update(t, img, func() error {
			l.wants(t, "observe TEXT /5/0/3", "CONTENT", "value=0,")
			l.wants(t, "observe TEXT /5/0/5", "CONTENT", "value=0,")
			l.wants(t, "push /5/0/0 "+path, "CHANGED")
			l.wants(t, "wait notification", "value=1,")
			l.wants(t, "wait notification", "value=2,")
			return nil
		})
	})
	c.exchange(t, s.name+": registration update", func(t *testing.T) { d.do(t, "updated") })
	must(t, d.Close())
	l.wants(t, "nosec "+pki.DeviceName)
}

// notify reports twice to an observation and has it cancelled.
func notify(t *testing.T, l leshanServer, d *lwm2m.Device, now *clients.Reading) {
	t.Helper()
	for range 2 {
		*now = reading(now.Integer + 1)
		must(t, d.Report(within(t, patience), *now, nil))
		l.wants(t, "wait notification", fmt.Sprintf("value=%d,", now.Integer))
	}
	l.wants(t, "cancel", "CONTENT")
}

func versionsAtLeshan(t *testing.T, c *capture, l leshanServer, creds *credentials, now clients.Reading) {
	for _, version := range []string{content.V10, content.V12} {
		format := map[string]string{content.V10: "JSON", content.V12: "SENML_CBOR"}[version]
		d := lwm2mDevice(t, c, creds, func(o *lwm2m.Options) { o.Security, o.Version = lwm2m.NoSec, version })
		c.exchange(t, version+": register, read", func(t *testing.T) {
			must(t, d.Connect(within(t, patience), now, nil))
			l.wants(t, "wait registered", "LwM2M "+version)
			l.wants(t, "read "+format+" /33650/0", "CONTENT", "21.5")
		})
		must(t, d.Close())
	}
}

func sendToLeshan(t *testing.T, c *capture, l leshanServer, creds *credentials, now clients.Reading) {
	for _, format := range []string{"senml-json", "senml-cbor"} {
		d := lwm2mDevice(t, c, creds, func(o *lwm2m.Options) {
			o.Security, o.Report, o.Format = lwm2m.NoSec, lwm2m.ReportSend, format
		})
		must(t, d.Connect(within(t, patience), now, nil))
		l.wants(t, "wait registered", "LwM2M 1.1")
		l.wants(t, "wait send", fmt.Sprint(now.Float))
		c.exchange(t, "send in "+strings.ToUpper(strings.ReplaceAll(format, "-", "_")), func(t *testing.T) {
			now = reading(now.Integer + 1)
			must(t, d.Report(within(t, patience), now, nil))
			l.wants(t, "wait send", fmt.Sprintf("value=%d,", now.Integer))
		})
		must(t, d.Close())
	}
}

// leshanKey is identity and key as the server's commands have them.
var leshanKey = fmt.Sprintf(" %s %x", pskIdentity, pskKey)

// withKey gives a device the key that the server knows.
func withKey(o *lwm2m.Options) {
	o.Security, o.PSKIdentity, o.PSKKey = lwm2m.PSK, pskIdentity, hex.EncodeToString([]byte(pskKey))
}

func queueAtLeshan(t *testing.T, c *capture, l leshanServer, creds *credentials, now clients.Reading) {
	l.wants(t, "psk "+pki.DeviceName+leshanKey)
	d := lwm2mDevice(t, c, creds, func(o *lwm2m.Options) {
		withKey(o)
		o.Queue, o.Awake, o.Lifetime = true, 2*time.Second, 8*time.Second // an update every 4 s
	})
	c.exchange(t, "queue mode: register with a pre-shared key, then sleep", func(t *testing.T) {
		must(t, d.Connect(within(t, patience), now, nil))
		l.wants(t, "wait registered", "LwM2M 1.1")
		l.wants(t, "wait sleeping")
		l.wants(t, "read TLV /33650/0", "ClientSleepingException")
	})
	c.exchange(t, "queue mode: wake by a registration update, read", func(t *testing.T) {
		l.wants(t, "wait awake") // once for the registration
		l.wants(t, "wait awake")
		l.wants(t, "read TLV /33650/0", "CONTENT")
	})
	must(t, d.Close())
}

func identifiedByLeshan(t *testing.T, c *capture, l leshanServer, creds *credentials, now clients.Reading) {
	l.wants(t, "nosec "+pki.DeviceName)
	l.wants(t, "x509 "+pki.DeviceName)
	d := lwm2mDevice(t, c, creds, func(o *lwm2m.Options) { o.ConnectionID = true })
	c.exchange(t, "certificates, connection ID: register", func(t *testing.T) {
		must(t, d.Connect(within(t, patience), now, nil))
		l.wants(t, "wait registered", "LwM2M 1.1")
	})
	c.exchange(t, "certificates, connection ID: read", func(t *testing.T) { l.wants(t, "read TLV /33650/0", "CONTENT") })
	must(t, d.Close())
	l.wants(t, "nosec "+pki.DeviceName)
}

// movesAtLeshan has a NAT give the device another address, which its session
// survives by its connection ID (RFC 9146).
func movesAtLeshan(t *testing.T, c *capture, l leshanServer, creds *credentials) {
	l.secure(t, lwm2m.PSK)
	nat := newNAT(t, overPSK.port)
	d := newOwnDeviceFor(t, natAddr, c, creds, func(o *lwm2m.Options) {
		scenario{security: lwm2m.PSK, delivery: o.Delivery, connectionID: true}.edit(o)
		o.UpdateInterval = 2 * time.Second
	})
	c.exchange(t, "connection ID, through a NAT: register", func(t *testing.T) {
		d.do(t, "connect")
		l.wants(t, "wait registered", "LwM2M 1.1")
	})
	connected := time.Now()
	c.exchange(t, "connection ID, from another address: registration update, read", func(t *testing.T) {
		l.wants(t, "forget updated")
		port := nat.move(t)
		l.wants(t, "wait updated", fmt.Sprintf("%s:%d", natAddr, port))
		l.wants(t, "read TEXT /3/0/0", "CONTENT", "thinlink")
	})
	if n := measure.Judge(c.trace(connected, time.Now())).Retransmissions.TLSHandshakes; n != 0 {
		t.Errorf("%d new handshakes", n)
	}
	must(t, d.Close())
	l.wants(t, "nosec "+pki.DeviceName)
}

func bootstrapByLeshan(t *testing.T, c *capture, l leshanServer, creds *credentials) {
	accounts := map[string]string{
		lwm2m.PSK: fmt.Sprintf(" %s %x", pki.DeviceName, pskKey),
		lwm2m.Certificate: fmt.Sprintf(" %s %s %s", file(t, "cert.der", creds.Device.Chain[0]), file(t, "key.der", creds.Device.Key),
			file(t, "root.der", creds.Root)),
	}
	for _, security := range bootstrapped {
		l.secure(t, security)
		l.wants(t, "account "+pki.DeviceName+accounts[security])
		d := newOwnDevice(t, c, creds, func(o *lwm2m.Options) { withAccount(o, security) })
		c.exchange(t, security+": bootstrap, register, discover, observe", func(t *testing.T) {
			d.do(t, "connect")
			exploreByLeshan(t, l, "TLV")
		})
		l.wants(t, "read TLV /1/0", "CONTENT", "300")
		must(t, d.Close())
	}
}
