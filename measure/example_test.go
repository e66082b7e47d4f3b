package measure_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
)

// A link reports to a Recorder; Judge counts what happened in the window.
func Example() {
	device, platform := netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("203.0.113.10")
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rec := measure.NewRecorder(start, device)
	rec.OpenWindow(start)

	// A CoAP request, GET /t, that the link loses, and the same again 2 s later.
	ip := wire.AppendIP(nil, wire.IP{Src: device, Dst: platform, Protocol: wire.ProtoUDP, HopLimit: 64})
	ip = wire.AppendUDP(ip, 49152, 5683)
	ip = append(ip, 0x41, 0x01, 0x12, 0x34, 0xaa, 0xb1, 't')
	wire.Seal(ip)
	rec.Sent(start, 1, netem.Up, ip)
	rec.Dropped(start, 1, netem.DropLoss)
	rec.Sent(start.Add(2*time.Second), 2, netem.Up, ip)
	rec.Delivered(start.Add(3*time.Second), 2)

	rec.CloseWindow(start.Add(time.Minute))
	r := measure.Judge(rec.Trace())
	fmt.Printf("up: %d packets, %d bytes, %d dropped\n", r.Up.Packets, r.Up.Bytes, r.Up.Dropped)
	fmt.Printf("CoAP retransmissions: %d, of these spurious: %d\n", r.Retransmissions.CoAP, r.Retransmissions.CoAPSpurious)
	fmt.Printf("layers: %+v\n", r.Layers)
	// Output:
	// up: 2 packets, 70 bytes, 1 dropped
	// CoAP retransmissions: 1, of these spurious: 0
	// layers: {IP:40 Transport:16 Security:0 Protocol:14 Payload:0}
}
