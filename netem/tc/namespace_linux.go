package tc

import (
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"github.com/thinlink/thinlink/internal/netspace"
)

// A namespace is one that can have queueing disciplines.
type namespace struct {
	*netspace.Namespace
	links  *netlink.Handle
	socket *nl.SocketHandle
}

func newNamespace() (*namespace, error) {
	ns, err := netspace.New()
	return wrapped(ns, err, "run thinlink with sudo, or use --engine vm or sim")
}

func wrapped(ns *netspace.Namespace, err error, fix string) (*namespace, error) {
	if errors.Is(err, netspace.ErrPermission) {
		return nil, &MissingError{err.Error(), fix}
	}
	if err != nil {
		return nil, err
	}
	return &namespace{ns, ns.Links, ns.Socket}, nil
}

// here is the namespace of this process.
func here() (*namespace, error) {
	ns, err := netspace.Here()
	return wrapped(ns, err, "run thinlink with sudo")
}

func (ns *namespace) close()                                { ns.Close() }
func (ns *namespace) do(f func() error) error               { return ns.Do(f) }
func (ns *namespace) sysctl(values map[string]string) error { return ns.Sysctl(values) }
