// Package coap is the Constrained Application Protocol over datagrams: the
// message layer of RFC 7252 section 4, block-wise transfer (RFC 7959) and
// observation (RFC 7641). How CoAP retransmits is what thinlink measures, so
// the layer is our own and exact; only the codec is go-coap's.
//
// A Conn is one peer session over a net.Conn that keeps message boundaries (a
// connected UDP socket, a DTLS connection). Both ends are client and server
// at once, as LwM2M needs:
//
//	conn := coap.NewConn(udp, coap.Config{Rand: rng}, coap.HandlerFunc(
//		func(ctx context.Context, r *coap.Request) *coap.Response {
//			return coap.NewResponse(codes.Content, coap.TextPlain, []byte("22.5"))
//		}))
//	go conn.Serve()
//	defer conn.Close()
//	resp, err := conn.Do(ctx, coap.NewRequest(codes.GET, "/3/0"))
//
// Nouns: a message is one datagram, identified by its message ID for
// acknowledgement and de-duplication. A request and its response are matched
// by token. A Download reads a large representation block by block and can
// start at any block; large payloads of Do are sent and received in blocks
// without further ado. An Observer is the server's view of one observation, an
// Observation the client's.
//
// Time is the process's clock through time.AfterFunc, so the package runs
// unchanged under testing/synctest and the faketime clock; nothing ticks while
// a Conn is idle.
//
// Limitations: no multicast, no proxying, no CoAP over TCP (RFC 8323), no
// Q-Block (RFC 9177); block size exponent 7 (BERT) is refused. A block-wise
// request is assembled in memory before its handler sees it. An Observation
// does not register again by itself when Max-Age ends. The rate of
// non-confirmable notifications is the application's duty (RFC 7641 section
// 4.5.1). A Conn sends at most 65536 messages per EXCHANGE_LIFETIME, which is
// 2 Mbit/s in blocks of 1024 bytes, then fails with ErrMessageIDs.
package coap
