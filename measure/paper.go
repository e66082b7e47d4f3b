package measure

import (
	"net/netip"
	"slices"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// infrastructurePorts are services that keep a host going, on UDP or TCP: DNS,
// DHCP, NTP, NetBIOS, SSDP, DHCPv6, mDNS, LLMNR.
var infrastructurePorts = []uint16{53, 67, 68, 123, 137, 138, 546, 547, 1900, 5353, 5355}

// PaperRule returns the trace as the reference experiment counts: only TCP and
// UDP packets between the device and the platforms. Without platforms it takes
// every peer, but no DNS, DHCP, NTP or discovery traffic. Compare its
// BytesEthernet with the paper's figures.
func PaperRule(t *Trace, platforms ...netip.Addr) *Trace {
	out := *t
	if t.Bearer != netem.BearerIP {
		return &out
	}
	out.Packets = nil
	for _, p := range t.Packets {
		ip, err := wire.ParseIPCut(p.Data)
		if err != nil || ip.Protocol != wire.ProtoTCP && ip.Protocol != wire.ProtoUDP {
			continue
		}
		peer := ip.Dst
		if peer == t.Device {
			peer = ip.Src
		}
		if len(platforms) > 0 {
			if slices.Contains(platforms, peer) {
				out.Packets = append(out.Packets, p)
			}
			continue
		}
		src, dst, ok := ports(&ip)
		if ok && (slices.Contains(infrastructurePorts, src) || slices.Contains(infrastructurePorts, dst)) || peer.IsMulticast() {
			continue
		}
		out.Packets = append(out.Packets, p)
	}
	return &out
}
