package vnet

import (
	"context"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/thinlink/thinlink/netem"
)

// TestConn holds TCP connections, on the real clock, against the behaviour
// that package net's connections share.
func TestConn(t *testing.T) {
	for name, gro := range map[string]bool{"plain": false, "gro": true} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) { return pipe(gro) })
		})
	}
}

// pipe connects two hosts by a link that does nothing.
func pipe(gro bool) (dev, plat net.Conn, stop func(), err error) {
	cfg := config(netem.Config{}, false)
	cfg.Device.GRO, cfg.Platform.GRO = gro, gro
	n, err := New(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	stop = func() { n.Close() }
	l, err := n.Platform().Listen("tcp", ":80")
	if err != nil {
		return nil, nil, stop, err
	}
	dev, err = n.Device().DialContext(context.Background(), "tcp", at(n.Platform(), "80"))
	if err != nil {
		return nil, nil, stop, err
	}
	plat, err = l.Accept()
	return dev, plat, stop, err
}
