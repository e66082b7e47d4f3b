package tc

import (
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/internal/sockets"
)

// host opens sockets inside a namespace.
func (ns *namespace) host(cfg HostConfig, w *watcher) *Host {
	return &sockets.Host{IP: cfg.Addr, KeepAlive: cfg.KeepAlive, Do: ns.do, Opened: w.opened, Closing: w.closing}
}

// A watcher asks the kernel about the TCP connections of both hosts.
type watcher struct {
	tell func(TCPInfo) // nil: nobody

	mu     sync.Mutex
	open   map[*net.TCPConn]TCPInfo // as told last
	closed int                      // segments sent again on connections that are closed
}

func newWatcher(tell func(TCPInfo)) *watcher {
	if tell == nil {
		tell = func(TCPInfo) {}
	}
	return &watcher{tell: tell, open: map[*net.TCPConn]TCPInfo{}}
}

func (w *watcher) opened(c *net.TCPConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[c] = TCPInfo{}
}

func (w *watcher) closing(c *net.TCPConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	info, ok := tcpInfo(c)
	if _, open := w.open[c]; !ok || !open {
		return
	}
	delete(w.open, c)
	w.closed += info.Retransmissions
	info.Closed = true
	w.tell(info)
}

// sample tells of the connections that have changed, and counts the segments
// that all have sent again so far.
func (w *watcher) sample() (retransmissions int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	retransmissions = w.closed
	for c, before := range w.open {
		info, ok := tcpInfo(c)
		if !ok {
			continue
		}
		retransmissions += info.Retransmissions
		if info.values() != before.values() {
			w.open[c] = info
			w.tell(info)
		}
	}
	return retransmissions
}

// tcpInfo asks the kernel; false if the connection is closed.
func tcpInfo(c *net.TCPConn) (t TCPInfo, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return t, false
	}
	raw.Control(func(fd uintptr) { // fails on a connection closed before
		i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		t = TCPInfo{
			Local: c.LocalAddr(), Remote: c.RemoteAddr(),
			Retransmissions: int(i.Total_retrans), Lost: int(i.Lost),
			RTT:    time.Duration(i.Rtt) * time.Microsecond,
			MinRTT: time.Duration(i.Min_rtt) * time.Microsecond,
		}
		ok = true
	})
	return t, ok
}
