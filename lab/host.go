package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/thinlink/thinlink/internal/sniff"
	"github.com/thinlink/thinlink/internal/sockets"
	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/tc"
)

// Host executes runs of engine host: this machine is the device, its network the
// link, and the platform is elsewhere. What crosses is counted at this
// machine's interface.
type Host struct{}

// NewHost is engine host. The error is a *tc.MissingError if the machine lacks
// something.
func NewHost() (Host, error) {
	s, err := openSniffer(func(sniff.Packet) {})
	if err != nil {
		return Host{}, err
	}
	return Host{}, s.Close()
}

func openSniffer(take func(sniff.Packet)) (*sniff.Sniffer, error) {
	s, err := sniff.Open(sniff.IP, take)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, tc.ErrNotLinux
	case errors.Is(err, os.ErrPermission):
		return nil, &tc.MissingError{What: "no privilege to see packets (CAP_NET_RAW)", Fix: "run thinlink with sudo, or sudo setcap cap_net_raw+ep $(command -v thinlink)"}
	}
	return s, err
}

// Execute implements Engine. Runs must not overlap.
func (Host) Execute(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	return inProcess(ctx, run, progress, runHost)
}

// address is the platform's, and the port of the control channel if there is
// one.
func (e *Elsewhere) address(ctx context.Context) (platform netip.Addr, control uint16, err error) {
	if e.Control == "" {
		return e.Site.Addr, 0, nil
	}
	a, err := net.ResolveTCPAddr("tcp", e.Control)
	if err != nil {
		return platform, 0, err
	}
	ap := a.AddrPort()
	return ap.Addr().Unmap(), ap.Port(), nil
}

func runHost(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	if run.Elsewhere == nil {
		return run.failed(errors.New("engine host: --platform says where the platform is")), nil
	}
	platform, control, err := run.Elsewhere.address(ctx)
	if err != nil {
		return run.failed(err), nil
	}
	host, err := sockets.Towards(platform)
	if err != nil {
		return run.failed(fmt.Errorf("engine host: %v: %w", platform, err)), nil
	}
	if host.IP == platform {
		return run.failed(fmt.Errorf("engine host: %v is this machine: packets to itself have no direction: use --engine tun", platform)), nil
	}
	host.KeepAlive = kernelHost(host.IP, run.Stack.TCP.Device).KeepAlive
	start := time.Now()
	rec := measure.NewRecorder(start, host.IP)
	tap := &hostTap{rec: rec, device: host.IP, platform: platform, except: control, mtus: map[int]int{}}
	sniffer, err := openSniffer(tap.take)
	if err != nil {
		return nil, err
	}
	defer sniffer.Close()
	defer heartbeat(start, progress)()
	var doubt error
	var trace *measure.Trace
	w := newWorld(run, rec, host, nil)
	w.Halt = func() {
		doubt = errors.Join(sniffer.Close(), tap.doubt)
		trace = rec.Trace()
		trace.FatesKnown = false // what leaves here may be lost on the way
	}
	out := perform(ctx, run, w)
	res := judge(run, trace, &out)
	res.EnergyJ = 0 // nobody knows the states of the radio, if there is one
	res.Warnings = append(res.Warnings, fmt.Sprintf("engine host: the link to %v is what this machine has: nothing of profile %s is imposed on it, and TCP is this machine's", platform, run.Profile))
	if doubt != nil {
		res.Warnings = append(res.Warnings, fmt.Sprintf("engine host: %v", doubt))
	}
	return res, nil
}

// hostTap takes the packets between two addresses.
type hostTap struct {
	rec              *measure.Recorder
	device, platform netip.Addr
	except           uint16 // port of the control channel

	sent  uint64
	mtus  map[int]int // of network devices, by index
	doubt error
}

// portSSH is that of the user's own session, maybe.
const portSSH = 22

func (t *hostTap) take(p sniff.Packet) {
	ip, err := wire.ParseIPCut(p.Data)
	if err != nil {
		return
	}
	dir := netem.Up
	switch {
	case p.Out && ip.Src == t.device && ip.Dst == t.platform:
	case !p.Out && ip.Src == t.platform && ip.Dst == t.device:
		dir = netem.Down
	default: // others', and on the loopback device the other copy
		return
	}
	if tcp, err := wire.ParseTCP(ip.Payload); ip.Protocol == wire.ProtoTCP && err == nil {
		for _, port := range []uint16{tcp.SrcPort, tcp.DstPort} {
			if port == portSSH || port == t.except && t.except != 0 {
				return
			}
		}
	}
	if mtu := t.mtuOf(p.Device); len(p.Data) > mtu && t.doubt == nil {
		t.doubt = fmt.Errorf("a packet of %d bytes on a link with an MTU of %d: turn segmentation off, or packets are counted too few: sudo ethtool -K DEV tso off gso off gro off", len(p.Data), mtu)
	}
	t.sent++
	t.rec.Sent(p.At, t.sent, dir, bytes.Clone(p.Data))
	t.rec.Delivered(p.At, t.sent)
}

func (t *hostTap) mtuOf(index int) int {
	mtu, known := t.mtus[index]
	if !known {
		mtu = 1 << 16
		if dev, err := net.InterfaceByIndex(index); err == nil {
			mtu = dev.MTU
		}
		t.mtus[index] = mtu
	}
	return mtu
}
