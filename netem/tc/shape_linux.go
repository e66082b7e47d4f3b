package tc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/netem"
)

// Shape puts a plan in force on a real interface of this machine, for what
// match selects. What leaves device is uplink. What comes in is downlink and is
// sent through a device of type ifb; if this machine is the gateway of a device
// behind match.From, what leaves there is downlink. It refuses an interface
// that somebody else shapes, so that Unshape can restore exactly what was
// there. Interfaces keep their MTU.
func Shape(device, profile string, match Match, plan Plan) error {
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
	s := &Shaping{Device: device, Profile: profile, Since: time.Now().UTC(), Match: match, Up: plan.Up, Down: plan.Down}
	names := []string{device}
	switch {
	case match.From != "":
		names = append(names, match.From)
	case match.UID == nil:
		s.IFB = fmt.Sprintf("tl-ifb%d", link.Attrs().Index)
	}
	for _, name := range names {
		before, err := ns.before(name)
		if err != nil {
			return err
		}
		s.Before = append(s.Before, before)
	}
	if err := s.save(); err != nil {
		return fmt.Errorf("tc: state: %w", err)
	}
	if err := ns.shape(s); err != nil {
		return errors.Join(err, ns.unshape(s))
	}
	s.Whole = true
	return s.save()
}

// before notes what an interface is like. One with disciplines that somebody
// has set is refused; the kernel's own have the handle 0.
func (ns *namespace) before(name string) (Before, error) {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return Before{}, &OpError{"find " + name, err}
	}
	list, err := ns.links.QdiscList(link)
	if err != nil {
		return Before{}, &OpError{"disciplines of " + name, err}
	}
	for _, q := range list {
		a := q.Attrs()
		if a.Parent == netlink.HANDLE_ROOT && a.Handle != 0 || a.Parent == netlink.HANDLE_INGRESS {
			return Before{}, fmt.Errorf("tc: %s has a %s discipline (%s) that is not the kernel's own: remove it first (tc qdisc show dev %s)",
				name, q.Type(), netlink.HandleStr(a.Handle), name)
		}
	}
	b := Before{Device: name, TxQLen: link.Attrs().TxQLen}
	if b.Offloads, err = offloads(name, joining); err != nil {
		return Before{}, &OpError{"offloads of " + name, err}
	}
	return b, nil
}

// shape makes the changes, that of the interface's own output last.
func (ns *namespace) shape(s *Shaping) error {
	for _, b := range s.Before {
		if err := offloadsOff(b.Device, joining); err != nil {
			return &OpError{"offloads of " + b.Device, err}
		}
	}
	var err error
	switch {
	case s.Match.From != "":
		err = ns.shapeEgress(s.Match.From, s, netem.Down)
	case s.IFB != "":
		err = ns.shapeIngress(s)
	}
	if err != nil {
		return err
	}
	return ns.shapeEgress(s.Device, s, netem.Up)
}

// shapeEgress shapes what leaves a device: all of it, or below a prio
// discipline its second class, which nothing but the filters chooses.
func (ns *namespace) shapeEgress(name string, s *Shaping, dir netem.Direction) error {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return &OpError{"find " + name, err}
	}
	n := &s.Up
	if dir == netem.Down {
		n = &s.Down
	}
	at := s.place(name, link.Attrs().Index)
	if s.Match.All() {
		return ns.setNetem(at, n)
	}
	prio := &netlink.Prio{Bands: 2, QdiscAttrs: netlink.QdiscAttrs{LinkIndex: at.link, Handle: ownRoot, Parent: netlink.HANDLE_ROOT}}
	if err := ns.links.QdiscAdd(prio); err != nil {
		return lacks(err, "prio discipline", "sch_prio", "set prio on "+name)
	}
	if err := ns.setNetem(at, n); err != nil {
		return err
	}
	filters := s.Match.filters(s.Device, dir)
	if err := ns.addFilters(at.link, ownRoot, filters, ownClass, 0); err != nil {
		return lacks(err, filters[0].kind()+" classifier", "cls_"+filters[0].kind(), "filter on "+name)
	}
	return nil
}

// place is where a device's netem is.
func (s *Shaping) place(name string, link int) place {
	if s.Match.All() || name == s.IFB {
		return root(name, link)
	}
	return place{name, link, ownClass, ownNetem}
}

