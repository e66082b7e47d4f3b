package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/thinlink/thinlink/measure"
)

// Capture prints what a capture holds: counts, layers, retransmissions and
// the histogram of packet lengths.
func Capture(w io.Writer, name, device string, res *measure.Result, traffic *measure.Traffic) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: device %s, %s, mean packet %.0f B\n", name, device, seconds(res.WindowS), traffic.MeanPacket)
	t := &table{}
	t.row("direction", "", "packets", "bytes", "on Ethernet", "dropped")
	for _, d := range []struct {
		name string
		c    measure.Counts
	}{{"device to platform", res.Up}, {"platform to device", res.Down}} {
		t.row(d.name, "", count(float64(d.c.Packets)), count(float64(d.c.Bytes)), count(float64(d.c.BytesEthernet)), count(float64(d.c.Dropped)))
	}
	t.write(&b)
	l := res.Layers
	total := float64(max(l.IP+l.Transport+l.Security+l.Protocol+l.Payload, 1))
	t = &table{}
	t.row("layer", "", "bytes", "share")
	for _, layer := range []struct {
		name  string
		bytes int64
	}{{"IP", l.IP}, {"TCP, UDP, ICMP, SMS", l.Transport}, {"TLS, DTLS", l.Security}, {"MQTT, CoAP, HTTP", l.Protocol}, {"payload", l.Payload}} {
		t.row(layer.name, "", count(float64(layer.bytes)), fmt.Sprintf("%.1f %%", 100*float64(layer.bytes)/total))
	}
	t.write(&b)
	r := res.Retransmissions
	fmt.Fprintf(&b, "retransmissions: TCP %d (%d spurious), CoAP %d (%d spurious), DTLS handshake %d; handshakes %d\n",
		r.TCP, r.TCPSpurious, r.CoAP, r.CoAPSpurious, r.DTLS, r.TLSHandshakes)
	t = &table{}
	t.row("packet length", "", "up", "down")
	for _, bin := range traffic.Lengths {
		t.row(fmt.Sprintf("%d-%d B", bin.From, bin.To-1), "", count(float64(bin.Up)), count(float64(bin.Down)))
	}
	t.write(&b)
	for _, warning := range res.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
