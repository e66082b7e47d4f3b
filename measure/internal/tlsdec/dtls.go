package tlsdec

import (
	"bytes"
	"encoding/binary"
)

// dtlsHeaderLen is the length of a record header without a connection
// identifier, bytes (RFC 6347 section 4.1).
const dtlsHeaderLen = 13

// handshakeHeaderLen is the length of a DTLS handshake header, bytes
// (RFC 6347 section 4.2.2).
const handshakeHeaderLen = 12

// IsDTLS reports whether a datagram begins with a DTLS record. Old
// implementations send version 0xfe00 first.
func IsDTLS(b []byte) bool {
	if len(b) < dtlsHeaderLen || b[1] != 0xfe {
		return false
	}
	return b[0] >= typeChangeCipherSpec && b[0] <= typeCID
}

// Record is a DTLS record of one datagram. Front + content + Back is Len; the
// content is Plain if Kind is Content.
type Record struct {
	Len, Front, Back int
	Kind             Kind
	Plain            []byte // valid until the next call of Datagram
	// Repeats counts the handshake messages (or fragments of such) that were
	// sent before, in another record.
	Repeats int
	// ServerHello is set on the first copy of a handshake's ServerHello.
	ServerHello bool
	// Restart is set on the first ClientHello of a new association.
	Restart bool
}

// Session follows one DTLS association, handshake after handshake. Directions
// are the caller's, 0 and 1.
type Session struct {
	keys   *Keys
	client int // direction of the client's datagrams

	haveClient, haveServer bool
	hello                  [2]hello // by side
	started                [2]partialHello
	suite                  *suite
	protection             [2]*protection // by side
	useCID                 bool

	seen    map[fragmentID]uint64 // record number of the first copy
	records []Record
	plain   []byte
}

// partialHello gathers the fragments of a hello.
type partialHello struct {
	body []byte
	have int
}

// fragmentID tells handshake messages apart: facts that repeat with a
// retransmission, whatever record carries them.
type fragmentID struct {
	dir    int
	epoch  uint16
	typ    byte // 0 if it could not be decrypted
	seq    uint16
	offset int
}

// NewSession waits for a handshake.
func NewSession(keys *Keys) *Session {
	return &Session{keys: keys, seen: make(map[fragmentID]uint64)}
}

// Datagram splits a datagram into records. What does not look like one is a
// last Opaque record. The slice is valid until the next call.
func (s *Session) Datagram(dir int, b []byte) []Record {
	s.records, s.plain = s.records[:0], s.plain[:0]
	for len(b) > 0 {
		r := s.record(dir, b)
		s.records = append(s.records, r)
		b = b[r.Len:]
	}
	return s.records
}

// OwnsCID reports whether a tls12_cid record sent in direction dir names this
// session: it survives a change of the peer's address (RFC 9146 section 6).
func (s *Session) OwnsCID(dir int, b []byte) bool {
	cid := s.cid(s.side(dir))
	return len(cid) > 0 && IsDTLS(b) && b[0] == typeCID && bytes.HasPrefix(b[11:], cid)
}

func (s *Session) side(dir int) int {
	if dir == s.client {
		return Client
	}
	return Server
}

// cid is the identifier in records that side sends: its peer's choice.
func (s *Session) cid(side int) []byte {
	if !s.useCID {
		return nil
	}
	return s.hello[1-side].cid
}

func (s *Session) record(dir int, b []byte) Record {
	opaque := Record{Len: len(b), Kind: Opaque}
	if !IsDTLS(b) {
		return opaque
	}
	side := s.side(dir)
	h := recordHeader{typ: b[0], version: binary.BigEndian.Uint16(b[1:]), seq: binary.BigEndian.Uint64(b[3:])}
	header := dtlsHeaderLen
	if h.typ == typeCID {
		h.cid = s.cid(side)
		header += len(h.cid)
		if len(h.cid) == 0 || len(b) < header || !bytes.Equal(b[11:11+len(h.cid)], h.cid) {
			return opaque
		}
	}
	n := int(binary.BigEndian.Uint16(b[header-2:]))
	if header+n > len(b) { // cut by the capture
		return Record{Len: len(b), Front: header, Kind: Opaque}
	}
	r := Record{Len: header + n, Front: header, Kind: Security}
	fragment := b[header : header+n]
	if h.seq>>48 == 0 { // epoch 0: not protected
		r.Front += n
		if h.typ == typeHandshake {
			s.handshakes(dir, h.seq, fragment, &r)
		}
		return r
	}
	s.protected(dir, side, h, fragment, &r)
	return r
}

