package tlsdec

import (
	"encoding/binary"
	"math"
)

// Sides of a connection.
const (
	Client = 0
	Server = 1
)

// Kind says what a byte of a stream or datagram is for.
type Kind uint8

const (
	// Security bytes are the protocol's own: handshakes, alerts, record
	// headers, nonces, padding, tags.
	Security Kind = iota
	// Content bytes are the application's, found in Plain.
	Content
	// Opaque bytes are probably the application's, but could not be decrypted.
	Opaque
	// Incomplete bytes are the application's: the beginning of a record whose
	// end was never sent, as when a connection breaks. Only a whole record can
	// be decrypted.
	Incomplete
)

// Span is a run of bytes of one kind.
type Span struct {
	Len  int
	Kind Kind
}

// Stream is one direction's bytes.
type Stream struct {
	Data []byte
	// Holes are the ranges of Data that were not captured, in order.
	Holes []Hole
}

// Hole is a range of bytes that nobody saw.
type Hole struct{ From, To int }

func (s *Stream) hole(from, to int) bool {
	for _, h := range s.Holes {
		if h.From < to && from < h.To {
			return true
		}
	}
	return false
}

// Connection is what became of a TLS connection's streams.
type Connection struct {
	// Version and Suite are as the server chose, 0 if its hello is missing.
	Version, Suite uint16
	// ServerHelloAt is the offset in the server's stream of the record that
	// ends the negotiation; -1 if it is missing.
	ServerHelloAt int
	Sides         [2]Transcript
	// Undecrypted counts the bytes of kind Opaque.
	Undecrypted int64
}

// Transcript is one direction, seen from inside.
type Transcript struct {
	Spans []Span // they add up to the stream's length
	Plain []byte // the bytes of kind Content, joined
}

func (t *Transcript) add(n int, k Kind) {
	if n == 0 {
		return
	}
	if last := len(t.Spans) - 1; last >= 0 && t.Spans[last].Kind == k {
		t.Spans[last].Len += n
		return
	}
	t.Spans = append(t.Spans, Span{n, k})
}

// IsTLS reports whether a stream begins with a TLS record.
func IsTLS(data []byte) bool {
	return len(data) >= 3 && plausible(data)
}

// plausible checks a record header of which at least three bytes are there.
func plausible(b []byte) bool {
	if b[0] < typeChangeCipherSpec || b[0] > typeHeartbeat || b[1] != 3 || b[2] > 4 {
		return false
	}
	// RFC 5246 section 6.2.3: at most 2^14 + 2048.
	return len(b) < recordHeaderLen || binary.BigEndian.Uint16(b[3:]) <= 1<<14+2048
}

const recordHeaderLen = 5

// IsClient reports whether a stream begins with a ClientHello.
func IsClient(data []byte) bool {
	return len(data) > recordHeaderLen && plausible(data) && data[0] == typeHandshake && data[recordHeaderLen] == msgClientHello
}

// Dissect takes a TLS connection apart. Either stream may be empty or end in
// the middle of a record.
func Dissect(client, server Stream, keys *Keys) *Connection {
	c := &Connection{}
	ch, _, haveClient := findHello(client.Data, msgClientHello)
	sh, at, haveServer := findHello(server.Data, msgServerHello)
	c.ServerHelloAt = at
	var walkers [2]walker
	if haveServer {
		c.Version, c.Suite = sh.version, sh.suite
		s := lookupSuite(sh.suite)
		for side := range walkers {
			walkers[side].suite = s
			walkers[side].tls13 = sh.version == versionTLS13
		}
		if haveClient && s != nil {
			setKeys(&walkers, s, &ch, &sh, server.Data, keys)
		}
	}
	for side, stream := range []Stream{client, server} {
		w := &walkers[side]
		w.stream, w.out = stream, &c.Sides[side]
		w.out.Plain = make([]byte, 0, len(stream.Data))
		w.walk()
		c.Undecrypted += w.opaque
	}
	return c
}

