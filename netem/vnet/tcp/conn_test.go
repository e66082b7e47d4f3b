package tcp_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

func TestHandshakeOfClient(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	syn := s.segs[0]
	if syn.MSS != 1318 || syn.WindowScale != 7 || !syn.SACKPermitted || !syn.Timestamps || syn.Window != 64582 {
		t.Errorf("SYN %+v", syn)
	}
	s.want("S 0:1")
	s.advance(100 * time.Millisecond)
	s.synAck(tcp.Linux())
	s.want(". 1 ack 1")
	s.wantState(tcp.Established)
	if st := s.c.Stats(); st.SRTT != 100*time.Millisecond || st.RTO != 300*time.Millisecond || st.Cwnd != 10 {
		t.Errorf("after the handshake %+v", st)
	}
	s.write(2000) // the last segment is pushed
	s.want(full(0), "P. 1307:2001 ack 1")
}

func TestHandshakeOfServer(t *testing.T) {
	s := begin(t)
	syn := s.fill(tcp.Segment{Flags: tcp.SYN, Window: 65535, MSS: 1460, WindowScale: 7, SACKPermitted: true, Timestamps: true, TSVal: 5})
	s.c = tcp.Accept(tcp.Linux(), s.now, &syn, ourISS, 1358, false)
	s.collect()
	g := s.segs[0]
	if g.MSS != 1318 || g.WindowScale != 7 || !g.SACKPermitted || !g.Timestamps || g.TSEcr != 5 || g.Window != 65300 {
		t.Errorf("SYN-ACK %+v", g)
	}
	s.want("S. 0:1 ack 1")
	s.wantState(tcp.SynReceived)
	s.advance(50 * time.Millisecond)
	s.ts = true
	s.in(tcp.ACK, 1, 1, 100) // data with the ACK of the handshake
	s.wantState(tcp.Established)
	s.want(". 1 ack 101") // a quick ACK
	if n, err := s.read(); n != 100 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
}

func TestPeerWithoutOptions(t *testing.T) {
	s := begin(t)
	syn := s.fill(tcp.Segment{Flags: tcp.SYN, Window: 8192, WindowScale: -1})
	s.c = tcp.Accept(tcp.Linux(), s.now, &syn, ourISS, 1358, false)
	s.collect()
	if g := s.segs[0]; g.WindowScale != -1 || g.SACKPermitted || g.Timestamps {
		t.Errorf("SYN-ACK offers what the SYN did not: %+v", g)
	}
	s.clear()
	s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: 1, Window: 8192, WindowScale: -1})
	s.write(1000)
	s.want(". 1:537 ack 1", "P. 537:1001 ack 1") // 536 bytes, RFC 9293 section 3.7.1
}

// The SYN is repeated after 1, 2, 4, ... s (RFC 6298), six times in all.
func TestSYNIsRepeated(t *testing.T) {
	cfg := tcp.Linux()
	cfg.TimerWheel = false
	s := begin(t)
	s.c = tcp.Dial(cfg, s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.want("S 0:1")
	for _, at := range []time.Duration{1, 3, 7, 15, 31, 63} {
		s.advance(at*time.Second - s.elapsed() - 1)
		s.want()
		s.advance(1)
		s.want("S 0:1")
	}
	s.advance(64 * time.Second)
	s.want()
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrTimeout)
}

// A SYN that was repeated although its answer was under way costs nothing.
func TestSpuriousSYNRetransmission(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	first := s.segs[0].TSVal
	s.advance(3500 * time.Millisecond)
	s.want("S 0:1", "S 0:1", "S 0:1")
	s.ts, s.ecr = true, first
	s.synAck(tcp.Linux())
	if st := s.c.Stats(); st.Cwnd != 10 || st.SRTT != 3500*time.Millisecond {
		t.Errorf("after spurious SYNs: %+v", st)
	}
}

// Two SYNs that were lost leave a window of one segment.
func TestLostSYNs(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.advance(3500 * time.Millisecond)
	s.ts = true
	s.synAck(tcp.Linux())
	if st := s.c.Stats(); st.Cwnd != 1 {
		t.Errorf("after lost SYNs: %+v", st)
	}
}

func TestRefused(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.clear()
	s.in(tcp.RST|tcp.ACK, 0, 99, 0) // acknowledges something else: forged
	s.wantState(tcp.SynSent)
	s.in(tcp.RST|tcp.ACK, 0, 1, 0)
	s.wantState(tcp.Closed)
	s.want()
	wantErr(t, s.c.Err(), tcp.ErrRefused)
	if _, err := s.read(); err != tcp.ErrRefused {
		t.Errorf("Read: %v", err)
	}
}

