package tc

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Shape puts a plan in force on a real interface of this machine, which is the
// device: what leaves is uplink. What comes in is sent through a device of
// type ifb. It refuses an interface that somebody else shapes, so that Unshape
// can restore exactly what was there. The interface keeps its MTU.
func Shape(device, profile string, plan Plan) (err error) {
	if _, err := shapingOf(device); err == nil {
		return fmt.Errorf("%s is shaped already: clear it first", device)
	} else if !errors.Is(err, ErrNotShaped) {
		return err
	}
	ns, err := here()
	if err != nil {
		return err
	}
	defer ns.close()
	link, err := ns.links.LinkByName(device)
	if err != nil {
		return &OpError{"find " + device, err}
	}
	if err := ns.unshaped(link); err != nil {
		return err
	}
	s := &Shaping{
		Device: device, Profile: profile, Since: time.Now().UTC(), IFB: fmt.Sprintf("tl-ifb%d", link.Attrs().Index),
		Out: plan.Up.String(), In: plan.Down.String(),
	}
	if s.Offloads, err = offloads(device, joining); err != nil {
		return &OpError{"offloads of " + device, err}
	}
	if err := s.save(); err != nil {
		return fmt.Errorf("tc: state: %w", err)
	}
	if err := ns.shape(link, s, plan); err != nil {
		return errors.Join(err, ns.unshape(s))
	}
	s.Whole = true
	return s.save()
}

// unshaped reports disciplines that somebody has set: the kernel's own have
// the handle 0.
func (ns *namespace) unshaped(link netlink.Link) error {
	list, err := ns.links.QdiscList(link)
	if err != nil {
		return &OpError{"disciplines of " + link.Attrs().Name, err}
	}
	for _, q := range list {
		a := q.Attrs()
		if a.Parent == netlink.HANDLE_ROOT && a.Handle != 0 || a.Parent == netlink.HANDLE_INGRESS {
			return fmt.Errorf("tc: %s has a %s discipline (%s) that thinlink did not set: remove it first (tc qdisc show dev %s)",
				link.Attrs().Name, q.Type(), netlink.HandleStr(a.Handle), link.Attrs().Name)
		}
	}
	return nil
}

func (ns *namespace) shape(link netlink.Link, s *Shaping, plan Plan) error {
	if err := offloadsOff(s.Device, joining); err != nil {
		return &OpError{"offloads of " + s.Device, err}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.TxQLen = s.IFB, link.Attrs().MTU, 1000
	if err := ns.links.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			return &MissingError{"the kernel has no intermediate devices (module ifb)", "sudo modprobe ifb"}
		}
		return &OpError{"make " + s.IFB, err}
	}
	ifb, err := ns.links.LinkByName(s.IFB)
	if err != nil {
		return &OpError{"find " + s.IFB, err}
	}
	if err := ns.links.LinkSetUp(ifb); err != nil {
		return &OpError{"up " + s.IFB, err}
	}
	if err := ns.setNetem(s.IFB, ifb.Attrs().Index, &plan.Down); err != nil {
		return err
	}
	index := link.Attrs().Index
	ingress := netlink.MakeHandle(0xffff, 0)
	err = ns.links.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: ingress, Parent: netlink.HANDLE_INGRESS}})
	if err != nil {
		return &OpError{"ingress of " + s.Device, err}
	}
	err = ns.links.FilterAdd(&netlink.MatchAll{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: ingress, Priority: 1, Protocol: unix.ETH_P_ALL},
		Actions:     []netlink.Action{netlink.NewMirredAction(ifb.Attrs().Index)},
	})
	if err != nil {
		return &OpError{"redirect to " + s.IFB, err}
	}
	return ns.setNetem(s.Device, index, &plan.Up)
}

// Unshape restores what was there before Shape, also before one that was cut
// short. Without a shaping of ours the error is ErrNotShaped.
func Unshape(device string) error {
	s, err := shapingOf(device)
	if err != nil {
		return err
	}
	ns, err := here()
	if err != nil {
		return err
	}
	defer ns.close()
	return ns.unshape(&s)
}

// unshape undoes every step that may have been taken, in the opposite order.
// An interface that has gone has nothing to restore.
func (ns *namespace) unshape(s *Shaping) error {
	var errs []error
	gone := func(op string, err error) {
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, &OpError{op + " " + s.Device, err})
		}
	}
	var notFound netlink.LinkNotFoundError
	link, err := ns.links.LinkByName(s.Device)
	switch {
	case errors.As(err, &notFound):
	case err != nil:
		return &OpError{"find " + s.Device, err}
	default:
		if n, err := ns.netem(link.Attrs().Index); err == nil && n.ours {
			gone("remove netem of", ns.removeRoot(link.Attrs().Index))
		}
		gone("remove ingress of", ns.links.QdiscDel(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS,
		}}))
		gone("offloads of", offloadsOn(s.Device, s.Offloads))
	}
	ifb, err := ns.links.LinkByName(s.IFB)
	if err == nil {
		err = ns.links.LinkDel(ifb)
	}
	if err != nil && !errors.As(err, &notFound) {
		errs = append(errs, &OpError{"remove " + s.IFB, err})
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return s.forget()
}
