package tlsdec

import (
	"bytes"
	"encoding/hex"
)

// Labels of the NSS key log format
// (draft-ietf-tls-keylogfile).
const (
	labelTLS12           = "CLIENT_RANDOM"
	labelEarly           = "CLIENT_EARLY_TRAFFIC_SECRET"
	labelClientHandshake = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
	labelServerHandshake = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
	labelClientTraffic   = "CLIENT_TRAFFIC_SECRET_0"
	labelServerTraffic   = "SERVER_TRAFFIC_SECRET_0"
)

// randomLen is the length of a hello's Random, bytes (RFC 5246 section 7.4.1.2).
const randomLen = 32

type keyID struct {
	label  string
	random [randomLen]byte
}

// Keys are the secrets of a key log by label and client random.
type Keys struct {
	secrets map[keyID][]byte
	// Malformed is the number of lines that are neither blank, nor a comment,
	// nor a label with two hexadecimal values.
	Malformed int
}

// ParseKeyLog reads an NSS key log. Lines it cannot read are counted, not
// refused: key logs are appended to by many hands.
func ParseKeyLog(log []byte) *Keys {
	k := &Keys{secrets: make(map[keyID][]byte)}
	for line := range bytes.Lines(log) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		fields := bytes.Fields(line)
		if len(fields) != 3 {
			k.Malformed++
			continue
		}
		id := keyID{label: string(fields[0])}
		secret := make([]byte, hex.DecodedLen(len(fields[2])))
		_, err := hex.Decode(secret, fields[2])
		if err != nil || hex.DecodedLen(len(fields[1])) != randomLen {
			k.Malformed++
			continue
		}
		if _, err := hex.Decode(id.random[:], fields[1]); err != nil {
			k.Malformed++
			continue
		}
		k.secrets[id] = secret
	}
	return k
}

// Len is the number of secrets.
func (k *Keys) Len() int { return len(k.secrets) }

func (k *Keys) find(label string, random [randomLen]byte) []byte {
	return k.secrets[keyID{label, random}]
}
