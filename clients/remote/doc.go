// Package remote puts a stack's platform on another machine than its device:
// the control channel for the steps that need both ends.
//
// On the machine of the platform a Server opens platforms for those who hold
// its token. On that of the device, Dial connects, and Open returns a Platform,
// which is a clients.Platform like any other:
//
//	token, server, err := remote.NewServer(opener)  // here
//	go server.Serve(listener)
//
//	conn, err := remote.Dial(ctx, address, token)   // there
//	platform, err := conn.Open(ctx, spec)           // opener interprets spec
//	device, err := stack.NewDevice(&clients.Env{Site: platform.Site, PKI: platform.PKI, ...})
//	session := clients.Join(device, platform, name)
//
// The channel is TLS 1.3 with JSON-RPC 1.0 inside. A Token has a secret, which
// proves that the client may control the platform, and the digest of the
// server's certificate, which proves that this is the server that printed it.
// Nothing is read from a client before it has shown the secret. A platform
// lives no longer than the connection that opened it.
//
// Limitations: an image travels in one message and is held in memory; a server
// executes everything that the holder of its token asks for.
package remote