// An ACK in SYN-SENT that acknowledges something else is answered with a
// reset (RFC 9293 section 3.10.7.3).
func TestHalfOpenPeer(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.clear()
	s.in(tcp.ACK, 500, 700, 0)
	s.want("R 700")
	s.wantState(tcp.SynSent)
	s.advance(20 * time.Millisecond) // the way is free now
	s.want("S 0:1")
}

// A SYN that is newer may take the place of a connection in TIME-WAIT.
func TestReusable(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	syn := s.fill(tcp.Segment{Flags: tcp.SYN, Seq: 5000, WindowScale: -1})
	if s.c.Reusable(&syn) {
		t.Error("in ESTABLISHED")
	}
	s.do(s.c.CloseWrite)
	s.in(tcp.FIN|tcp.ACK, 1, 2, 0)
	s.wantState(tcp.TimeWait)
	if s.advance(time.Second); !s.c.Reusable(&tcp.Segment{Flags: tcp.SYN, Timestamps: true, TSVal: s.clock()}) {
		t.Error("a newer timestamp")
	}
	if s.c.Reusable(&tcp.Segment{Flags: tcp.SYN, Timestamps: true, TSVal: s.clock() - 5000}) {
		t.Error("an older timestamp")
	}
	if !s.c.Reusable(&tcp.Segment{Flags: tcp.SYN, Seq: theirISS + 100}) || s.c.Reusable(&tcp.Segment{Flags: tcp.SYN, Seq: theirISS - 100}) {
		t.Error("by sequence number")
	}
	if s.c.Reusable(&tcp.Segment{Flags: tcp.SYN | tcp.ACK, Seq: theirISS + 100}) {
		t.Error("a SYN-ACK opens nothing")
	}
}

func TestSimultaneousOpen(t *testing.T) {
	s := begin(t)
	s.c = tcp.Dial(tcp.Linux(), s.now, 50000, 80, ourISS, 1358, false)
	s.collect()
	s.clear()
	s.advance(50 * time.Millisecond)
	s.ts = true
	s.raw(tcp.Segment{Flags: tcp.SYN, Window: 65535, MSS: 1318, WindowScale: 7, SACKPermitted: true})
	s.wantState(tcp.SynReceived)
	s.want("S. 0:1 ack 1")
	s.advance(50 * time.Millisecond)
	s.raw(tcp.Segment{Flags: tcp.SYN | tcp.ACK, Ack: 1, Window: 65535, MSS: 1318, WindowScale: 7, SACKPermitted: true})
	s.wantState(tcp.Established)
	s.clear()
	s.write(10)
	s.want("P. 1:11 ack 1")
}

func TestSYNACKIsRepeated(t *testing.T) {
	cfg := tcp.Linux()
	cfg.TimerWheel = false
	s := begin(t)
	syn := s.fill(tcp.Segment{Flags: tcp.SYN, Window: 65535, MSS: 1318, WindowScale: -1})
	s.c = tcp.Accept(cfg, s.now, &syn, ourISS, 1358, false)
	s.collect()
	s.want("S. 0:1 ack 1")
	s.advance(time.Second)
	s.want("S. 0:1 ack 1")
	s.raw(tcp.Segment{Flags: tcp.SYN, Window: 65535, MSS: 1318, WindowScale: -1}) // the SYN again
	s.want("S. 0:1 ack 1")
	s.raw(tcp.Segment{Flags: tcp.SYN, Window: 65535, MSS: 1318, WindowScale: -1}) // limited
	s.want()
	s.advance(2 * time.Second) // 1 s << 1 after the last
	s.want("S. 0:1 ack 1")
	s.advance(60 * time.Second)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrTimeout)
}

func TestCloseActive(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.write(10)
	s.do(s.c.CloseWrite)
	s.wantState(tcp.FinWait1)
	s.want("P. 1:11 ack 1", "F. 11:12 ack 1")
	if _, err := s.c.Write(s.now, []byte("x")); err != tcp.ErrClosed {
		t.Errorf("Write after CloseWrite: %v", err)
	}
	s.ack(12)
	s.wantState(tcp.FinWait2)
	s.data(1, 100) // the other direction is still open
	s.want(". 12 ack 101")
	s.in(tcp.FIN|tcp.ACK, 101, 12, 0)
	s.wantState(tcp.TimeWait)
	s.want(". 12 ack 102")
	if n, err := s.read(); n != 100 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
	if n, err := s.read(); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v, want EOF", n, err)
	}
	s.advance(50 * time.Second)
	s.in(tcp.FIN|tcp.ACK, 101, 12, 0) // our last ACK was lost
	s.want(". 12 ack 102")
	s.advance(59 * time.Second) // TIME-WAIT began anew
	s.wantState(tcp.TimeWait)
	s.advance(5 * time.Second)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), nil)
	if _, ok := s.c.Next(); ok {
		t.Error("a timer runs in CLOSED")
	}
}

