package sniff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Sniffer sees the packets of one namespace.
type Sniffer struct {
	file  *os.File
	raw   syscall.RawConn
	take  func(Packet)
	once  sync.Once
	done  chan struct{}
	ended time.Time
	err   error // the reader's until done
}

const (
	buffer    = 16 << 20
	maxPacket = 1 << 17 // a segment before it is split, with its headers
)

// Open begins, in the namespace of this thread. take is told of every packet,
// from one goroutine.
func Open(from From, take func(Packet)) (*Sniffer, error) {
	kind := unix.SOCK_RAW
	if from == IP {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(network(unix.ETH_P_ALL)))
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	// Beyond the system's limit for those who may; the others get the limit.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	s := &Sniffer{file: os.NewFile(uintptr(fd), "packet socket"), take: take, done: make(chan struct{})}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	if err == nil {
		s.raw, err = s.file.SyscallConn()
	}
	if err != nil {
		s.file.Close()
		return nil, fmt.Errorf("capture: %w", err)
	}
	go s.read()
	return s, nil
}

// network is a number in network byte order.
func network(v uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(v >> 8), byte(v)})
}

func (s *Sniffer) read() {
	defer close(s.done)
	buf := make([]byte, maxPacket)
	oob := make([]byte, 128)
	for {
		var n, oobn int
		var from unix.Sockaddr
		var err error
		waitErr := s.raw.Read(func(fd uintptr) bool {
			n, oobn, _, from, err = unix.Recvmsg(int(fd), buf, oob, 0)
			return err != unix.EAGAIN
		})
		if waitErr != nil { // Close's deadline: take what is there already
			s.raw.Control(func(fd uintptr) {
				n, oobn, _, from, err = unix.Recvmsg(int(fd), buf, oob, 0)
			})
		}
		switch {
		case err == unix.EAGAIN:
			s.drops()
			return
		case err == unix.EINTR || err == unix.ENETDOWN:
			continue
		case err != nil:
			s.err = fmt.Errorf("capture: %w", err)
			return
		}
		s.pass(buf[:n], oob[:oobn], from)
	}
}

func (s *Sniffer) pass(data, oob []byte, from unix.Sockaddr) {
	ll, ok := from.(*unix.SockaddrLinklayer)
	if !ok || ll.Protocol != network(unix.ETH_P_IP) && ll.Protocol != network(unix.ETH_P_IPV6) {
		return
	}
	at, err := timestamp(oob)
	if err != nil {
		s.err = fmt.Errorf("capture: %w", err)
		return
	}
	s.take(Packet{at, ll.Ifindex, ll.Pkttype == unix.PACKET_OUTGOING, ll.Protocol, data})
}

// timestamp finds the kernel's time stamp (SCM_TIMESTAMPNS).
func timestamp(oob []byte) (time.Time, error) {
	native := binary.NativeEndian
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
func (s *Sniffer) drops() {
	s.raw.Control(func(fd uintptr) {
		stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil && stats.Drops > 0 {
			s.err = fmt.Errorf("capture: %d packets were not seen: this machine is too slow for the traffic", stats.Drops)
		}
	})
}

// Close ends the capture, when take has had all that came before; it may be
// called again. An error says what makes the capture doubtful.
func (s *Sniffer) Close() error {
	s.once.Do(func() {
		s.file.SetReadDeadline(time.Unix(1, 0))
		<-s.done
		s.ended = time.Now()
		s.file.Close()
	})
	return s.err
}

// Ended is when Close ended it.
func (s *Sniffer) Ended() time.Time { return s.ended }
