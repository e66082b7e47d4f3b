package tc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An OpError is what the kernel answered to a request.
type OpError struct {
	Op  string // "set netem on to-device"
	Err error
}

func (e *OpError) Error() string { return "tc: " + e.Op + ": " + e.Err.Error() }
func (e *OpError) Unwrap() error { return e.Err }

var errNoNetem = &MissingError{
	"the kernel has no netem (module sch_netem)",
	"sudo modprobe sch_netem (Debian, Raspberry Pi OS: in the kernel's package; Ubuntu: apt install linux-modules-extra-$(uname -r)), or use --engine vm or sim",
}

// request makes a request about the root discipline of a device.
func (ns *namespace) request(proto, flags, link int) (*nl.NetlinkRequest, *nl.TcMsg) {
	req := nl.NewNetlinkRequest(proto, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: ns.socket}
	msg := &nl.TcMsg{Family: unix.AF_UNSPEC, Ifindex: int32(link), Parent: unix.RTA_UNSPEC}
	req.AddData(msg)
	return req, msg
}

// A place is where a discipline is.
type place struct {
	name           string // of the device
	link           int    // its index
	parent, handle uint32
}

// root is the place of a device's only discipline of ours.
func root(name string, link int) place {
	return place{name, link, netlink.HANDLE_ROOT, ownRoot}
}

// setNetem makes n the discipline of a place, or changes it if one is there,
// and compares what the kernel holds with what was asked for.
func (ns *namespace) setNetem(p place, n *Netem) error {
	op := "set netem on " + p.name
	req, msg := ns.request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, p.link)
	msg.Parent, msg.Handle = p.parent, p.handle
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("netem")))
	req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, n.options()))
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return errNoNetem
		}
		return &OpError{op, err}
	}
	got, err := ns.netem(p)
	if err != nil {
		return &OpError{"read back netem of " + p.name, err}
	}
	if list := n.differences(got); len(list) > 0 {
		return &OpError{op, errors.New(strings.Join(list, "; "))}
	}
	return nil
}

// netem reads the netem of a place.
func (ns *namespace) netem(p place) (*Netem, error) {
	req, _ := ns.request(unix.RTM_GETQDISC, unix.NLM_F_DUMP, p.link)
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		msg := nl.DeserializeTcMsg(a)
		if int(msg.Ifindex) != p.link || msg.Parent != p.parent {
			continue
		}
		attrs, err := nl.ParseRouteAttr(a[msg.Len():])
		if err != nil {
			return nil, err
		}
		var kind string
		var options []byte
		for _, at := range attrs {
			switch at.Attr.Type {
			case nl.TCA_KIND:
				kind = strings.TrimRight(string(at.Value), "\x00")
			case nl.TCA_OPTIONS:
				options = at.Value
			}
		}
		if kind != "netem" {
			return nil, fmt.Errorf("the discipline there is %s", kind)
		}
		return parseNetem(options)
	}
	return nil, errors.New("there is no discipline")
}

// rootOf is the handle of a device's root discipline; the kernel's own have 0.
func (ns *namespace) rootOf(link netlink.Link) (uint32, error) {
	list, err := ns.links.QdiscList(link)
	if err != nil {
		return 0, err
	}
	for _, q := range list {
		if a := q.Attrs(); a.Parent == netlink.HANDLE_ROOT {
			return a.Handle, nil
		}
	}
	return 0, nil
}

// removeRoot removes the root discipline of a device; the kernel puts its own
// in its place.
func (ns *namespace) removeRoot(link int) error {
	req, msg := ns.request(unix.RTM_DELQDISC, unix.NLM_F_ACK, link)
	msg.Parent = netlink.HANDLE_ROOT
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
