// Package tun joins two hosts of this machine's kernel by a netem.Link in real
// time: each host is a network namespace with a TUN device, and the packets that
// one sends go over the link to the other. So any program runs over a modelled
// link, without netem and, where user namespaces are allowed, without root.
//
// Nouns: a Bed is the two namespaces and the link between them; a Gate lets
// what is in the device's namespace reach services of the machine outside,
// behind the link.
//
//	bed, err := tun.NewBed(tun.Config{Device: device, Platform: platform, Link: link})
//	defer bed.Close()
//	conn, err := bed.Device().DialContext(ctx, "tcp", "203.0.113.10:443")
//	err = bed.InDevice(cmd.Start)
//
// TCP at both ends is the kernel's. The link keeps its own time: packets leave
// it at the times of the model, at most a scheduler's delay late, and what is
// late does not make the next one later.
//
// NewBed needs CAP_SYS_ADMIN and CAP_NET_ADMIN. Reexec gives a copy of this
// program those in a user namespace of its own.
//
// Limitations: multicast and what the kernel sends to find its neighbours do
// not cross the link; fragments do, as packets of their own.
package tun
