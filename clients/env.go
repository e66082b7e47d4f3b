package clients

import (
	"io"
	"net/netip"
	"time"

	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/pki"
)

// Env is the world of one end of a run, or of both.
type Env struct {
	// Device and Platform are the hosts of the two ends. Where one end runs
	// alone, the other one's host is nil.
	Device, Platform Host
	// Site is where the device finds its platform.
	Site Site
	// Name is the device's: MQTT client identifier, thing, LwM2M endpoint. ""
	// is that of the certificates that package pki makes.
	Name string
	// PKI is what certificates each end has; an end needs only its own and the
	// root. It may be nil for a stack without certificates.
	PKI *pki.Material
	// Seed drives every random choice of the stack that packets or timing
	// depend on.
	Seed uint64
	// Flash is the device's persistent storage; never nil on a device.
	Flash flash.Store
	// KeyLog receives TLS and DTLS secrets in NSS key log format; never nil.
	KeyLog io.Writer
	// Record notes an event of the run; never nil, safe for concurrent use.
	Record func(Event)
	// Now is the run's clock: virtual on sim, real elsewhere.
	Now func() time.Time
}

// Site is how a platform is reached. The zero Site is that of Env.Platform, at
// the registered ports.
type Site struct {
	Addr netip.Addr
	// Name is the one in the platform's certificate, also sent as SNI; "" is
	// pki.ServerName.
	Name string
	// Ports has the ports of services that are not at their registered one, by
	// the registered one.
	Ports map[uint16]uint16
}

// At is where the platform's service is that has a registered port.
func (e *Env) At(port uint16) netip.AddrPort {
	addr := e.Site.Addr
	if !addr.IsValid() {
		addr = e.Platform.Addr()
	}
	if p, ok := e.Site.Ports[port]; ok {
		port = p
	}
	return netip.AddrPortFrom(addr, port)
}

// Authority is what a URL of the service at a registered port has in place of
// a host name (RFC 3986 section 3.2): the platform's name, or its address and
// port where Site gives them.
func (e *Env) Authority(port uint16) string {
	if !e.Site.Addr.IsValid() {
		return e.ServerName()
	}
	return e.At(port).String()
}

// ServerName is the platform's name in its certificate.
func (e *Env) ServerName() string {
	if e.Site.Name == "" {
		return pki.ServerName
	}
	return e.Site.Name
}

// DeviceName is the name of the device.
func (e *Env) DeviceName() string {
	if e.Name == "" {
		return pki.DeviceName
	}
	return e.Name
}
