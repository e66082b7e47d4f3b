package measure

import (
	"cmp"
	"slices"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// PortCounts are the packets between the device and one port of the platform.
type PortCounts struct {
	Port uint16 `json:"port"`
	Up   Counts `json:"up"`
	Down Counts `json:"down"`
}

// Ports divides what Judge counts among the platform's ports, in their order.
// Packets without port, of fragments and of ICMP, are left out.
func Ports(t *Trace) []PortCounts {
	var list []PortCounts
	for i := range t.Packets {
		p := &t.Packets[i]
		port, ok := platformPort(p)
		if !ok || !t.inWindow(p.Time) {
			continue
		}
		at, found := slices.BinarySearchFunc(list, port, func(c PortCounts, port uint16) int { return cmp.Compare(c.Port, port) })
		if !found {
			list = slices.Insert(list, at, PortCounts{Port: port})
		}
		if p.Dir == netem.Down {
			list[at].Down.add(t, p)
		} else {
			list[at].Up.add(t, p)
		}
	}
	return list
}

// platformPort is the port of a packet at the platform's end.
func platformPort(p *Packet) (port uint16, ok bool) {
	ip, err := wire.ParseIPCut(p.Data)
	if err != nil {
		return 0, false
	}
	src, dst, ok := ports(&ip)
	if p.Dir == netem.Down {
		return src, ok
	}
	return dst, ok
}
