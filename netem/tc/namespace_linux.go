package tc

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

// A namespace is a network namespace without a name: it ends with the last
// descriptor or socket that refers to it.
type namespace struct {
	handle netns.NsHandle
	links  *netlink.Handle
	socket *nl.SocketHandle // for requests that package netlink cannot make
}

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

func newNamespace() (*namespace, error) {
	ns := &namespace{handle: -1}
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		ns.handle, err = netns.GetFromPath("/proc/thread-self/ns/net")
		return err
	})
	if errors.Is(err, unix.EPERM) {
		return nil, &MissingError{"no privilege to make network namespaces (CAP_SYS_ADMIN and CAP_NET_ADMIN)", "run thinlink with sudo, or use --engine vm or sim"}
	}
	if err != nil {
		return nil, err
	}
	return ns, ns.open()
}

// here is the namespace of this process.
func here() (*namespace, error) {
	ns := &namespace{}
	err := onThread(func() (err error) {
		ns.handle, err = netns.GetFromPath("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, err
	}
	return ns, ns.open()
}

// open opens the sockets; on an error it closes everything.
func (ns *namespace) open() (err error) {
	if ns.links, err = netlink.NewHandleAt(ns.handle, unix.NETLINK_ROUTE); err != nil {
		ns.close()
		return fmt.Errorf("netlink: %w", err)
	}
	s, err := nl.GetNetlinkSocketAt(ns.handle, netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		ns.close()
		return fmt.Errorf("netlink: %w", err)
	}
	ns.socket = &nl.SocketHandle{Socket: s}
	return nil
}

// close gives the namespace up; sockets inside keep it alive.
func (ns *namespace) close() {
	if ns.links != nil {
		ns.links.Close()
	}
	if ns.socket != nil {
		ns.socket.Close()
	}
	if ns.handle.IsOpen() {
		ns.handle.Close()
	}
}

// do runs f inside the namespace. Sockets that it makes stay there.
func (ns *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns.handle); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// sysctl sets values below /proc/sys/net, which shows the namespace of the
// thread that opens it.
func (ns *namespace) sysctl(values map[string]string) error {
	return ns.do(func() error {
		for path, value := range values {
			if err := os.WriteFile(filepath.Join("/proc/sys/net", path), []byte(value), 0); err != nil {
				return fmt.Errorf("sysctl: %w", err)
			}
		}
		return nil
	})
}
