package measure

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/measure/internal/capfile"
	"github.com/thinlink/thinlink/netem"
)

// OpenOptions say how to read a capture. The zero value guesses.
type OpenOptions struct {
	// Device is the device's address: what it sends is uplink. The zero Addr
	// takes the one a capture of ours names, or guesses and says so in a
	// warning.
	Device netip.Addr
	// KeyLog adds secrets to those in the capture, NSS key log format.
	KeyLog []byte
}

// Open reads anybody's capture: pcap or pcapng; Ethernet (with VLAN tags), raw
// IP, BSD loopback or Linux cooked frames. The measured window of a foreign
// capture is all of it. What had to be left out or assumed is in the trace's
// Warnings.
func Open(file string, opt OpenOptions) (*Trace, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t, err := ParseCapture(b, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

// ParseCapture is Open for a capture in memory, which the trace shares.
func ParseCapture(b []byte, opt OpenOptions) (*Trace, error) {
	f, err := capfile.Parse(b)
	if err != nil {
		return nil, err
	}
	t := &Trace{Device: opt.Device, KeyLog: slices.Concat(f.KeyLog, opt.KeyLog)}
	var warn warnings
	if f.Truncated {
		warn.add("the file ends in the middle of a packet")
	}
	var meta captureMeta
	own := f.Custom != "" && json.Unmarshal([]byte(f.Custom), &meta) == nil
	if own {
		t.FatesKnown = meta.FatesKnown
		if !t.Device.IsValid() {
			t.Device = meta.Device
		}
	}
	if own && meta.Bearer != netem.BearerIP {
		t.Start, t.WindowStart, t.WindowEnd, t.Bearer = meta.Start, meta.WindowStart, meta.WindowEnd, meta.Bearer
		t.takeBare(f, &warn)
		t.Warnings = warn.list()
		return t, nil
	}
	frames := ipFrames(f, &warn)
	if len(frames) == 0 && !own {
		return nil, fmt.Errorf("no IP packets among %d frames", len(f.Packets))
	}
	if !t.Device.IsValid() {
		t.Device = guessDevice(frames)
		warn.add("device address not given: took %v", t.Device)
	}
	t.take(frames, &warn)
	if len(t.Packets) == 0 && !own {
		return nil, fmt.Errorf("no packets from or to %v among %d", t.Device, len(frames))
	}
	if own {
		t.Start, t.WindowStart, t.WindowEnd = meta.Start, meta.WindowStart, meta.WindowEnd
	} else {
		t.Start = t.Packets[0].Time
		t.WindowStart, t.WindowEnd = t.Start, t.Packets[len(t.Packets)-1].Time.Add(time.Nanosecond)
	}
	t.Warnings = warn.list()
	return t, nil
}

// A frame is an IP packet of a capture.
type frame struct {
	*capfile.Packet
	data []byte // from the IP header on, without trailer
	ip   wire.IP
}

// maxEthernetIP is the largest IP packet in an ordinary Ethernet frame, bytes.
const maxEthernetIP = 1500

// ipFrames picks the IP packets in order of time.
func ipFrames(f *capfile.File, warn *warnings) []frame {
	frames := make([]frame, 0, len(f.Packets))
	var unknown, other, cut, joined, damaged int
	for i := range f.Packets {
		p := &f.Packets[i]
		if !capfile.KnownLink(p.LinkType) {
			unknown++
			continue
		}
		data, ok := capfile.IP(p.LinkType, p.Data)
		if !ok {
			other++
			continue
		}
		ip, err := wire.ParseIPCut(data)
		if err != nil {
			damaged++
			continue
		}
		data = data[:min(len(data), ip.TotalLen)]
		if len(data) < ip.TotalLen {
			cut++
		}
		if capfile.Ethernet(p.LinkType) && ip.TotalLen > maxEthernetIP {
			joined++
		}
		frames = append(frames, frame{p, data, ip})
	}
	for _, w := range []struct {
		n    int
		text string
	}{
		{unknown, "%d frames of an unknown link type: left out"},
		{other, "%d frames are not IP: left out"},
		{damaged, "%d IP packets have a damaged or missing header: left out"},
		{cut, "%d packets were cut by the capture's snapshot length: counted in full, content beyond it as payload"},
		{joined, "%d packets are larger than Ethernet carries: segmentation offload joined them, so packets and headers are counted too low"},
	} {
		if w.n > 0 {
			warn.add(w.text, w.n)
		}
	}
	byTime := func(a, b frame) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(frames, byTime) {
		slices.SortStableFunc(frames, byTime)
	}
	return frames
}

// take keeps the packets from and to the device.
func (t *Trace) take(frames []frame, warn *warnings) {
	t.Packets = make([]Packet, 0, len(frames))
	others := 0
	for i := range frames {
		f := &frames[i]
		p := Packet{Time: f.Time, Data: f.data}
		switch t.Device {
		case f.ip.Src:
			p.Dir = netem.Up
		case f.ip.Dst:
			p.Dir = netem.Down
		default:
			others++
			continue
		}
		if t.FatesKnown {
			p.setFate(f.Custom)
		}
		t.Packets = append(t.Packets, p)
	}
	if others > 0 {
		warn.add("%d packets are neither from nor to %v: left out", others, t.Device)
	}
}

// takeBare keeps the packets of a link without IP.
func (t *Trace) takeBare(f *capfile.File, warn *warnings) {
	for i := range f.Packets {
		f := &f.Packets[i]
		pdu, ok := capfile.ParsePDU(f.Data)
		if !ok || f.LinkType != capfile.LinkUpperPDU {
			warn.add("frames that do not tell what they are: left out")
			continue
		}
		p := Packet{Time: f.Time, Dir: netem.Up, Data: pdu.Data}
		if pdu.Down {
			p.Dir = netem.Down
		}
		if t.FatesKnown {
			p.setFate(f.Custom)
		}
		t.Packets = append(t.Packets, p)
	}
	slices.SortStableFunc(t.Packets, func(a, b Packet) int { return a.Time.Compare(b.Time) })
}

// carrierNAT is the address space between a carrier's NAT and its devices
// (RFC 6598).
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// guessDevice takes the busiest client, a private address before others: a
// client sends from a higher port than it sends to.
func guessDevice(frames []frame) netip.Addr {
	score := make(map[netip.Addr]int)
	for i := range frames {
		ip := &frames[i].ip
		client := ip.Src
		if src, dst, ok := ports(ip); ok && src < dst {
			client = ip.Dst
		}
		if client.IsMulticast() || client == netip.IPv4Unspecified() || client == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			continue
		}
		score[client]++
	}
	best := frames[0].ip.Src
	private := func(a netip.Addr) bool { return a.IsPrivate() || carrierNAT.Contains(a) }
	better := func(a, b netip.Addr) bool {
		switch {
		case private(a) != private(b):
			return private(a)
		case score[a] != score[b]:
			return score[a] > score[b]
		}
		return a.Less(b)
	}
	for a := range score { // a total order: the map's does not matter
		if score[best] == 0 || better(a, best) {
			best = a
		}
	}
	return best
}

// ports are a TCP or UDP packet's.
func ports(ip *wire.IP) (src, dst uint16, ok bool) {
	if ip.FragmentOffset != 0 || len(ip.Payload) < 4 || ip.Protocol != wire.ProtoTCP && ip.Protocol != wire.ProtoUDP {
		return 0, 0, false
	}
	b := ip.Payload
	return uint16(b[0])<<8 | uint16(b[1]), uint16(b[2])<<8 | uint16(b[3]), true
}