// A FIN rides on the last data that was not sent yet.
func TestFINWithData(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.write(10*mss + 100)
	s.do(s.c.CloseWrite)
	s.want(fulls(0, 10)...)
	s.ack(seg(10))
	s.want(fmt.Sprintf("FP. %d:%d ack 1", seg(10), seg(10)+101))
}

func TestClosePassive(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.in(tcp.FIN|tcp.ACK, 1, 1, 20)
	s.wantState(tcp.CloseWait)
	s.want() // the ACK of a FIN waits for the answer
	s.read()
	s.write(5)
	s.do(s.c.Close)
	s.wantState(tcp.LastAck)
	s.want("P. 1:6 ack 22", "F. 6:7 ack 22")
	s.in(tcp.ACK, 22, 7, 0)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), nil)
}

func TestSimultaneousClose(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.do(s.c.CloseWrite)
	s.want("F. 1:2 ack 1")
	s.in(tcp.FIN|tcp.ACK, 1, 1, 0) // crossed ours
	s.wantState(tcp.Closing)
	s.want(". 2 ack 2")
	s.in(tcp.ACK, 2, 2, 0)
	s.wantState(tcp.TimeWait)
}

// A FIN that arrives before the data it follows takes effect after it.
func TestFINOutOfOrder(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.in(tcp.FIN|tcp.ACK, 101, 1, 100)
	s.want(". 1 ack 1 <101-202>")
	s.wantState(tcp.Established)
	s.data(1, 100)
	s.wantState(tcp.CloseWait)
	s.want(". 1 ack 202")
	n, _ := s.read()
	_, err := s.read()
	if n != 200 || err != io.EOF {
		t.Errorf("read %d bytes, then %v", n, err)
	}
}

// Close with unread data resets (RFC 2525 section 2.17).
func TestCloseUnread(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.data(1, 100)
	s.clear()
	s.do(s.c.Close)
	s.want("R. 1 ack 101")
	s.wantState(tcp.Closed)
}

// Data that arrives after Close is reset, too.
func TestDataAfterClose(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.do(s.c.Close)
	s.want("F. 1:2 ack 1")
	s.in(tcp.ACK, 1, 2, 100)
	s.want("R 2")
	s.wantState(tcp.Closed)
}

// FIN-WAIT-2 of a connection nobody reads from ends by itself.
func TestOrphanedFinWait2(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.do(s.c.Close)
	s.in(tcp.ACK, 1, 2, 0)
	s.wantState(tcp.FinWait2)
	s.advance(65 * time.Second)
	s.wantState(tcp.Closed)
}

func TestAbort(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.write(10)
	s.clear()
	s.do(s.c.Abort)
	s.want("R. 11 ack 1")
	wantErr(t, s.c.Err(), tcp.ErrAborted)
}

// RFC 5961 section 3.2: a reset counts at RCV.NXT only.
func TestResetInWindow(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.in(tcp.RST, 100, 0, 0) // in the window, not at its edge
	s.want(". 1 ack 1")      // the challenge
	s.wantState(tcp.Established)
	s.in(tcp.RST, 200, 0, 0)
	s.want() // at most one per half second
	s.in(tcp.RST, 1<<20, 0, 0)
	s.want() // outside the window: dropped
	s.in(tcp.RST, 1, 0, 0)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrReset)
	if s.c.Stats().ChallengeACKs != 1 {
		t.Errorf("%d challenge ACKs", s.c.Stats().ChallengeACKs)
	}
}

// RFC 5961 section 4.2: a SYN in the window is challenged.
func TestSYNInWindow(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.raw(tcp.Segment{Flags: tcp.SYN, Seq: 1, Window: 1000, WindowScale: -1})
	s.want(". 1 ack 1")
	s.wantState(tcp.Established)
}

// RFC 5961 section 5.2 and RFC 9293 section 3.10.7.4: an ACK of what was never
// sent, or of what is long gone, does nothing.
func TestUnacceptableACK(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.in(tcp.ACK, 1, 5000, 10)
	s.want(". 1 ack 1")
	if n, _ := s.read(); n != 0 {
		t.Errorf("read %d bytes of a segment that acknowledges the future", n)
	}
	s.advance(time.Second)
	s.raw(tcp.Segment{Flags: tcp.ACK, Seq: 1, Ack: 0x80000000, Window: 500, WindowScale: -1})
	s.want(". 1 ack 1")
}

