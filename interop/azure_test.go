//go:build interop

package interop

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/thinlink/thinlink/clients/mqtt"
	"github.com/thinlink/thinlink/clients/pki"
)

// TestAzureIoTDevice has the vendor's device SDK at our hub.
func TestAzureIoTDevice(t *testing.T) {
	python := python(t, "AZURE_IOT_DEVICE", "azure-iot-device")
	opt := mqtt.DefaultOptions()
	opt.Topics, opt.Auth, opt.QoS = "azure", "password", 1
	opt.Password = base64.StdEncoding.EncodeToString([]byte(pskKey))
	creds := newCredentials(t, opt.PKI)
	c := record(t, "azure-iot-device at our platform")
	p := mqttPlatform(t, c, creds, opt)
	d := startScript(t, python, "python/azure_device.py", pki.DeviceName, pki.ServerName, opt.Password, creds.ca)
	expect := func(t *testing.T, command, want string) {
		t.Helper()
		if got := d.do(t, command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	c.exchange(t, "register with the provisioning service", func(t *testing.T) {
		expect(t, "register", "assigned "+pki.ServerName+" "+pki.DeviceName)
	})
	c.exchange(t, "connect with a shared access signature", func(t *testing.T) { expect(t, "connect", "") })
	c.exchange(t, "twin: report properties, read", func(t *testing.T) { expect(t, "twin", "thinlink") })
	c.exchange(t, "telemetry", func(t *testing.T) { arrives(t, p, pki.DeviceName, d, 1) })
	c.exchange(t, "direct method", func(t *testing.T) {
		must(t, p.Command(within(t, patience), pki.DeviceName, 42))
		expect(t, "method", "command 42")
	})
	c.exchange(t, "firmware of 256 KiB over HTTPS, as a desired property", func(t *testing.T) {
		updated := make(chan error, 1)
		go func() { updated <- p.Update(within(t, patience), pki.DeviceName, newImage(256<<10)) }()
		expect(t, "update", fmt.Sprint(256<<10))
		must(t, <-updated)
	})
	c.exchange(t, "disconnect", func(t *testing.T) { expect(t, "disconnect", "") })
	must(t, p.Close())

	opt.Auth, opt.Password, opt.Command = "certificate", "", "message"
	p = mqttPlatform(t, c, creds, opt)
	d = startScript(t, python, "python/azure_device.py", pki.DeviceName, pki.ServerName, "", creds.ca, creds.deviceCert, creds.deviceKey)
	c.exchange(t, "connect with a certificate", func(t *testing.T) { expect(t, "connect", "") })
	c.exchange(t, "certificate: telemetry", func(t *testing.T) { arrives(t, p, pki.DeviceName, d, 2) })
	c.exchange(t, "message to the device", func(t *testing.T) {
		must(t, p.Command(within(t, patience), pki.DeviceName, 17))
		expect(t, "message", "17")
	})
}
