package tc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/netem"
)

// Capture is the tap on the router: every IP packet that comes in or goes out
// of its two devices, with the kernel's time stamps.
type Capture struct {
	file     *os.File
	raw      syscall.RawConn
	mtu      int
	toDevice int            // index of the router's device towards the device
	headers  map[int][]byte // what the router writes before IP packets, by device

	came func(netem.Direction, []byte) // is told at once

	once   sync.Once
	done   chan struct{}
	frames []frame // the reader's until done
	ended  time.Time
	err    error
}

const (
	captureBuffer = 16 << 20
	maxFrame      = 65536
)

func (b *Testbed) newCapture() (*Capture, error) {
	c := &Capture{mtu: b.cfg.Plan.MTU, toDevice: b.down.index, done: make(chan struct{}), headers: map[int][]byte{
		b.down.index: slices.Concat(deviceMAC, toDeviceMAC), b.up.index: slices.Concat(platformMAC, toPlatformMAC),
	}}
	c.came = func(dir netem.Direction, ip []byte) {
		if d := b.driver.Load(); d != nil {
			d.packet(dir, ip)
		}
	}
	err := b.router.do(func() (err error) {
		c.file, err = packetSocket()
		return err
	})
	if err != nil {
		return nil, &OpError{"capture", err}
	}
	if c.raw, err = c.file.SyscallConn(); err != nil {
		c.file.Close()
		return nil, &OpError{"capture", err}
	}
	go c.read()
	return c, nil
}

// packetSocket sees every packet of the thread's namespace from its Ethernet
// header on (packet(7)).
func packetSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, hostToNet(unix.ETH_P_ALL))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
	); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "packet socket"), nil
}

func hostToNet(v uint16) int {
	var b [2]byte
	b[0], b[1] = byte(v>>8), byte(v)
	return int(native.Uint16(b[:]))
}

func (c *Capture) read() {
	defer close(c.done)
	buf := make([]byte, maxFrame)
	oob := make([]byte, 128)
	for {
		var n, oobn int
		var from unix.Sockaddr
		var err error
		waitErr := c.raw.Read(func(fd uintptr) bool {
			n, oobn, _, from, err = unix.Recvmsg(int(fd), buf, oob, 0)
			return err != unix.EAGAIN
		})
		if waitErr != nil { // stop's deadline: take what is there already
			c.raw.Control(func(fd uintptr) {
				n, oobn, _, from, err = unix.Recvmsg(int(fd), buf, oob, 0)
			})
		}
		switch {
		case err == unix.EAGAIN:
			c.drops()
			return
		case err == unix.EINTR || err == unix.ENETDOWN:
			continue
		case err != nil:
			c.err = fmt.Errorf("capture: %w", err)
			return
		}
		c.take(buf[:n], oob[:oobn], from)
	}
}

func (c *Capture) take(data, oob []byte, from unix.Sockaddr) {
	ll, ok := from.(*unix.SockaddrLinklayer)
	if !ok || len(data) < ethernetHeader || ll.Protocol != uint16(hostToNet(unix.ETH_P_IP)) && ll.Protocol != uint16(hostToNet(unix.ETH_P_IPV6)) {
		return
	}
	at, err := timestamp(oob)
	if err != nil {
		c.err = fmt.Errorf("capture: %w", err)
		return
	}
	header, ip := data[:ethernetHeader], data[ethernetHeader:]
	want := native.AppendUint16(slices.Clone(c.headers[ll.Ifindex]), ll.Protocol)
	f := frame{at: at, towardsDevice: ll.Ifindex == c.toDevice, out: ll.Pkttype == unix.PACKET_OUTGOING, data: slices.Clone(ip)}
	f.damaged = f.out && !bytes.Equal(header, want)
	if len(ip) > c.mtu && c.err == nil {
		c.err = fmt.Errorf("capture: a packet of %d bytes on a link with an MTU of %d: an offload is on (tso, gso, gro)", len(ip), c.mtu)
	}
	c.frames = append(c.frames, f)
	if !f.out && between(f.data) {
		c.came(f.direction(), f.data)
	}
}

// timestamp finds the kernel's time stamp (SCM_TIMESTAMPNS).
func timestamp(oob []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Time{}, err
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_TIMESTAMPNS {
			continue
		}
		if len(m.Data) == 16 {
			return time.Unix(int64(native.Uint64(m.Data)), int64(native.Uint64(m.Data[8:]))), nil
		}
		if len(m.Data) == 8 { // 32-bit systems
			return time.Unix(int64(int32(native.Uint32(m.Data))), int64(int32(native.Uint32(m.Data[4:])))), nil
		}
	}
	return time.Time{}, errors.New("a packet without a time stamp")
}

// drops notes packets that the socket had no room for.
func (c *Capture) drops() {
	c.raw.Control(func(fd uintptr) {
		stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil && stats.Drops > 0 {
			c.err = fmt.Errorf("capture: %d packets were not seen: this machine is too slow for the traffic", stats.Drops)
		}
	})
}

// stop ends the capture; it may be called again.
func (c *Capture) stop() ([]frame, error) {
	c.once.Do(func() {
		c.file.SetReadDeadline(time.Unix(1, 0))
		<-c.done
		c.ended = time.Now()
		c.file.Close()
	})
	return c.frames, c.err
}
