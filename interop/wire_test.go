//go:build interop

package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/internal/wire"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
)

// capture records the wire during the test of one peer; each exchange on it is
// counted apart.
type capture struct {
	peer   string
	device netip.Addr
	keys   keyLog
	file   *os.File
	done   chan struct{}

	mu      sync.Mutex
	packets []measure.Packet
	err     error
}

// keyLog takes the secrets of any number of connections.
type keyLog struct {
	mu sync.Mutex
	b  []byte
}

func (k *keyLog) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.b = append(k.b, b...)
	return len(b), nil
}

func (k *keyLog) bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]byte(nil), k.b...)
}

// record captures until the test of a peer ends; then every packet must have
// been dissected by tshark without complaint.
func record(t *testing.T, peer string) *capture {
	t.Helper()
	c := &capture{peer: peer, device: deviceAddr, done: make(chan struct{})}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(ethertype(unix.ETH_P_ALL)))
	if err != nil {
		t.Fatalf("packet socket: %v", err)
	}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1), // lo shows each packet twice
	); err != nil {
		t.Fatalf("packet socket: %v", err)
	}
	c.file = os.NewFile(uintptr(fd), "packet socket")
	go c.read()
	t.Cleanup(func() {
		time.Sleep(20 * time.Millisecond) // what is on its way
		c.file.SetReadDeadline(time.Unix(1, 0))
		<-c.done
		c.file.Close()
		if c.err != nil {
			t.Error(c.err)
		}
		c.dissect(t)
	})
	return c
}

func ethertype(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

func (c *capture) read() {
	defer close(c.done)
	raw, err := c.file.SyscallConn()
	if err != nil {
		c.err = err
		return
	}
	buf, oob := make([]byte, 1<<16), make([]byte, 128)
	for {
		var n, oobn int
		var rerr error
		if err := raw.Read(func(fd uintptr) bool {
			n, oobn, _, _, rerr = unix.Recvmsg(int(fd), buf, oob, 0)
			return rerr != unix.EAGAIN
		}); err != nil {
			c.lost(raw)
			return // the deadline
		}
		if rerr != nil {
			c.err = fmt.Errorf("capture: %w", rerr)
			return
		}
		c.take(buf[:n], oob[:oobn])
	}
}

// take keeps an IP packet between the two ends.
func (c *capture) take(data, oob []byte) {
	ip, err := wire.ParseIP(data)
	if err != nil || ip.Src != deviceAddr && ip.Dst != deviceAddr {
		return
	}
	p := measure.Packet{Time: stamp(oob), Dir: netem.Down, Data: append([]byte(nil), data...)}
	if ip.Src == deviceAddr {
		p.Dir = netem.Up
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.packets = append(c.packets, p)
}

// hear waits until the device has sent so many packets more.
func (c *capture) hear(t *testing.T, n int) {
	t.Helper()
	sent := func() (up int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.packets {
			if p.Dir == netem.Up {
				up++
			}
		}
		return up
	}
	before := sent()
	for deadline := time.Now().Add(patience); sent() < before+n; time.Sleep(quiet / 10) {
		if time.Now().After(deadline) {
			t.Fatalf("the device sent %d packets, want %d", sent()-before, n)
		}
	}
}

func stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err == nil && len(messages) > 0 && len(messages[0].Data) == 16 {
		d := messages[0].Data
		return time.Unix(int64(binary.NativeEndian.Uint64(d)), int64(binary.NativeEndian.Uint64(d[8:])))
	}
	return time.Now()
}

// lost notes packets that the socket had no room for.
func (c *capture) lost(raw syscall.RawConn) {
	raw.Control(func(fd uintptr) {
		stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil && stats.Drops > 0 {
			c.err = fmt.Errorf("capture: %d packets were not seen", stats.Drops)
		}
	})
}

// trace is what was recorded so far, with its window.
func (c *capture) trace(from, until time.Time) *measure.Trace {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &measure.Trace{
		Start: from, Device: c.device, WindowStart: from, WindowEnd: until,
		Packets: c.packets[:len(c.packets):len(c.packets)], KeyLog: c.keys.bytes(),
	}
	if len(t.Packets) > 0 && t.Packets[0].Time.Before(from) {
		t.Start = t.Packets[0].Time
	}
	return t
}

// quiet is how long the wire must be silent after an exchange.
const quiet = 60 * time.Millisecond // longer than a delayed acknowledgement of Linux, 40 ms

// exchange runs one test of the peer, counts its packets and lists it on the
// page. What it says is exercised are its name and the two ends.
func (c *capture) exchange(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		time.Sleep(quiet) // what came before
		from := time.Now()
		f(t)
		time.Sleep(quiet)
		if !t.Failed() {
			ledger.add(entry{c.peer, name, measure.Judge(c.trace(from, time.Now())), 0})
		}
	})
}

// reference is an exchange of the reference experiment, whose bytes on Ethernet
// were published.
func (c *capture) reference(t *testing.T, name string, published float64, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		time.Sleep(quiet) // what came before
		from := time.Now()
		f(t)
		time.Sleep(quiet)
		result := measure.Judge(c.trace(from, time.Now()))
		bytes := float64(result.Up.BytesEthernet + result.Down.BytesEthernet)
		t.Logf("%.0f bytes on Ethernet, published %.0f (%+.1f %%), %d packets", bytes, published, 100*(bytes/published-1), result.Up.Packets+result.Down.Packets)
		if math.Abs(bytes/published-1) > 0.1 {
			t.Errorf("more than 10 %% from what was published")
		}
		if !t.Failed() {
			ledger.add(entry{c.peer, name, result, published})
		}
	})
}

// malformed are packets that tshark marks so, but for what tshark 4.0 does not
// know and calls malformed: the options of CoAP's signalling messages (RFC 8323
// section 5.2) and Request-Tag (RFC 9175 section 3.2).
const malformed = `_ws.malformed && !(coap.code >= 225 && coap.code <= 229) && !(_ws.expert.message contains "Invalid Option Number 292")`

// unfit are characters that a file name better lacks.
var unfit = regexp.MustCompile(`[^A-Za-z0-9]+`)

// dissect lets tshark read the whole capture.
func (c *capture) dissect(t *testing.T) {
	if len(c.packets) == 0 {
		return // skipped
	}
	tshark := program(t, "TSHARK", "tshark", []string{"--version"}, "tshark")
	dir := os.Getenv("THINLINK_INTEROP_CAPTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	first, last := c.packets[0].Time, c.packets[len(c.packets)-1].Time
	files, err := measure.WriteFiles(dir, unfit.ReplaceAllString(c.peer, "-"), c.trace(first, last.Add(1)), measure.About{Version: "interop"})
	if err != nil {
		t.Error(err)
		return
	}
	args := []string{"-n", "-r", filepath.Join(dir, files.PCAPNG), "-o", "tcp.reassemble_out_of_order:TRUE", "-Y", malformed, "-T", "fields", "-e", "frame.number", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info"}
	cmd := exec.Command(tshark, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("tshark: %v: %s", err, stderr.String())
	}
	if len(out) > 0 {
		t.Errorf("tshark finds malformed packets:\n%s", tail(string(out), 10))
		return
	}
	t.Logf("tshark dissected %d packets of %s without a malformed one", len(c.packets), c.peer)
}

// listen accepts connections at the platform's end.
func listen(t *testing.T, port uint16) net.Listener {
	t.Helper()
	ln, err := platformHost.Listen("tcp", netip.AddrPortFrom(platformAddr, port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}
