package tc

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/internal/sockets"
)

// host opens sockets inside a namespace.
func (ns *namespace) host(cfg HostConfig, closed func(TCPInfo)) *Host {
	h := &sockets.Host{IP: cfg.Addr, KeepAlive: cfg.KeepAlive, Do: ns.do}
	if closed != nil {
		h.Closing = func(c *net.TCPConn) { tell(c, closed) }
	}
	return h
}

// tell asks the kernel what a connection came to.
func tell(c *net.TCPConn, closed func(TCPInfo)) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { // fails on a connection closed before
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			closed(newTCPInfo(c, info))
		}
	})
}

func newTCPInfo(c net.Conn, i *unix.TCPInfo) TCPInfo {
	return TCPInfo{
		Local: c.LocalAddr(), Remote: c.RemoteAddr(),
		Retransmissions: int(i.Total_retrans), Lost: int(i.Lost),
		RTT:    time.Duration(i.Rtt) * time.Microsecond,
		MinRTT: time.Duration(i.Min_rtt) * time.Microsecond,
	}
}