// protected opens a record of a later epoch.
func (s *Session) protected(dir, side int, h recordHeader, fragment []byte, r *Record) {
	front, back := 0, 0
	if s.suite != nil {
		front, back = s.suite.overhead()
	}
	typ, plain, opened := h.typ, []byte(nil), false
	// Only the keys of the first epoch are known.
	if p := s.protection[side]; p != nil && h.seq>>48 == 1 {
		have := len(s.plain)
		if s.plain, opened = p.open(s.plain, h, fragment); opened {
			plain = s.plain[have:]
			if typ == typeCID {
				var n int
				typ, n = innerType(plain)
				plain = plain[:n]
			}
		}
	}
	switch {
	case typ == typeHandshake && opened:
		r.Front += len(fragment)
		s.handshakes(dir, h.seq, plain, r)
	case typ == typeHandshake: // Finished, most likely
		r.Front += len(fragment)
		s.note(fragmentID{dir: dir, epoch: uint16(h.seq >> 48)}, h.seq, r)
	case typ != typeData && typ != typeCID:
		r.Front += len(fragment)
	case opened:
		r.Kind, r.Plain = Content, plain
		r.Front += front
		r.Back = r.Len - r.Front - len(plain)
	default:
		r.Kind = Opaque
		r.Front += min(front, len(fragment))
		r.Back = min(back, r.Len-r.Front)
	}
}

// note counts a handshake message that another record carried before.
func (s *Session) note(id fragmentID, record uint64, r *Record) (repeat bool) {
	first, ok := s.seen[id]
	if !ok {
		s.seen[id] = record
		return false
	}
	if first != record {
		r.Repeats++
	}
	return true
}

// handshakes looks at the messages of a record.
func (s *Session) handshakes(dir int, record uint64, b []byte, r *Record) {
	for len(b) >= handshakeHeaderLen {
		typ, length := b[0], uint24(b[1:])
		seq, offset, n := binary.BigEndian.Uint16(b[4:]), uint24(b[6:]), uint24(b[9:])
		if n > len(b)-handshakeHeaderLen || offset+n > length {
			return
		}
		body := b[handshakeHeaderLen : handshakeHeaderLen+n]
		b = b[handshakeHeaderLen+n:]
		if typ == msgClientHello && offset == 0 && record>>48 == 0 {
			r.Restart = s.restart(dir, body) || r.Restart
		}
		id := fragmentID{dir, uint16(record >> 48), typ, seq, offset}
		if repeat := s.note(id, record, r); repeat || record>>48 != 0 {
			continue
		}
		switch typ {
		case msgClientHello:
			s.gather(Client, length, offset, body)
		case msgServerHello:
			r.ServerHello = r.ServerHello || offset == 0
			s.gather(Server, length, offset, body)
		}
	}
}

// restart begins a new handshake if a ClientHello has a Random that was not
// seen yet.
func (s *Session) restart(dir int, body []byte) bool {
	h, ok := parseHello(body, false, true)
	if !ok || s.haveClient && h.random == s.hello[Client].random && dir == s.client {
		return false
	}
	// The records of the old association may still be on their way, but their
	// keys are the old epoch's: nobody can use them any more.
	*s = Session{keys: s.keys, client: dir, records: s.records, plain: s.plain, seen: make(map[fragmentID]uint64)}
	s.haveClient, s.hello[Client] = true, h
	return true
}

// maxDTLSHello limits the size of a hello, bytes.
const maxDTLSHello = 1 << 14

// gather puts a hello's fragments together, and derives the keys when both are
// there.
func (s *Session) gather(side, length, offset int, body []byte) {
	p := &s.started[side]
	if length > maxDTLSHello {
		return
	}
	if offset == 0 {
		*p = partialHello{body: make([]byte, length)}
	}
	if offset+len(body) > len(p.body) {
		return
	}
	p.have += copy(p.body[offset:], body)
	if p.have < len(p.body) {
		return
	}
	h, ok := parseHello(p.body, side == Server, true)
	if !ok {
		return
	}
	s.hello[side] = h
	if side == Server {
		s.haveServer = true
	}
	s.derive()
}

func (s *Session) derive() {
	if !s.haveClient || !s.haveServer {
		return
	}
	ch, sh := &s.hello[Client], &s.hello[Server]
	s.useCID = ch.hasCID && sh.hasCID
	s.suite = lookupSuite(sh.suite)
	master := s.keys.master(ch, sh)
	if s.suite != nil && master != nil && sh.version == versionDTLS12 {
		s.keys.remember(master, sh.sessionID, nil)
		s.protection = protections12(s.suite, master, ch.random, sh.random, sh.encryptThenMAC)
	}
}
