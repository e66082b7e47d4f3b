package tc

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/netem"
)

// A Match selects the packets that a shaping applies to. Its zero value is all
// of them.
type Match struct {
	// To are the peers: addresses, with a port of TCP and UDP above 0.
	To []netip.AddrPort `json:"to,omitempty"`
	// UID is the user whose sockets send. What comes in has no user yet: such
	// a shaping is of the uplink only. Users that differ by a multiple of
	// 65536 are not told apart.
	UID *uint32 `json:"uid,omitempty"`
	// From is the interface of a device under test, whose packets this
	// machine forwards.
	From string `json:"from,omitempty"`
}

// All reports whether everything is selected.
func (m *Match) All() bool { return len(m.To) == 0 && m.UID == nil && m.From == "" }

func (m Match) String() string {
	var parts []string
	for _, p := range m.To {
		to := "to or from " + p.Addr().String()
		if p.Port() > 0 {
			to += fmt.Sprintf(" port %d", p.Port())
		}
		parts = append(parts, to)
	}
	text := strings.Join(parts, ", ")
	if m.From != "" {
		text = strings.TrimSpace("forwarded for " + m.From + " " + text)
	}
	if m.UID != nil {
		text = fmt.Sprintf("sent by user %d", *m.UID)
	}
	return text
}

// A filter is one rule of a classifier of tc's.
type filter struct {
	ipv6  bool
	keys  []key   // of u32; none and no inDev is matchall
	inDev string  // of u32
	uid   *uint32 // of flow, instead of keys
}

// A key is 32 bits of a packet, from its network header on, under a mask.
type key struct {
	at          int
	mask, value uint32
}

// filters are the rules that select a direction's packets where they leave
// towards the platform (up) or come from it (down); any of them is enough.
func (m *Match) filters(device string, dir netem.Direction) (list []filter) {
	inDev := m.From
	if m.From != "" && dir == netem.Down {
		inDev = device
	}
	switch {
	case m.UID != nil:
		return []filter{{uid: m.UID}}
	case len(m.To) > 0:
		for _, peer := range m.To {
			list = append(list, peerFilters(peer, dir, inDev)...)
		}
		return list
	case inDev != "":
		return []filter{{inDev: inDev}, {inDev: inDev, ipv6: true}}
	}
	return []filter{{}}
}

// peerFilters select what goes to a peer (up) or comes from it (down). A
// fragment behind the first has no port.
func peerFilters(peer netip.AddrPort, dir netem.Direction, inDev string) []filter {
	f := filter{ipv6: peer.Addr().Is6(), inDev: inDev}
	address, protocol, ports := 12, 8, wire.IPv4HeaderLen // RFC 791 section 3.1
	if f.ipv6 {
		address, protocol, ports = 8, 4, wire.IPv6HeaderLen // RFC 8200 section 3
	}
	b := peer.Addr().AsSlice()
	if dir == netem.Up { // the destination, behind the source
		address += len(b)
	}
	for i := 0; i < len(b); i += 4 {
		f.keys = append(f.keys, key{address + i, 0xffffffff, be32(b[i:])})
	}
	if peer.Port() == 0 {
		return []filter{f}
	}
	port := key{ports, 0xffff0000, uint32(peer.Port()) << 16}
	if dir == netem.Up {
		port = key{ports, 0xffff, uint32(peer.Port())}
	}
	var list []filter
	for _, p := range []uint32{wire.ProtoTCP, wire.ProtoUDP} {
		g := f
		is := key{protocol, 0x00ff0000, p << 16}
		if f.ipv6 { // version, class, label; length, next header, hop limit
			is = key{protocol, 0x0000ff00, p << 8}
		}
		g.keys = append(append([]key{}, f.keys...), is, port)
		list = append(list, g)
	}
	return list
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// kind is the classifier's name.
func (f *filter) kind() string {
	switch {
	case f.uid != nil:
		return "flow"
	case len(f.keys) > 0 || f.inDev != "":
		return "u32"
	}
	return "matchall"
}

// String is what tc calls the filter: its protocol, kind and match.
func (f *filter) String() string {
	var b strings.Builder
	switch f.kind() {
	case "flow":
		return fmt.Sprintf("protocol all flow map key sk-uid xor 0x%x", *f.uid)
	case "matchall":
		return "protocol all matchall"
	}
	family := "ip"
	if f.ipv6 {
		family = "ipv6"
	}
	fmt.Fprintf(&b, "protocol %s u32", family)
	for _, k := range f.keys {
		fmt.Fprintf(&b, " match u32 0x%08x 0x%08x at %d", k.value, k.mask, k.at)
	}
	if len(f.keys) == 0 {
		b.WriteString(" match u32 0 0")
	}
	if f.inDev != "" {
		fmt.Fprintf(&b, " indev %s", f.inDev)
	}
	return b.String()
}
