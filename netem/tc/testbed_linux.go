package tc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Testbed is three network namespaces, device - router - platform, with netem
// on the router.
type Testbed struct {
	cfg                      Config
	device, router, platform *namespace
	up, down                 port // the router's devices by the direction that leaves through them
	capture                  *Capture
	driver                   atomic.Pointer[driver] // nil until Start
	tcp                      *watcher
	sampling                 sync.WaitGroup
	stopSampling             chan struct{}
}

// A port is one of the router's devices.
type port struct {
	name  string
	index int
}

// The devices' names and hardware addresses, which are locally administered
// (IEEE 802 section 8.4).
var (
	deviceMAC     = net.HardwareAddr{2, 't', 'l', 0, 0, 1}
	toDeviceMAC   = net.HardwareAddr{2, 't', 'l', 0, 0, 2}
	toPlatformMAC = net.HardwareAddr{2, 't', 'l', 0, 0, 3}
	platformMAC   = net.HardwareAddr{2, 't', 'l', 0, 0, 4}
)

const (
	toDevice   = "to-device"
	toPlatform = "to-platform"
	hostDevice = "eth0"
)

// NewTestbed makes the namespaces, joins them and sets the plan's disciplines.
// The error is a *MissingError if the machine lacks
// something.
func NewTestbed(cfg Config) (*Testbed, error) {
	if cfg.Device.Addr.Is4() != cfg.Platform.Addr.Is4() {
		return nil, fmt.Errorf("tc: device %v and platform %v are of different families", cfg.Device.Addr, cfg.Platform.Addr)
	}
	if cfg.Device.Addr.Is6() && cfg.Plan.MTU < 1280 {
		return nil, fmt.Errorf("tc: MTU %d: IPv6 needs 1280 bytes (RFC 8200 section 5)", cfg.Plan.MTU)
	}
	b := &Testbed{cfg: cfg, tcp: newWatcher(cfg.TCP), stopSampling: make(chan struct{})}
	if err := b.build(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Testbed) build() (err error) {
	for _, ns := range []**namespace{&b.device, &b.router, &b.platform} {
		if *ns, err = newNamespace(); err != nil {
			return err
		}
		if err = (*ns).sysctl(quiet(*ns == b.router, b.cfg.Device.Addr.Is6())); err != nil {
			return err
		}
	}
	for _, host := range []struct {
		ns  *namespace
		cfg HostConfig
	}{{b.device, b.cfg.Device}, {b.platform, b.cfg.Platform}} {
		if err := host.ns.sysctl(host.cfg.Sysctls); err != nil {
			return err
		}
	}
	if b.down, err = b.join(toDevice, toDeviceMAC, b.device, deviceMAC, b.cfg.Device.Addr, b.cfg.Platform.Addr); err != nil {
		return err
	}
	if b.up, err = b.join(toPlatform, toPlatformMAC, b.platform, platformMAC, b.cfg.Platform.Addr, b.cfg.Device.Addr); err != nil {
		return err
	}
	if b.cfg.Device.Addr.Is6() {
		time.Sleep(mldSettles)
	}
	if b.capture, err = b.newCapture(); err != nil {
		return err
	}
	if err = b.router.setNetem(root(b.up.name, b.up.index), &b.cfg.Plan.Up); err != nil {
		return err
	}
	return b.router.setNetem(root(b.down.name, b.down.index), &b.cfg.Plan.Down)
}

// quiet are the settings that keep a host from sending anything of its own.
func quiet(router, ipv6 bool) map[string]string {
	values := map[string]string{}
	if !ipv6 {
		values["ipv6/conf/default/disable_ipv6"] = "1"
		if router {
			values["ipv4/ip_forward"] = "1"
		}
		return values
	}
	for name, value := range map[string]string{
		"accept_ra": "0", "router_solicitations": "0", "dad_transmits": "0",
		"addr_gen_mode":                     "1", // no link-local address
		"mldv2_unsolicited_report_interval": "1", // ms: repeated at once
	} {
		values["ipv6/conf/default/"+name] = value
	}
	if router {
		values["ipv6/conf/all/forwarding"] = "1"
	}
	return values
}

// mldSettles is how long a host's reports of its multicast groups take
// (RFC 3810 section 6.1); nothing turns them off.
const mldSettles = 100 * time.Millisecond

// join makes the device pair of one host and gives it its address and the
// routes: the peer is known by hardware address, so that nothing is resolved
// over the link.
func (b *Testbed) join(name string, mac net.HardwareAddr, host *namespace, hostMAC net.HardwareAddr, own, peer netip.Addr) (port, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr, attrs.TxQLen = name, b.cfg.Plan.MTU, mac, 1000
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerMTU = hostDevice, hostMAC, uint32(b.cfg.Plan.MTU)
	veth.PeerNamespace = netlink.NsFd(int(host.Handle))
	if err := b.router.links.LinkAdd(veth); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			return port{}, &MissingError{"the kernel has no virtual Ethernet pairs (module veth)", "sudo modprobe veth, or use --engine vm or sim"}
		}
		return port{}, &OpError{"make " + name, err}
	}
	near, err := b.router.ready(name)
	if err != nil {
		return port{}, err
	}
	far, err := host.ready(hostDevice)
	if err != nil {
		return port{}, err
	}
	addr := &netlink.Addr{IPNet: single(own), Flags: unix.IFA_F_NODAD}
	if err := host.links.AddrAdd(far, addr); err != nil {
		return port{}, &OpError{"address " + own.String(), err}
	}
	if err := host.reach(far, peer, mac); err != nil {
		return port{}, err
	}
	return port{name, near.Attrs().Index}, b.router.reach(near, own, hostMAC)
}

