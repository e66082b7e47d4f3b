// Package interop tests thinlink against software that others wrote: brokers,
// clients and servers of MQTT, CoAP and LwM2M, each of the version that
// peers.env gives.
//
//	make interop
//
// installs what is missing, runs each peer as a process against ours in both
// directions, lets tshark dissect every packet and counts the bytes with
// package measure. docs/interop.md lists what was exercised.
//
// The tests (build tag interop) run in a network namespace of their own, which
// TestMain makes: two addresses on a loopback device that carries packets of
// at most 1500 bytes, as an Ethernet would. Nothing leaves it, no port is
// taken on the machine, and no privilege is needed where user namespaces are
// allowed.
package interop
