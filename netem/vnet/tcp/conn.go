package tcp

import (
	"errors"
	"io"
	"math/bits"
	"time"
)

// State is the state of a connection (RFC 9293 section 3.3.2).
type State uint8

// The states. A Conn is never in Listen: its owner listens and calls Accept.
const (
	Closed State = iota
	Listen
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

var stateNames = [...]string{"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED",
	"FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"}

// String is the name RFC 9293 uses.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// Why a connection died; Err, Read and Write return them.
var (
	ErrReset   = errors.New("connection reset by peer")
	ErrRefused = errors.New("connection refused")
	ErrTimeout = errors.New("connection timed out")
	ErrAborted = errors.New("connection aborted")
	// ErrClosed is returned by Write after CloseWrite or Close.
	ErrClosed = errors.New("write after close")
)

// Conn is one end of a TCP connection. Its methods must not be called
// concurrently; every method with a now argument advances the Conn's clock.
type Conn struct {
	cfg   Config
	epoch time.Time     // a multiple of the tick before the first call
	now   time.Duration // since epoch; never 0, so that 0 can mean "never"

	state         State
	err           error
	local, remote uint16
	passive       bool // made by Accept
	orphan        bool // Close was called: nobody will read

	// The send sequence space, RFC 9293 section 3.3.1.
	iss, sndUna, sndNxt uint32
	sndWnd, maxWindow   uint32
	sndWl1              uint32
	sndScale            uint8
	sndSml              uint32 // end of the last small segment (Minshall's Nagle)
	pushed              uint32 // up to where PSH was set
	snd                 sendBuffer
	finQueued           bool // the FIN follows the data in snd
	sndbufSegs          uint32
	noSpace             bool // the writer met a full buffer
	mss                 int  // payload of a full segment without SACK blocks

	txq    txQueue
	counts counters // of what is in txq

	// Congestion control and loss recovery.
	cc           congestion
	ca           caState
	cwnd         uint32
	cwndCnt      uint32 // acknowledgements counted towards the next increase
	ssthresh     uint32
	priorCwnd    uint32
	priorSsth    uint32
	highSeq      uint32 // SND.NXT when recovery began
	undo         undoState
	prr          prrState
	frto         bool
	reordering   uint32 // in segments
	reordSeen    bool
	highSacked   uint32
	delivered    uint32 // segments (S)ACKed so far
	lost         uint32 // segments marked lost so far
	rack         rackState
	tlp          tlpState
	cwndStamp    time.Duration
	cwndUsed     uint32
	cwndLimited  bool
	maxOut       uint32 // most segments outstanding in this window
	cwndUsageSeq uint32

	rtt rttState

	// Timers.
	xmitKind    timerKind
	xmitAt      time.Duration
	retransmits int // consecutive time-outs
	backoff     int // of the zero-window probe
	probesOut   int
	probesSince time.Duration
	idleAt      time.Duration // keep-alive, TIME-WAIT or orphaned FIN-WAIT-2
	lastSend    time.Duration
	lastRecv    time.Duration // last acknowledgement
	lastOow     time.Duration // last answer to an unacceptable segment

	rcv receiver
	ack ackState

	sackOK, tsOK, scaleOK bool
	tsOffset              uint32
	synRetrans            int
	synAt                 time.Duration // when the first SYN-ACK left

	out   []outgoing
	seg   Segment // handed to emit
	stats Stats
}

// outgoing is a segment that waits for Output. Its payload is named by its
// place in the send buffer, which may move.
type outgoing struct {
	Segment
	sack  [4]SACKBlock
	sacks int
	n     int // payload bytes from Seq on
}

// Stats are counters and estimates as TCP_INFO and nstat show them.
type Stats struct {
	SegmentsIn, SegmentsOut uint64
	Retransmitted           uint64 // segments sent again, SYN and probes included (RetransSegs)
	RTOs                    uint64 // retransmission time-outs
	TLPs                    uint64 // tail loss probes
	FastRecoveries          uint64
	LostRetransmissions     uint64
	DSACKs                  uint64 // D-SACK blocks received
	DSACKsSent              uint64
	Undos                   uint64 // window reductions taken back
	SpuriousRTOs            uint64 // found by F-RTO
	Reorderings             uint64
	PAWSRejected            uint64
	ChallengeACKs           uint64
	ZeroWindowProbes        uint64
	BytesAcked              uint64
	BytesReceived           uint64
	SRTT, RTTVAR, RTO       time.Duration
	MinRTT                  time.Duration
	Cwnd, Ssthresh          uint32 // segments
	InFlight                uint32 // segments
	SendWindow, RecvWindow  uint32 // bytes
}

// Dial makes a connection that sends a SYN with sequence number iss at the
// next Output. The maximum segment size follows from mtu, the size of an IP
// packet.
func Dial(cfg Config, now time.Time, local, remote uint16, iss uint32, mtu int, ipv6 bool) *Conn {
	c := newConn(cfg, now, local, remote, iss, mtu, ipv6)
	c.state = SynSent
	c.rcv.init(c)
	c.undo.stamp = c.tsNow()
	t := c.txq.push(iss, iss+1, true, false)
	c.sndNxt = iss + 1
	c.counts.packets++
	c.sendSYN()
	c.sent(t)
	c.arm(timerRetransmit, c.rtt.rto)
	return c
}

// Accept makes a connection from a peer's SYN; the SYN-ACK leaves at the next
// Output.
func Accept(cfg Config, now time.Time, syn *Segment, iss uint32, mtu int, ipv6 bool) *Conn {
	c := newConn(cfg, now, syn.DstPort, syn.SrcPort, iss, mtu, ipv6)
	c.passive = true
	c.state = SynReceived
	c.stats.SegmentsIn++
	c.rcv.init(c)
	c.peerSYN(syn)
	c.sndNxt = iss + 1
	c.undo.stamp, c.synAt = c.tsNow(), c.now
	c.sendSYN()
	c.arm(timerRetransmit, c.rtt.rto)
	return c
}

func newConn(cfg Config, now time.Time, local, remote uint16, iss uint32, mtu int, ipv6 bool) *Conn {
	if cfg.Tick <= 0 {
		cfg.Tick = time.Millisecond
	}
	c := &Conn{cfg: cfg, local: local, remote: remote, iss: iss}
	// A second of head start keeps every stamp away from zero.
	c.epoch = now.Truncate(cfg.Tick).Add(-time.Second.Truncate(cfg.Tick) - cfg.Tick)
	c.setNow(now)
	c.mss = mtu - headerLen - 20
	if ipv6 {
		c.mss -= 20
	}
	if cfg.MSS > 0 {
		c.mss = min(c.mss, cfg.MSS)
	}
	c.rcv.advMSS = c.mss
	c.tsOffset = iss * 2654435761 // constant for a seed, different for each connection
	c.sndUna, c.sndNxt, c.sndSml, c.pushed = iss, iss, iss, iss+1
	c.snd.base = iss + 1
	c.undo.clear()
	c.cwnd = uint32(cfg.InitialWindow)
	c.ssthresh = infiniteSsthresh
	c.reordering = uint32(cfg.DupThresh)
	c.rack.steps = 1
	c.rtt.rto = c.ceilTick(cfg.InitialRTO)
	c.lastSend, c.lastRecv = c.now, c.now
	c.cc = newCongestion(cfg)
	return c
}

func (c *Conn) setNow(now time.Time) {
	if d := now.Sub(c.epoch); d > c.now {
		c.now = d
	}
}

// peerSYN takes over what the peer's SYN or SYN-ACK says.
func (c *Conn) peerSYN(s *Segment) {
	c.rcv.start(s.Seq + 1)
	c.sndWnd = uint32(s.Window)
	c.maxWindow = max(c.maxWindow, c.sndWnd)
	c.sndWl1 = s.Seq
	c.sackOK = c.cfg.SACK && s.SACKPermitted
	c.tsOK = c.cfg.Timestamps && s.Timestamps
	c.scaleOK = c.cfg.WindowScaling && s.WindowScale >= 0
	if c.scaleOK {
		c.sndScale = uint8(s.WindowScale)
	} else {
		c.rcv.scale = 0
		c.rcv.clamp = min(c.rcv.clamp, 65535)
	}
	peer := int(s.MSS)
	if peer == 0 {
		peer = 536 // RFC 9293 section 3.7.1
	}
	c.mss = min(c.mss, max(peer, 88))
	if c.tsOK {
		c.rcv.storeTS(c, s)
		c.mss -= 12
		c.rcv.advMSS -= 12
	}
}

// fallbackRTO is the RTO for data when the handshake's round trip could not be
// measured.
const fallbackRTO = 3 * time.Second

// establish enters ESTABLISHED.
func (c *Conn) establish() {
	c.state = Established
	// Linux goes on with one segment only after two lost SYNs (RFC 6298
	// section 5.7 would at the first), unless they proved to be spurious.
	c.cwnd = uint32(c.cfg.InitialWindow)
	if c.synRetrans > 1 && c.undo.active {
		c.cwnd = 1
	}
	c.undo.clear()
	// A reduction by a lost SYN says nothing about the path's capacity.
	c.ssthresh, c.ca = infiniteSsthresh, caOpen
	if c.rtt.srtt == 0 {
		c.rtt.rto = max(c.rtt.rto, c.ceilTick(fallbackRTO)) // RFC 6298 section 5.7
	}
	c.sndbufSegs = uint32(c.cfg.InitialWindow)
	c.cwndStamp, c.lastSend = c.now, c.now
	c.cc.init(c)
	c.rcv.established(c)
	c.boundMSS()
	c.resetKeepAlive()
}

// boundMSS keeps segments below half the peer's greatest window (RFC 9293
// section 3.8.6.2.1): of a window of one segment, every ACK would be delayed.
func (c *Conn) boundMSS() {
	half := int(c.maxWindow)
	if half > 536 {
		half /= 2
	}
	if c.mss > half {
		c.mss = max(half, 28)
	}
}

// State is the connection's state.
func (c *Conn) State() State { return c.state }

// Err says why the connection died, nil while it lives or when it ended as
// both sides wished.
func (c *Conn) Err() error { return c.err }

// Ports returns the local and the remote port.
func (c *Conn) Ports() (local, remote uint16) { return c.local, c.remote }

// Stats returns the connection's counters and estimates.
func (c *Conn) Stats() Stats {
	s := c.stats
	s.SRTT, s.RTTVAR, s.RTO = c.rtt.srtt/8, c.rtt.rttvar, c.rtt.rto
	s.MinRTT = c.rtt.min.get()
	s.Cwnd, s.Ssthresh, s.InFlight = c.cwnd, c.ssthresh, c.inFlight()
	s.SendWindow, s.RecvWindow = c.sndWnd, c.rcv.wnd
	return s
}

// Readable reports whether Read would return data, end of stream or an error.
func (c *Conn) Readable() bool {
	return c.rcv.unread() > 0 || c.rcv.fin || c.state == Closed
}

// Writable reports whether Write would take bytes or fail. Like Linux's poll
// it wants a third of the buffer free, so that a writer wakes rarely.
func (c *Conn) Writable() bool {
	if c.state == Closed || c.finQueued {
		return true
	}
	queued := c.snd.len()
	if !c.synchronised() || c.sendLimit()-queued < queued/2 {
		c.noSpace = true // the caller waits: the buffer may grow
		return false
	}
	return true
}

// Read copies received bytes into b: 0 and nil when nothing is there, io.EOF
// after the peer's FIN, the reason of death after a reset or time-out.
func (c *Conn) Read(now time.Time, b []byte) (int, error) {
	c.setNow(now)
	n := c.rcv.read(b)
	switch {
	case n > 0:
		c.afterRead()
		return n, nil
	case len(b) == 0:
		return 0, nil
	case c.rcv.fin:
		return 0, io.EOF
	case c.err != nil:
		return 0, c.err
	case c.state == Closed:
		return 0, io.EOF
	}
	return 0, nil
}

// Write appends what fits of b to the send buffer and returns how much that
// was, 0 when the buffer is full or the handshake is not over.
func (c *Conn) Write(now time.Time, b []byte) (int, error) {
	c.setNow(now)
	switch {
	case c.err != nil:
		return 0, c.err
	case c.finQueued || c.state == Closed:
		return 0, ErrClosed
	case !c.synchronised():
		return 0, nil
	}
	n := min(len(b), c.sendRoom())
	c.noSpace = n < len(b)
	if n <= 0 {
		return 0, nil
	}
	c.slowStartAfterIdle()
	c.snd.append(b[:n], len(c.out) == 0)
	c.push()
	return n, nil
}

// sendRoom is how many bytes Write takes. A segment that is begun is filled,
// even beyond the limit, or a full buffer would end in a small segment.
func (c *Conn) sendRoom() int {
	room := c.sendLimit() - c.snd.len()
	if room <= 0 || c.cfg.SendBuffer > 0 {
		return room
	}
	if part := (int(c.snd.end()-c.sndNxt) + room) % c.mss; part > 0 {
		room += c.mss - part
	}
	return room
}

// sendLimit is how many bytes the send buffer holds now. Linux grants two
// windows of segments of a power of two each, and charges a segment its
// payload and packetOverhead.
func (c *Conn) sendLimit() int {
	if c.cfg.SendBuffer > 0 {
		return c.cfg.SendBuffer
	}
	granted := 1<<bits.Len(uint(c.mss+639)) + 256
	return min(int(2*c.sndbufSegs)*granted, c.cfg.MaxSendBuffer) * c.mss / (c.mss + packetOverhead)
}

// CloseWrite queues a FIN behind the data: the half-close.
func (c *Conn) CloseWrite(now time.Time) {
	c.setNow(now)
	switch c.state {
	case SynSent:
		c.die(nil)
		return
	case SynReceived:
		// The FIN waits for the handshake; see afterHandshake.
	case Established:
		c.state = FinWait1
	case CloseWait:
		c.state = LastAck
	default:
		return
	}
	if c.finQueued {
		return
	}
	c.finQueued = true
	if c.synchronised() {
		c.push()
	}
}

// Close ends both directions. As in Linux, bytes that were received and not
// read, and those that still arrive, are answered with a reset, so that the
// peer does not take them for processed (RFC 2525 section 2.17).
func (c *Conn) Close(now time.Time) {
	c.setNow(now)
	c.orphan = true
	if c.rcv.unread() > 0 && c.state != Closed && c.state != TimeWait {
		c.sendRST()
		c.die(nil)
		return
	}
	c.CloseWrite(now)
	if c.state == FinWait2 {
		c.idleAt = c.deadline(c.cfg.TimeWait)
	}
}

// Abort resets the connection (RFC 9293 section 3.9.1, ABORT).
func (c *Conn) Abort(now time.Time) {
	c.setNow(now)
	switch c.state {
	case Closed:
		return
	case SynSent, TimeWait:
	default:
		c.sendRST()
	}
	c.die(ErrAborted)
}

// die enters CLOSED.
func (c *Conn) die(err error) {
	c.state = Closed
	if c.err == nil {
		c.err = err
	}
	c.disarm()
	c.idleAt = 0
	c.ack = ackState{}
}

// timeWait enters TIME-WAIT.
func (c *Conn) timeWait() {
	c.state = TimeWait
	c.disarm()
	c.ack.clear()
	c.idleAt = c.deadline(c.cfg.TimeWait)
}

// synchronised reports a state in which data may be sent or may have been.
func (c *Conn) synchronised() bool { return c.state >= Established && c.state < TimeWait }

// writeSeq follows all that the application wrote, its FIN included.
func (c *Conn) writeSeq() uint32 {
	n := c.snd.end()
	if c.finQueued {
		n++
	}
	return n
}
