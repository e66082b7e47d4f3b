//go:build interop

package interop

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients/mqtt"
	"github.com/thinlink/thinlink/clients/pki"
)

// TestOwnMQTT has our MQTT device at our platform, exchange by exchange what the
// reference experiment's client does there.
func TestOwnMQTT(t *testing.T) {
	creds := newCredentials(t, mqtt.DefaultOptions().PKI)
	c := record(t, "our MQTT device at our platform")
	t.Run("shadow", func(t *testing.T) { ownShadow(t, c, creds) })
	t.Run("plain", func(t *testing.T) {
		o := newOwnMQTT(t, c, creds, func(o *mqtt.Options) { o.Topics, o.OTA = "plain", "none" })
		o.connect(t)
		c.exchange(t, "command on a plain topic", o.command)
	})
	t.Run("keep-alive", func(t *testing.T) {
		newOwnMQTT(t, c, creds, func(o *mqtt.Options) { o.KeepAlive = 4 * time.Second }).connect(t)
		c.exchange(t, "one keep-alive", func(t *testing.T) { time.Sleep(4500 * time.Millisecond) })
	})
}

func ownShadow(t *testing.T, c *capture, creds *credentials) {
	o := newOwnMQTT(t, c, creds, func(*mqtt.Options) {})
	c.exchange(t, "connect, shadow get and two updates, jobs", o.connect)
	c.exchange(t, "ten shadow updates", func(t *testing.T) {
		for i := range 10 {
			o.report(t, int64(i+2))
			time.Sleep(quiet) // as the others do
		}
	})
	c.exchange(t, "desired state", o.command)
	c.exchange(t, "job with an image of 1 MiB over HTTPS", func(t *testing.T) { o.update(t, 1<<20) })
	c.exchange(t, "disconnect", func(t *testing.T) { must(t, o.device.Close()) })
}

// TestOwnAzure has our MQTT device at our Azure hub, as azure-iot-device is.
func TestOwnAzure(t *testing.T) {
	creds := newCredentials(t, mqtt.DefaultOptions().PKI)
	c := record(t, "our MQTT device at our Azure hub")
	o := newOwnMQTT(t, c, creds, func(o *mqtt.Options) {
		o.Topics, o.Auth, o.QoS = "azure", "password", 1
		o.Password = base64.StdEncoding.EncodeToString([]byte(pskKey))
	})
	o.connect(t)
	c.exchange(t, "telemetry", func(t *testing.T) { o.report(t, 2) })
	c.exchange(t, "direct method", o.command)
	c.exchange(t, "firmware of 256 KiB over HTTPS, as a desired property", func(t *testing.T) { o.update(t, 256<<10) })
	c.exchange(t, "disconnect", func(t *testing.T) { must(t, o.device.Close()) })
}

// ownMQTT is our device at our platform.
type ownMQTT struct {
	device   *mqtt.Device
	platform *mqtt.Platform
}

func newOwnMQTT(t *testing.T, c *capture, creds *credentials, edit func(*mqtt.Options)) *ownMQTT {
	t.Helper()
	opt := mqtt.DefaultOptions()
	edit(&opt)
	return &ownMQTT{
		platform: mqttPlatform(t, c, creds, opt),
		device:   mqttDevice(t, c, creds, func(o *mqtt.Options) { *o = opt }),
	}
}

func (o *ownMQTT) connect(t *testing.T) {
	arrived, err := o.platform.Await(pki.DeviceName, reading(1))
	must(t, err)
	must(t, o.device.Connect(within(t, patience), reading(1), arrived))
	must(t, o.platform.Connected(within(t, patience), pki.DeviceName))
}

func (o *ownMQTT) report(t *testing.T, n int64) {
	arrived, err := o.platform.Await(pki.DeviceName, reading(n))
	must(t, err)
	must(t, o.device.Report(within(t, patience), reading(n), arrived))
}

func (o *ownMQTT) command(t *testing.T) {
	must(t, o.device.Command(within(t, patience), 42, func(ctx context.Context) error {
		return o.platform.Command(ctx, pki.DeviceName, 42)
	}))
}

func (o *ownMQTT) update(t *testing.T, size int) {
	img := newImage(size)
	must(t, o.device.Expect(img))
	must(t, o.platform.Update(within(t, patience), pki.DeviceName, img))
}

// TestOwnBroker has our MQTT device at our broker, as it is at Mosquitto, with
// Mosquitto's clients as the application.
func TestOwnBroker(t *testing.T) {
	creds := newCredentials(t, pki.Options{Key: pki.P256, Chain: 1})
	m := mosquittoClients(t, creds)
	c := record(t, "our MQTT device at our broker")
	serveBroker(t, creds, &c.keys)
	deviceAtBroker(t, c, m)
}

// deviceAtBroker connects, reports and takes a command in every version.
func deviceAtBroker(t *testing.T, c *capture, m mosquittoClient) {
	for _, version := range []string{"3.1.1", "5"} {
		for qos, tls := range []string{"1.2", "1.3", "1.3"} {
			c.exchange(t, fmt.Sprintf("MQTT %s, TLS %s with client certificates, QoS %d: connect, report, command", version, tls, qos), func(t *testing.T) {
				atMosquitto(t, c, m, func(o *mqtt.Options) { o.Version, o.TLS, o.QoS = version, tls, qos })
			})
		}
		c.exchange(t, fmt.Sprintf("MQTT %s: what was sent while the device was off", version), func(t *testing.T) { deviceSleeps(t, c, m, version) })
	}
}
