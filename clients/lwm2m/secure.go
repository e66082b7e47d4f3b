package lwm2m

import "github.com/thinlink/thinlink/clients/dgram"

type (
	// DTLSConfig are the DTLS parameters of one end.
	DTLSConfig = dgram.Config

	credentials = dgram.Credentials
	mux         = dgram.Mux
	peer        = dgram.Peer
)
