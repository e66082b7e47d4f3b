package tcp

import (
	"errors"
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
	psh                 pushState
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
	c.tsOK = cfg.Timestamps && syn.Timestamps
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
	c.epoch = now.Truncate(cfg.Tick).Add(-(time.Second + cfg.TimerPhase).Truncate(cfg.Tick) - cfg.Tick)
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
	c.sndUna, c.sndNxt, c.sndSml = iss, iss, iss
	c.psh.last, c.psh.piece = iss+1, iss+1
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
	if half > 0 && c.mss > half { // a window that opens later bounds nothing
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