// setKeys gives each walker the protections its records go through.
func setKeys(w *[2]walker, s *suite, ch, sh *hello, server []byte, keys *Keys) {
	switch sh.version {
	case versionTLS12:
		if master := keys.master(ch, sh); master != nil {
			keys.remember(master, sh.sessionID, newTicket(server))
			p := protections12(s, master, ch.random, sh.random, sh.encryptThenMAC)
			w[Client].current, w[Server].current = p[Client], p[Server]
		}
	case versionTLS13:
		labels := [2][]string{
			{labelEarly, labelClientHandshake, labelClientTraffic},
			{labelServerHandshake, labelServerTraffic},
		}
		for side := range w {
			for _, label := range labels[side] {
				if secret := keys.find(label, ch.random); secret != nil {
					w[side].secrets = append(w[side].secrets, secret)
				}
			}
		}
	}
}

// maxHelloLen limits how far into a stream a hello is looked for, bytes.
const maxHelloLen = 1 << 17

// A message is an unprotected handshake message of TLS.
type message struct {
	typ  byte
	body []byte // as far as it is there
	at   int    // offset in the stream of the record it begins in
}

// messages are the handshake messages at the start of a stream, up to the
// first protected record; of TLS 1.2's Finished, what looks like one.
func messages(data []byte) []message {
	type record struct{ joined, stream int }
	var joined []byte
	var records []record
	for off := 0; len(data)-off > recordHeaderLen && off < maxHelloLen; {
		b := data[off:]
		if !plausible(b) || b[0] == typeData {
			break
		}
		end := min(len(b), recordHeaderLen+int(binary.BigEndian.Uint16(b[3:])))
		if b[0] == typeHandshake {
			records = append(records, record{len(joined), off})
			joined = append(joined, b[recordHeaderLen:end]...)
		}
		off += end
	}
	var all []message
	for off := 0; len(joined)-off > 4; {
		for len(records) > 1 && records[1].joined <= off {
			records = records[1:]
		}
		end := min(len(joined), off+4+uint24(joined[off+1:]))
		all = append(all, message{joined[off], joined[off+4 : end], records[0].stream})
		off = end
	}
	return all
}

// findHello finds a stream's first hello that is not a HelloRetryRequest, and
// where it begins.
func findHello(data []byte, typ byte) (h hello, at int, ok bool) {
	for _, m := range messages(data) {
		if m.typ != typ {
			continue
		}
		if h, ok := parseHello(m.body, typ == msgServerHello, false); ok && h.random != retryRandom {
			return h, m.at, true
		}
	}
	return h, -1, false
}

// newTicket is the session ticket in a TLS 1.2 server's stream, RFC 5077
// section 3.3.
func newTicket(server []byte) []byte {
	for _, m := range messages(server) {
		if m.typ == msgNewSessionTicket {
			r := reader{b: m.body}
			r.take(4) // lifetime hint
			return r.take(int(r.uint16()))
		}
	}
	return nil
}

// A walker goes through one direction's records.
type walker struct {
	stream Stream
	out    *Transcript
	suite  *suite // nil if unknown
	tls13  bool

	current *protection // nil if there is no key (yet)
	secrets [][]byte    // TLS 1.3: those not yet in use
	last    []byte      // TLS 1.3: the one in use
	active  bool        // TLS 1.2: ChangeCipherSpec was seen
	seq     uint64
	opaque  int64
}

func (w *walker) walk() {
	for data := w.stream.Data; len(data) > 0; {
		off := len(w.stream.Data) - len(data)
		header := min(len(data), recordHeaderLen)
		if w.stream.hole(off, off+header) || header < 3 && data[0] > typeHeartbeat || header >= 3 && !plausible(data) {
			w.unknown(len(data)) // record boundaries are lost
			return
		}
		if header < recordHeaderLen {
			w.out.add(len(data), Security)
			return
		}
		length := int(binary.BigEndian.Uint16(data[3:]))
		w.out.add(recordHeaderLen, Security)
		if recordHeaderLen+length > len(data) { // the capture ends here
			w.partial(data[0], data[recordHeaderLen:])
			return
		}
		w.record(data[:recordHeaderLen+length], w.stream.hole(off, off+recordHeaderLen+length))
		data = data[recordHeaderLen+length:]
	}
}

func (w *walker) unknown(n int) {
	w.out.add(n, Opaque)
	w.opaque += int64(n)
}

// partial accounts for the fragment of a record whose end is missing.
func (w *walker) partial(typ byte, fragment []byte) {
	if typ != typeData {
		w.out.add(len(fragment), Security)
		return
	}
	front, _ := w.overhead()
	front = min(front, len(fragment))
	w.out.add(front, Security)
	if w.current != nil {
		w.out.add(len(fragment)-front, Incomplete)
	} else {
		w.unknown(len(fragment) - front)
	}
}

