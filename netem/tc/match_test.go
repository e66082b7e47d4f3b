package tc

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// matches applies a u32 filter to a packet as the kernel does.
func (f *filter) matches(ip []byte) bool {
	if f.ipv6 != (ip[0]>>4 == 6) {
		return false
	}
	for _, k := range f.keys {
		if be32(ip[k.at:])&k.mask != k.value {
			return false
		}
	}
	return true
}

func TestPeerFilters(t *testing.T) {
	device, platform := netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("203.0.113.10")
	device6, platform6 := netip.MustParseAddr("fd00:6c::2"), netip.MustParseAddr("2001:db8::10")
	datagram := func(src, dst netip.Addr, from, to uint16) []byte {
		b := wire.AppendIP(nil, wire.IP{Src: src, Dst: dst, Protocol: wire.ProtoUDP, HopLimit: 64})
		return append(wire.AppendUDP(b, from, to), 1)
	}
	for _, test := range []struct {
		peer     string
		dir      netem.Direction
		ip       []byte
		selected bool
	}{
		{"203.0.113.10:0", netem.Up, datagram(device, platform, 1, 2), true},
		{"203.0.113.10:0", netem.Up, datagram(platform, device, 1, 2), false},
		{"203.0.113.10:0", netem.Down, datagram(platform, device, 1, 2), true},
		{"203.0.113.10:2", netem.Up, datagram(device, platform, 1, 2), true},
		{"203.0.113.10:1", netem.Up, datagram(device, platform, 1, 2), false},
		{"203.0.113.10:1", netem.Down, datagram(platform, device, 1, 2), true},
		{"203.0.113.11:0", netem.Up, datagram(device, platform, 1, 2), false},
		{"[2001:db8::10]:0", netem.Up, datagram(device6, platform6, 1, 2), true},
		{"[2001:db8::10]:2", netem.Up, datagram(device6, platform6, 1, 2), true},
		{"[2001:db8::10]:3", netem.Up, datagram(device6, platform6, 1, 2), false},
		{"[2001:db8::10]:1", netem.Down, datagram(platform6, device6, 1, 2), true},
		{"[2001:db8::10]:0", netem.Up, datagram(device, platform, 1, 2), false},
	} {
		m := Match{To: []netip.AddrPort{netip.MustParseAddrPort(test.peer)}}
		got := slices.ContainsFunc(m.filters("eth0", test.dir), func(f filter) bool { return f.matches(test.ip) })
		if got != test.selected {
			t.Errorf("%s %v: selected %v, want %v", test.peer, test.dir, got, test.selected)
		}
	}
}

// What a shaping is in tc's words.
func TestCommands(t *testing.T) {
	user := uint32(1000)
	up, down := Netem{Limit: 9, Delay: 30 * ms}, Netem{Limit: 9, Delay: 50 * ms}
	for _, test := range []struct {
		name  string
		match Match
		want  []string
	}{
		{"all", Match{}, []string{
			"tc qdisc add dev eth0 root handle 7e11: netem limit 9 delay 30ms",
			"ip link add tl-ifb2 type ifb", "ip link set tl-ifb2 up",
			"tc qdisc add dev tl-ifb2 root handle 7e11: netem limit 9 delay 50ms",
			"tc qdisc add dev eth0 handle ffff: ingress",
			"tc filter add dev eth0 parent ffff: prio 1 protocol all matchall action mirred egress redirect dev tl-ifb2",
		}},
		{"user", Match{UID: &user}, []string{
			"tc qdisc add dev eth0 root handle 7e11: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
			"tc qdisc add dev eth0 parent 7e11:2 handle 7e12: netem limit 9 delay 30ms",
			"tc filter add dev eth0 parent 7e11: prio 1 protocol all flow map key sk-uid xor 0x3e8 baseclass 7e11:2",
		}},
		{"gateway", Match{From: "wlan0"}, []string{
			"tc qdisc add dev eth0 root handle 7e11: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
			"tc qdisc add dev eth0 parent 7e11:2 handle 7e12: netem limit 9 delay 30ms",
			"tc filter add dev eth0 parent 7e11: prio 1 protocol ip u32 match u32 0 0 indev wlan0 flowid 7e11:2",
			"tc filter add dev eth0 parent 7e11: prio 2 protocol ipv6 u32 match u32 0 0 indev wlan0 flowid 7e11:2",
			"tc qdisc add dev wlan0 root handle 7e11: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
			"tc qdisc add dev wlan0 parent 7e11:2 handle 7e12: netem limit 9 delay 50ms",
			"tc filter add dev wlan0 parent 7e11: prio 1 protocol ip u32 match u32 0 0 indev eth0 flowid 7e11:2",
			"tc filter add dev wlan0 parent 7e11: prio 2 protocol ipv6 u32 match u32 0 0 indev eth0 flowid 7e11:2",
		}},
		{"port", Match{To: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:7")}}, []string{
			"tc qdisc add dev eth0 root handle 7e11: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
			"tc qdisc add dev eth0 parent 7e11:2 handle 7e12: netem limit 9 delay 30ms",
			"tc filter add dev eth0 parent 7e11: prio 1 protocol ip u32 match u32 0xc0000202 0xffffffff at 16 match u32 0x00060000 0x00ff0000 at 8 match u32 0x00000007 0x0000ffff at 20 flowid 7e11:2",
			"tc filter add dev eth0 parent 7e11: prio 2 protocol ip u32 match u32 0xc0000202 0xffffffff at 16 match u32 0x00110000 0x00ff0000 at 8 match u32 0x00000007 0x0000ffff at 20 flowid 7e11:2",
			"ip link add tl-ifb2 type ifb", "ip link set tl-ifb2 up",
			"tc qdisc add dev tl-ifb2 root handle 7e11: netem limit 9 delay 50ms",
			"tc qdisc add dev eth0 handle ffff: ingress",
			"tc filter add dev eth0 parent ffff: prio 1 protocol ip u32 match u32 0xc0000202 0xffffffff at 12 match u32 0x00060000 0x00ff0000 at 8 match u32 0x00070000 0xffff0000 at 20 action mirred egress redirect dev tl-ifb2",
			"tc filter add dev eth0 parent ffff: prio 2 protocol ip u32 match u32 0xc0000202 0xffffffff at 12 match u32 0x00110000 0x00ff0000 at 8 match u32 0x00070000 0xffff0000 at 20 action mirred egress redirect dev tl-ifb2",
		}},
	} {
		s := Shaping{Device: "eth0", Match: test.match, Up: up, Down: down}
		if test.match.All() || len(test.match.To) > 0 {
			s.IFB = "tl-ifb2"
		}
		if diff := cmp.Diff(test.want, s.Commands()); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
