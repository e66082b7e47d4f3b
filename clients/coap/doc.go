// Package coap is the Constrained Application Protocol: over datagrams with the
// message layer of RFC 7252 section 4, over TCP and TLS by RFC 8323, with
// block-wise transfer (RFC 7959) and observation (RFC 7641). How CoAP
// retransmits is what thinlink measures, so the layer is our own and exact;
// only the codec is go-coap's.
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
// NewStreamConn does the same over a TCP or TLS connection, where blocks may be
// BERT blocks: several of 1024 bytes in one message.
//
// Nouns: a message is one datagram, identified by its message ID for
// acknowledgement and de-duplication, or one frame of a stream. A request and
// its response are matched by token. A Download reads a large representation
// block by block and can start at any block; an Upload sends one and goes on
// from the block that the receiver wants, which a BlockHandler tells it; large
// payloads of Do are sent and received in blocks without further ado. An
// Observer is the server's view of one observation, an Observation the
// client's.
//
// Time is the process's clock through time.AfterFunc, so the package runs
// unchanged under testing/synctest and the faketime clock; nothing ticks while
// a Conn is idle.
//
// Limitations: no multicast, no proxying, no CoAP over WebSockets. On a stream,
// Pongs carry no Custody option, a Release of ours gives no reasons, and what
// the peer does not read is queued without bound. An Observation does not
// register again by itself when Max-Age ends. The rate of non-confirmable
// notifications is the application's duty (RFC 7641 section 4.5.1). On
// datagrams, a Conn sends at most 65536 messages per EXCHANGE_LIFETIME, which
// is 2 Mbit/s in blocks of 1024 bytes, then fails with ErrMessageIDs.
//
// Q-Block (RFC 9177), which sends up to ten blocks non-confirmably before it
// waits, is missing. It is no variation of the transfers here but an engine
// beside them: a body is a set of many NON messages in flight, past NSTART,
// with timers and a congestion control of its own (NON_TIMEOUT_RANDOM,
// NON_RECEIVE_TIMEOUT, NON_PARTIAL_TIMEOUT, PROBING_RATE), several responses
// to one token, and recovery by lists of missing blocks. A peer that tries
// Q-Block1 or Q-Block2 in a confirmable request gets 4.02, for the options are
// critical.
package coap
