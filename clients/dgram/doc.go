// Package dgram joins stacks over datagrams, in the clear or by DTLS 1.2 with
// certificates: what LwM2M, plain CoAP and MQTT-SN have in common below their
// messages.
//
// A Mux shares one server socket among its Peers, by address or by DTLS
// connection ID (RFC 9146); Dial and Accept perform handshakes; a Server does
// all of it for stacks that need no connection IDs.
//
//	s := dgram.NewServer(pc, &cred, dgram.DefaultConfig(), func(c net.Conn, name string) error { ... })
//	defer s.Close()
//	conn, err := dgram.Dial(ctx, pc, to, "platform.test", cred, dgram.DefaultConfig(), false, keyLog)
//
// A conn keeps message boundaries: one Read is one datagram. Limitations: DTLS
// by pre-shared keys or raw public keys, and session resumption, are missing.
package dgram