// shapeIngress sends what comes in through a device of type ifb.
func (ns *namespace) shapeIngress(s *Shaping) error {
	link, err := ns.links.LinkByName(s.Device)
	if err != nil {
		return &OpError{"find " + s.Device, err}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.TxQLen = s.IFB, link.Attrs().MTU, 1000
	if err := ns.links.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil {
		return lacks(err, "intermediate device", "ifb", "make "+s.IFB)
	}
	ifb, err := ns.links.LinkByName(s.IFB)
	if err != nil {
		return &OpError{"find " + s.IFB, err}
	}
	if err := ns.links.LinkSetUp(ifb); err != nil {
		return &OpError{"up " + s.IFB, err}
	}
	if err := ns.setNetem(s.place(s.IFB, ifb.Attrs().Index), &s.Down); err != nil {
		return err
	}
	index := link.Attrs().Index
	err = ns.links.QdiscAdd(&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: ingressID, Parent: netlink.HANDLE_INGRESS}})
	if err != nil {
		return lacks(err, "ingress discipline", "sch_ingress", "ingress of "+s.Device)
	}
	filters := s.Match.filters(s.Device, netem.Down)
	if err := ns.addFilters(index, ingressID, filters, 0, ifb.Attrs().Index); err != nil {
		return lacks(err, "redirection", "cls_"+filters[0].kind()+" act_mirred", "redirect to "+s.IFB)
	}
	return nil
}

// lacks tells modules that are not there from other errors.
func lacks(err error, what, modules, op string) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		return &MissingError{fmt.Sprintf("the kernel has no %s (%s)", what, strings.ReplaceAll(modules, " ", ", ")), "sudo modprobe -a " + modules}
	}
	return &OpError{op, err}
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
	var notFound netlink.LinkNotFoundError
	for _, b := range s.Before {
		link, err := ns.links.LinkByName(b.Device)
		if err == nil {
			err = ns.restore(link, &b, s)
		}
		if !errors.As(err, &notFound) {
			errs = append(errs, err)
		}
	}
	if s.IFB != "" {
		ifb, err := ns.links.LinkByName(s.IFB)
		if err == nil {
			err = ns.links.LinkDel(ifb)
		}
		if err != nil && !errors.As(err, &notFound) {
			errs = append(errs, &OpError{"remove " + s.IFB, err})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.forget()
}

// restore makes an interface what it was before. Disciplines that are not ours
// stay.
func (ns *namespace) restore(link netlink.Link, b *Before, s *Shaping) error {
	var errs []error
	undo := func(what string, err error, fine ...error) {
		if err != nil && !slices.ContainsFunc(fine, func(f error) bool { return errors.Is(err, f) }) {
			errs = append(errs, &OpError{what + " of " + b.Device, err})
		}
	}
	index := link.Attrs().Index
	handle, err := ns.rootOf(link)
	undo("disciplines", err)
	if handle == ownRoot {
		undo("remove the discipline", ns.removeRoot(index))
	}
	if b.Device == s.Device && s.IFB != "" {
		ingress := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: ingressID, Parent: netlink.HANDLE_INGRESS}}
		undo("remove ingress", ns.links.QdiscDel(ingress), unix.ENOENT, unix.EINVAL) // there was none
	}
	if link.Attrs().TxQLen != b.TxQLen { // a discipline sets the length where it is 0
		undo("queue length", ns.links.LinkSetTxQLen(link, b.TxQLen))
	}
	undo("offloads", offloadsOn(b.Device, b.Offloads))
	return errors.Join(errs...)
}

// Drift says what the kernel no longer has as it was set.
func (s *Shaping) Drift() ([]string, error) {
	ns, err := here()
	if err != nil {
		return nil, err
	}
	defer ns.close()
	list := ns.drift(s, s.Device, &s.Up)
	switch {
	case s.IFB != "":
		list = append(list, ns.drift(s, s.IFB, &s.Down)...)
	case s.Match.From != "":
		list = append(list, ns.drift(s, s.Match.From, &s.Down)...)
	}
	return list, nil
}

func (ns *namespace) drift(s *Shaping, name string, want *Netem) (list []string) {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", name, err)}
	}
	got, err := ns.netem(s.place(name, link.Attrs().Index))
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", name, err)}
	}
	for _, d := range want.differences(got) {
		list = append(list, name+": "+d)
	}
	return list
}