// single is the network of one address.
func single(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

// ready brings a device up with every offload off: a segment on it is a packet.
func (ns *namespace) ready(name string) (netlink.Link, error) {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return nil, &OpError{"find " + name, err}
	}
	if err := ns.do(func() error { return offloadsOff(name, slices.Concat(joining, checksums)) }); err != nil {
		return nil, &OpError{"offloads of " + name, err}
	}
	if err := ns.links.LinkSetGSOMaxSegs(link, 1); err != nil {
		return nil, &OpError{"segments of " + name, err}
	}
	if err := ns.links.LinkSetUp(link); err != nil {
		return nil, &OpError{"up " + name, err}
	}
	return link, nil
}

// reach routes an address out of a device, to a known hardware address.
func (ns *namespace) reach(link netlink.Link, to netip.Addr, mac net.HardwareAddr) error {
	index := link.Attrs().Index
	route := &netlink.Route{LinkIndex: index, Dst: single(to), Scope: netlink.SCOPE_LINK}
	if err := ns.links.RouteAdd(route); err != nil {
		return &OpError{"route to " + to.String(), err}
	}
	neigh := &netlink.Neigh{LinkIndex: index, IP: to.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT}
	if err := ns.links.NeighSet(neigh); err != nil {
		return &OpError{"neighbour " + to.String(), err}
	}
	return nil
}

// Start is the beginning of the run: from now on the testbed does what
// Config.Drive asks for.
func (b *Testbed) Start(start time.Time) error {
	d, err := b.newDriver(start)
	if err != nil {
		return err
	}
	b.driver.Store(d)
	b.sampling.Go(b.sampleTCP)
	return nil
}

func (b *Testbed) sampleTCP() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			b.tcp.sample()
		case <-b.stopSampling:
			return
		}
	}
}

// Retransmissions counts the TCP segments that the kernel has sent again since
// the testbed was made, on both hosts.
func (b *Testbed) Retransmissions() int { return b.tcp.sample() }

// Outage interrupts both directions for a time from now on, as an outage of
// Config.Drive's model does.
func (b *Testbed) Outage(d time.Duration) error {
	if d <= 0 {
		return errors.New("tc: outage without a duration")
	}
	b.driver.Load().outage(d)
	return nil
}

// Device is the constrained host.
func (b *Testbed) Device() *Host { return b.device.host(b.cfg.Device, b.tcp) }

// Platform is the host behind the link.
func (b *Testbed) Platform() *Host { return b.platform.host(b.cfg.Platform, b.tcp) }

// Capture ends the tap and returns what it saw. An error says what makes the
// capture doubtful; the packets are there all the same.
func (b *Testbed) Capture() ([]Passage, error) {
	frames, err := b.capture.stop()
	d := b.driver.Load()
	if d == nil {
		return passages(frames, &b.cfg.Plan, b.capture.Ended()), err
	}
	err = errors.Join(err, d.close())
	plan := d.slower(b.cfg.Plan)
	list := passages(frames, &plan, b.capture.Ended())
	d.explain(list)
	return list, err
}

// Close gives the namespaces up; the kernel removes them with everything in
// them as soon as no socket refers to them.
func (b *Testbed) Close() error {
	if d := b.driver.Load(); d != nil {
		d.close()
		close(b.stopSampling)
		b.sampling.Wait()
	}
	if b.capture != nil {
		b.capture.stop()
	}
	for _, ns := range []*namespace{b.device, b.router, b.platform} {
		if ns != nil {
			ns.close()
		}
	}
	return nil
}

// Check says whether a testbed can be had here, by making one. The error is a
// *MissingError if the machine lacks something.
func Check() error {
	b, err := NewTestbed(Config{
		Plan:     Plan{MTU: defaultMTU, Up: Netem{Limit: 1}, Down: Netem{Limit: 1}},
		Device:   HostConfig{Addr: netip.MustParseAddr("100.64.0.2")},
		Platform: HostConfig{Addr: netip.MustParseAddr("203.0.113.10")},
	})
	if err != nil {
		return err
	}
	return b.Close()
}
