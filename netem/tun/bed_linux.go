package tun

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/thinlink/thinlink/internal/netspace"
	"github.com/thinlink/thinlink/internal/sockets"
	"github.com/thinlink/thinlink/netem"
)

// Bed is two namespaces joined by a link.
type Bed struct {
	cfg              Config
	device, platform *netspace.Namespace
	router           *router
	closers          []io.Closer // servers of the bed's own
	tasks            sync.WaitGroup
}

// NewBed makes the namespaces and the devices, and starts the link. The error
// is a *MissingError if the machine lacks something.
func NewBed(cfg Config) (_ *Bed, err error) {
	if cfg.Link.MTU == 0 {
		cfg.Link.MTU = defaultMTU
	}
	b := &Bed{cfg: cfg}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	var ports [2]*os.File
	for i, side := range []struct {
		ns     **netspace.Namespace
		host   *HostConfig
		routes []netip.Prefix
	}{{&b.device, &b.cfg.Device, defaultRoutes(cfg.Device.Addrs)}, {&b.platform, &b.cfg.Platform, single(cfg.Device.Addrs)}} {
		if ports[i], err = b.host(side.ns, side.host, side.routes); err != nil {
			return nil, err
		}
	}
	if err := everywhere(b.platform); err != nil {
		return nil, err
	}
	link, err := netem.NewLink(b.cfg.Link, cfg.Seed, time.Now(), cfg.Tap)
	if err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	var admit func([]byte) bool
	if cfg.Gate != nil {
		cfg.Gate.open(b.platform, ports[1])
		admit = cfg.Gate.admit
	}
	b.router = newRouter(link, ports[0], ports[1], admit)
	return b, nil
}

// host makes one namespace with its device, its addresses and its routes.
func (b *Bed) host(at **netspace.Namespace, host *HostConfig, routes []netip.Prefix) (*os.File, error) {
	ns, err := netspace.New()
	if errors.Is(err, netspace.ErrPermission) {
		return nil, &MissingError{err.Error(), "run thinlink with sudo"}
	}
	if err != nil {
		return nil, err
	}
	*at = ns
	if err := ns.Sysctl(quiet); err != nil {
		return nil, err
	}
	if err := ns.Sysctl(host.Sysctls); err != nil {
		return nil, err
	}
	file, err := open(ns)
	if err != nil {
		return nil, err
	}
	return file, up(ns, host, int(b.cfg.Link.MTU), routes)
}

// quiet keeps a host from sending anything of its own.
var quiet = map[string]string{
	"ipv6/conf/default/accept_ra":            "0",
	"ipv6/conf/default/router_solicitations": "0",
	"ipv6/conf/default/dad_transmits":        "0",
	"ipv6/conf/default/addr_gen_mode":        "1", // no link-local address
}

// defaultRoutes are a host's to everywhere, in the families it speaks.
func defaultRoutes(addrs []netip.Addr) (routes []netip.Prefix) {
	for _, a := range addrs {
		zero := netip.IPv4Unspecified()
		if a.Is6() {
			zero = netip.IPv6Unspecified()
		}
		routes = append(routes, netip.PrefixFrom(zero, 0))
	}
	return routes
}

func single(addrs []netip.Addr) (routes []netip.Prefix) {
	for _, a := range addrs {
		routes = append(routes, netip.PrefixFrom(a, a.BitLen()))
	}
	return routes
}

// Device is the constrained host.
func (b *Bed) Device() *sockets.Host { return host(b.device, &b.cfg.Device) }

// Platform is the host behind the link.
func (b *Bed) Platform() *sockets.Host { return host(b.platform, &b.cfg.Platform) }

func host(ns *netspace.Namespace, cfg *HostConfig) *sockets.Host {
	return &sockets.Host{IP: cfg.Addrs[0], KeepAlive: cfg.KeepAlive, Do: ns.Do}
}

// Check says whether a bed can be had here, by making one. The error is a
// *MissingError if the machine lacks something.
func Check() error {
	b, err := NewBed(Config{
		Device:   HostConfig{Addrs: []netip.Addr{netip.MustParseAddr("100.64.0.2")}},
		Platform: HostConfig{Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.10")}},
	})
	if err != nil {
		return err
	}
	return b.Close()
}

// InDevice runs f on a thread of its own in the device's namespace, which the
// processes that f starts inherit. A process that is to end with its parent
// has to be waited for within f.
func (b *Bed) InDevice(f func() error) error { return b.device.Do(f) }

// Outage cuts the link for a time from now on.
func (b *Bed) Outage(d time.Duration) error {
	if d <= 0 {
		return errors.New("tun: outage without a duration")
	}
	b.router.outage(d)
	return nil
}

// Halt stops the link: its tap sees nothing any more.
func (b *Bed) Halt() {
	if b.router != nil {
		b.router.close()
	}
}

// Close stops the link and gives the namespaces up; the kernel removes them as
// soon as no socket or process is in them.
func (b *Bed) Close() error {
	b.Halt()
	if b.cfg.Gate != nil {
		b.cfg.Gate.close()
	}
	for _, c := range b.closers {
		_ = c.Close()
	}
	b.tasks.Wait()
	for _, ns := range []*netspace.Namespace{b.device, b.platform} {
		if ns != nil {
			ns.Close()
		}
	}
	return nil
}