// overhead is what surrounds the content of a data record: known from the
// suite even without a key.
func (w *walker) overhead() (front, back int) {
	switch {
	case w.suite == nil:
		return 0, 0
	case w.tls13:
		return 0, w.suite.tagLen + 1 // RFC 8446 section 5.2: the inner content type
	}
	return w.suite.overhead()
}

func (w *walker) record(b []byte, damaged bool) {
	typ, fragment := b[0], b[recordHeaderLen:]
	h := recordHeader{typ: typ, version: binary.BigEndian.Uint16(b[1:]), seq: w.seq}
	if w.tls13 {
		if typ == typeData {
			w.record13(h, fragment, damaged)
		} else { // hellos, alerts before keys, dummy ChangeCipherSpec
			w.out.add(len(fragment), Security)
		}
		return
	}
	if w.active {
		w.seq++
	}
	switch {
	case typ == typeChangeCipherSpec:
		w.active, w.seq = true, 0
		w.out.add(len(fragment), Security)
	case typ != typeData:
		w.out.add(len(fragment), Security)
	default:
		front, back := w.overhead()
		if plain, ok := w.open(w.current, h, fragment, damaged); ok {
			w.content(fragment, plain, front)
		} else {
			w.sealed(fragment, front, back)
		}
	}
}

// record13 opens a TLS 1.3 record. A record that the present key does not open
// is the first under the next one: handshake, application, or updated
// (RFC 8446 section 4.6.3).
func (w *walker) record13(h recordHeader, fragment []byte, damaged bool) {
	plain, ok := w.open(w.current, h, fragment, damaged)
	for i := 0; !ok && !damaged && i < len(w.secrets); i++ {
		p := protection13(w.suite, w.secrets[i])
		h.seq = 0
		if plain, ok = w.open(p, h, fragment, false); ok {
			w.use(p, w.secrets[i], i+1)
		}
	}
	if !ok && !damaged && w.last != nil && len(w.secrets) == 0 {
		next := expandLabel(w.suite, w.last, "traffic upd", len(w.last))
		p := protection13(w.suite, next)
		h.seq = 0
		if plain, ok = w.open(p, h, fragment, false); ok {
			w.use(p, next, 0)
		}
	}
	w.seq++
	if !ok {
		front, back := w.overhead()
		w.sealed(fragment, front, back)
		return
	}
	typ, n := innerType(plain)
	if typ != typeData {
		w.out.add(len(fragment), Security)
		return
	}
	w.content(fragment, plain[:n], 0)
}

// use goes over to p, whose secret was the n-th of those waiting.
func (w *walker) use(p *protection, secret []byte, n int) {
	w.current, w.last, w.seq = p, secret, 0
	w.secrets = w.secrets[n:]
}

// innerType splits padding and content type off, RFC 8446 section 5.4 and
// RFC 9146 section 4: n is the content's length.
func innerType(plain []byte) (typ byte, n int) {
	n = len(plain)
	for n > 0 && plain[n-1] == 0 {
		n--
	}
	if n == 0 {
		return 0, 0
	}
	return plain[n-1], n - 1
}

// open decrypts behind the content found so far.
func (w *walker) open(p *protection, h recordHeader, fragment []byte, damaged bool) ([]byte, bool) {
	if p == nil || damaged || w.seq == math.MaxUint64 {
		return nil, false
	}
	have := len(w.out.Plain)
	b, ok := p.open(w.out.Plain, h, fragment)
	return b[have:], ok
}

// content accounts for an opened fragment with plain inside.
func (w *walker) content(fragment, plain []byte, front int) {
	w.out.add(front, Security)
	w.out.add(len(plain), Content)
	w.out.add(len(fragment)-front-len(plain), Security)
	w.out.Plain = append(w.out.Plain, plain...)
}

// sealed accounts for a fragment that stays shut.
func (w *walker) sealed(fragment []byte, front, back int) {
	front = min(front, len(fragment))
	back = min(back, len(fragment)-front)
	w.out.add(front, Security)
	w.unknown(len(fragment) - front - back)
	w.out.add(back, Security)
}
