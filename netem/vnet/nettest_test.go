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
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		n, err := New(config(netem.Config{}, false))
		if err != nil {
			return nil, nil, nil, err
		}
		stop := func() { n.Close() }
		l, err := n.Platform().Listen("tcp", ":80")
		if err != nil {
			return nil, nil, stop, err
		}
		dev, err := n.Device().DialContext(context.Background(), "tcp", at(n.Platform(), "80"))
		if err != nil {
			return nil, nil, stop, err
		}
		plat, err := l.Accept()
		return dev, plat, stop, err
	})
}
