// Package tc carries packets over the kernel's own netem: it maps a
// netem.Config to queueing disciplines, sets them through netlink, reads them
// back, and builds the three network namespaces device - router - platform
// that engines tc and vm run in.
//
// Its nouns: a Plan is what netem gets for a link, one Netem per direction,
// and the Unsupported list what it cannot do; a Testbed is the namespaces with
// the Plan in force; its Hosts open sockets of package net inside them; a
// Capture is the tap on the router.
//
//	plan, missing, err := tc.NewPlan(cfg, seed, false)
//	bed, err := tc.NewTestbed(tc.Config{Plan: plan, Device: tc.HostConfig{Addr: device}, Platform: tc.HostConfig{Addr: platform}})
//	defer bed.Close()
//	err = bed.Verify(ctx)
//	bed.Start(time.Now())
//	c, err := bed.Device().DialContext(ctx, "tcp", "203.0.113.10:443")
//
// netem sits on the router's two egress devices. On the sending host's own
// device a full queue would be reported back to TCP as local congestion, which
// no network does. The tap is on the router, too: what comes in was sent, what
// goes out was delivered.
//
// The namespaces have no names. They live as long as the process holds them,
// so that even after SIGKILL or a power cut the kernel removes them with all
// devices and disciplines in them: there is nothing to clean up.
//
// Planning is pure and works everywhere; everything else needs Linux,
// CAP_NET_ADMIN and CAP_SYS_ADMIN, and the modules sch_netem and veth. Check
// says what is missing, as a *MissingError.
//
// # Limitations
//
// netem has no radio: no states, no paging, no grants, no half duplex. Its
// queue counts packets, whose number NewPlan derives for packets of full size.
// A distribution table spans four times the jitter to either side. The kernel
// does not give a table back, so that Apply can verify everything but that.
package tc
