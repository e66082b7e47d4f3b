package coap_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
)

// peerConn is an unconnected socket used with one peer.
type peerConn struct {
	*net.UDPConn
	peer net.Addr
}

func (c peerConn) Write(b []byte) (int, error) { return c.WriteTo(b, c.peer) }

// sockets are two UDP sockets on loopback, each other's peer.
func sockets() (a, b net.Conn, err error) {
	loopback := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	server, err := net.ListenUDP("udp", loopback)
	if err != nil {
		return nil, nil, err
	}
	client, err := net.DialUDP("udp", loopback, server.LocalAddr().(*net.UDPAddr))
	if err != nil {
		return nil, nil, err
	}
	return client, peerConn{server, client.LocalAddr()}, nil
}

func Example() {
	clientSocket, serverSocket, err := sockets()
	if err != nil {
		fmt.Println(err)
		return
	}
	server := coap.NewConn(serverSocket, coap.Config{Rand: rand.New(rand.NewPCG(1, 1))}, coap.HandlerFunc(
		func(_ context.Context, r *coap.Request) *coap.Response {
			if r.Path() != "/3303/0/5700" {
				return coap.Status(codes.NotFound)
			}
			return coap.NewResponse(codes.Content, coap.TextPlain, []byte("22.5"))
		}))
	go server.Serve()
	defer server.Close()

	client := coap.NewConn(clientSocket, coap.Config{Rand: rand.New(rand.NewPCG(1, 2))}, nil)
	go client.Serve()
	defer client.Close()
	for _, path := range []string{"/3303/0/5700", "/3/0"} {
		resp, err := client.Do(context.Background(), coap.NewRequest(codes.GET, path))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %s\n", coap.CodeString(resp.Code), resp.Payload)
	}
	// Output:
	// 2.05 22.5
	// 4.04
}
