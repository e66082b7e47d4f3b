package tcp_test

import (
	"fmt"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// Two ends joined by a wire without delay: the handshake, one line of data and
// its acknowledgement.
func Example() {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var client, server *tcp.Conn

	client = tcp.Dial(tcp.Linux(), now, 49152, 80, 1000, 1358, false)
	toServer := func(s *tcp.Segment) {
		fmt.Printf("client %-2v %d bytes\n", s.Flags, len(s.Payload))
		if server == nil {
			server = tcp.Accept(tcp.Linux(), now, s, 5000, 1358, false)
		} else {
			server.Input(now, s)
		}
	}
	toClient := func(s *tcp.Segment) {
		fmt.Printf("server %-2v %d bytes\n", s.Flags, len(s.Payload))
		client.Input(now, s)
	}
	client.Output(now, toServer)
	server.Output(now, toClient)
	client.Output(now, toServer)

	client.Write(now, []byte("hello"))
	client.Output(now, toServer)
	server.Output(now, toClient)
	b := make([]byte, 100)
	n, _ := server.Read(now, b)
	fmt.Printf("%q, both %v\n", b[:n], client.State())

	// Output:
	// client S  0 bytes
	// server S. 0 bytes
	// client .  0 bytes
	// client P. 5 bytes
	// server .  0 bytes
	// "hello", both ESTABLISHED
}
