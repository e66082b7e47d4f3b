// Package dgram joins stacks over datagrams, in the clear or by DTLS 1.2 with
// certificates or pre-shared keys: what LwM2M, plain CoAP and MQTT-SN have in common below their
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
// A conn keeps message boundaries: one Read is one datagram. Limitations: raw
// public keys (RFC 7250) are missing, since pion/dtls does not negotiate
// certificate types; sessions are resumed with pre-shared keys only.
package dgram
