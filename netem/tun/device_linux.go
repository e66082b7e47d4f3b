package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/internal/netspace"
)

// path is Linux's device for TUN (Documentation/networking/tuntap.rst).
const path = "/dev/net/tun"

// deviceName is that of the TUN device in either namespace.
const deviceName = "thinlink0"

// open makes the TUN device of a namespace. Reading and writing it is
// independent of the namespace.
func open(ns *netspace.Namespace) (file *os.File, err error) {
	err = ns.Do(func() error {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return missing(err)
		}
		request, err := unix.NewIfreq(deviceName)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("tun: make %s: %w", deviceName, err)
		}
		file = os.NewFile(uintptr(fd), path)
		return nil
	})
	return file, err
}

// missing explains why the device cannot be opened.
func missing(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return &MissingError{"the kernel has no TUN devices (" + path + ")", "sudo modprobe tun; in a container: start it with --device /dev/net/tun"}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return &MissingError{"no permission to open " + path, "sudo chmod 0666 " + path + ", as most distributions have it, or run thinlink with sudo"}
	}
	return fmt.Errorf("tun: open %s: %w", path, err)
}

// up gives a namespace's devices their addresses and routes: the loopback, and
// everything in routes, or everything at all, over the link.
func up(ns *netspace.Namespace, cfg *HostConfig, mtu int, routes []netip.Prefix) error {
	lo, err := ns.Links.LinkByName("lo")
	if err == nil {
		err = ns.Links.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("tun: loopback: %w", err)
	}
	link, err := ns.Links.LinkByName(deviceName)
	if err == nil {
		err = ns.Links.LinkSetMTU(link, mtu)
	}
	if err != nil {
		return fmt.Errorf("tun: %s: %w", deviceName, err)
	}
	for _, a := range cfg.Addrs {
		addr := &netlink.Addr{IPNet: network(netip.PrefixFrom(a, a.BitLen())), Flags: unix.IFA_F_NODAD}
		if err := ns.Links.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("tun: address %v: %w", a, err)
		}
	}
	if err := ns.Links.LinkSetUp(link); err != nil {
		return fmt.Errorf("tun: %s: %w", deviceName, err)
	}
	for _, p := range routes {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: network(p), Scope: netlink.SCOPE_LINK}
		if err := ns.Links.RouteAdd(route); err != nil {
			return fmt.Errorf("tun: route to %v: %w", p, err)
		}
	}
	return nil
}

// everywhere makes all addresses local to the namespace that have no better
// route: whoever is called, a socket here may answer.
func everywhere(ns *netspace.Namespace) error {
	lo, err := ns.Links.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("tun: loopback: %w", err)
	}
	for _, p := range []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} {
		route := &netlink.Route{
			LinkIndex: lo.Attrs().Index, Dst: network(p), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_MAIN, Scope: netlink.SCOPE_HOST,
		}
		if err := ns.Links.RouteAdd(route); err != nil {
			return fmt.Errorf("tun: local route to %v: %w", p, err)
		}
	}
	return ns.Sysctl(map[string]string{"ipv4/ip_nonlocal_bind": "1", "ipv6/ip_nonlocal_bind": "1"})
}

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
