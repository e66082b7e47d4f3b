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
	// masters are those of sessions that may be resumed, by ticket and by
	// session ID: some clients log a resumed session's secret once only.
	masters map[string][]byte
	// Malformed is the number of lines that are neither blank, nor a comment,
	// nor a label with two hexadecimal values.
	Malformed int
}

// ParseKeyLog reads an NSS key log. Lines it cannot read are counted, not
// refused: key logs are appended to by many hands.
func ParseKeyLog(log []byte) *Keys {
	k := &Keys{secrets: make(map[keyID][]byte), masters: make(map[string][]byte)}
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

// master finds the master secret of a TLS 1.2 or DTLS 1.2 handshake: logged, or
// remembered of the session that it resumes (RFC 5246 section 7.4.1.3,
// RFC 5077 section 3.4).
func (k *Keys) master(ch, sh *hello) []byte {
	if m := k.find(labelTLS12, ch.random); m != nil {
		return m
	}
	if len(ch.sessionID) == 0 || !bytes.Equal(ch.sessionID, sh.sessionID) {
		return nil // not resumed
	}
	if m := k.masters["ticket "+string(ch.ticket)]; m != nil && len(ch.ticket) > 0 {
		return m
	}
	return k.masters["id "+string(sh.sessionID)]
}

// remember keeps a session's master secret for when it is resumed.
func (k *Keys) remember(master, sessionID, ticket []byte) {
	if len(sessionID) > 0 {
		k.masters["id "+string(sessionID)] = master
	}
	if len(ticket) > 0 {
		k.masters["ticket "+string(ticket)] = master
	}
}
