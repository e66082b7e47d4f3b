// Package vnet is two IP hosts in user space, a device and its platform,
// joined by a netem.Link. Their sockets are those of package net, so that
// unmodified clients and servers run over the modelled link.
//
// Nouns: a Network is the link and its two Hosts; a Host has one address and
// makes connections, listeners and packet sockets. Both speak IPv4 or both
// IPv6, with TCP (package tcp), UDP, and ICMP echo.
//
//	n, err := vnet.New(vnet.Config{
//		Device:   vnet.HostConfig{Addr: netip.MustParseAddr("10.0.0.2")},
//		Platform: vnet.HostConfig{Addr: netip.MustParseAddr("10.0.1.1")},
//		Link:     link,
//	})
//	defer n.Close()
//	l, err := n.Platform().Listen("tcp", ":80")
//	c, err := n.Device().DialContext(ctx, "tcp", "10.0.1.1:80")
//
// The clock is package time's: the real one, that of a testing/synctest
// bubble (make the Network inside it), or the virtual one of a binary built
// with -tags faketime. One timer drives the whole network, and there is no
// goroutine per connection or packet, so that a virtual clock jumps from event
// to event. Every event is processed at its exact time, also when the real
// clock's timer fires late.
//
// With the same seed, and applications that act at the same times, packets
// have the same times and bytes: ports, sequence numbers and wake-ups follow
// from the order of calls. Which of two goroutines that wake at one instant
// calls first is the scheduler's choice; with GOMAXPROCS=1 it repeats.
//
// With Config.Bearer the link carries the content of one flow's datagrams, without
// headers or as short messages, and the hosts stay as they are.
//
// Limitations. Datagrams are never fragmented: one that exceeds the MTU is
// refused with EMSGSIZE, and fragments are not reassembled. Networks are
// tcp, udp (with 4 or 6), ip4:icmp and ip6:ipv6-icmp; addresses are numeric;
// a host reaches the other one and nothing else. There is no neighbour or path
// MTU discovery, no multicast, and no limit to the rate of ICMP errors.
package vnet