// A segment for a connection that died is answered with a reset.
func TestInputWhenClosed(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.do(s.c.Abort)
	s.clear()
	s.in(tcp.ACK, 1, 77, 10)
	s.want("R 77")
	s.in(tcp.RST, 1, 77, 0)
	s.want()
}

func TestStates(t *testing.T) {
	if tcp.Closed.String() != "CLOSED" || tcp.TimeWait.String() != "TIME-WAIT" || tcp.State(99).String() != "invalid" {
		t.Error("names of states")
	}
}

// server is a Conn in SYN-RECEIVED.
func server(t *testing.T) *script {
	s := begin(t)
	s.ts = true
	syn := s.fill(tcp.Segment{Flags: tcp.SYN, Window: 65535, MSS: 1318, WindowScale: 7, SACKPermitted: true})
	s.c = tcp.Accept(tcp.Linux(), s.now, &syn, ourISS, 1358, false)
	s.collect()
	s.clear()
	return s
}

// What may arrive in SYN-RECEIVED (RFC 9293 section 3.10.7.4).
func TestSynReceived(t *testing.T) {
	s := server(t)
	s.in(tcp.ACK, 1, 7, 0) // acknowledges something else
	s.want("R 7")
	s.in(tcp.RST, 50, 0, 0) // in the window, not at its edge: challenged
	s.want(". 1 ack 1")
	s.advance(600 * time.Millisecond)
	s.in(tcp.ACK, 1<<20, 1, 0) // outside the window
	s.want(". 1 ack 1")
	s.in(tcp.PSH, 1, 0, 10) // without ACK: dropped
	s.want()
	s.wantState(tcp.SynReceived)
	s.in(tcp.RST, 1, 0, 0)
	s.wantState(tcp.Closed)
	wantErr(t, s.c.Err(), tcp.ErrReset)
}

// A server that closes before the handshake is over sends its FIN after it.
func TestCloseInSynReceived(t *testing.T) {
	s := server(t)
	s.do(s.c.CloseWrite)
	s.want()
	s.in(tcp.ACK, 1, 1, 0)
	s.wantState(tcp.FinWait1)
	s.want("F. 1:2 ack 1")

	s = server(t)
	s.do(s.c.Close)
	s.in(tcp.FIN|tcp.ACK, 1, 1, 0) // the client closed as well
	s.wantState(tcp.LastAck)
	s.do(s.c.Abort)
	s.wantState(tcp.Closed)
	s.clear()
	s.do(s.c.Abort) // once more does nothing
	s.want()
}

// A reset in TIME-WAIT ends it, other segments are acknowledged.
func TestTimeWaitInput(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.do(s.c.CloseWrite)
	s.in(tcp.FIN|tcp.ACK, 1, 2, 0)
	s.clear()
	s.in(tcp.ACK, 2, 2, 0)
	s.want()
	s.in(tcp.ACK, 2, 2, 10)
	s.want(". 2 ack 2")
	s.in(tcp.RST, 300, 0, 0)
	s.wantState(tcp.TimeWait)
	s.in(tcp.RST, 2, 0, 0)
	s.wantState(tcp.Closed)
	if l, r := s.c.Ports(); l != 50000 || r != 80 {
		t.Errorf("ports %d, %d", l, r)
	}
}

// After death Read and Write say why.
func TestAfterDeath(t *testing.T) {
	s := dial(t, tcp.Linux(), 100*time.Millisecond)
	s.in(tcp.RST, 1, 0, 0)
	if !s.c.Readable() || !s.c.Writable() {
		t.Error("a reader or writer would wait for ever")
	}
	if _, err := s.read(); err != tcp.ErrReset {
		t.Errorf("Read: %v", err)
	}
	if _, err := s.c.Write(s.now, []byte("x")); err != tcp.ErrReset {
		t.Errorf("Write: %v", err)
	}
	if n, err := s.c.Read(s.now, nil); n != 0 || err != nil {
		t.Errorf("Read into nothing: %d, %v", n, err)
	}
}

// A sender that ignores the window cannot make the buffer grow without bound.
func TestFloodBeyondWindow(t *testing.T) {
	s := accept(t, tcp.Linux(), 100*time.Millisecond)
	s.in(tcp.ACK, 1, 1, 200_000)
	n, err := s.read()
	if n > 70_000 || err != nil {
		t.Errorf("read %d bytes of a segment three windows long, %v", n, err)
	}
}
