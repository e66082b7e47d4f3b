package netspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name: it ends with the last
// descriptor or socket that refers to it.
type Namespace struct {
	Handle netns.NsHandle
	Links  *netlink.Handle
	Socket *nl.SocketHandle // for requests that package netlink cannot make
}

// ErrPermission says that this process may neither make network namespaces nor
// change its own.
var ErrPermission = errors.New("no privilege to change the network (CAP_SYS_ADMIN and CAP_NET_ADMIN)")

// onThread runs f on a thread of its own, which ends with it: whatever
// namespace f leaves the thread in, no other goroutine gets there.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()
	return <-done
}

// New makes a namespace. The error is ErrPermission where that is not allowed.
func New() (*Namespace, error) {
	ns := &Namespace{Handle: -1}
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		ns.Handle, err = netns.GetFromPath("/proc/thread-self/ns/net")
		return err
	})
	if errors.Is(err, unix.EPERM) {
		return nil, ErrPermission
	}
	if err != nil {
		return nil, err
	}
	return ns, ns.open()
}

// Here is the namespace of this process. The error is ErrPermission where
// entering it is not allowed.
func Here() (*Namespace, error) {
	ns := &Namespace{Handle: -1}
	err := onThread(func() (err error) {
		if ns.Handle, err = netns.GetFromPath("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return netns.Set(ns.Handle)
	})
	if err != nil {
		ns.Close()
		if errors.Is(err, unix.EPERM) {
			err = ErrPermission
		}
		return nil, err
	}
	return ns, ns.open()
}

// open opens the sockets; on an error it closes everything.
func (ns *Namespace) open() (err error) {
	if ns.Links, err = netlink.NewHandleAt(ns.Handle, unix.NETLINK_ROUTE); err != nil {
		ns.Close()
		return fmt.Errorf("netlink: %w", err)
	}
	s, err := nl.GetNetlinkSocketAt(ns.Handle, netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		ns.Close()
		return fmt.Errorf("netlink: %w", err)
	}
	ns.Socket = &nl.SocketHandle{Socket: s}
	return nil
}

// Close gives the namespace up; sockets inside keep it alive.
func (ns *Namespace) Close() {
	if ns.Links != nil {
		ns.Links.Close()
	}
	if ns.Socket != nil {
		ns.Socket.Close()
	}
	if ns.Handle.IsOpen() {
		ns.Handle.Close()
	}
}

// Do runs f inside the namespace. Sockets that it makes stay there.
func (ns *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns.Handle); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// Sysctl sets values below /proc/sys/net, which shows the namespace of the
// thread that opens it.
func (ns *Namespace) Sysctl(values map[string]string) error {
	return ns.Do(func() error {
		for path, value := range values {
			if err := os.WriteFile(filepath.Join("/proc/sys/net", path), []byte(value), 0); err != nil {
				return fmt.Errorf("sysctl: %w", err)
			}
		}
		return nil
	})
}
