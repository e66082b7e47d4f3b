package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/clients/remote"
	"github.com/thinlink/thinlink/internal/sockets"
)

// PlatformHTTPS is where a Site serves images: the registered port, 443, is
// for privileged users only.
const PlatformHTTPS = 8443

// A Site serves the platforms of stacks on this machine's network: for devices
// of anybody by Serve, and for runs on other machines by Open.
type Site struct {
	// Host is the machine, with the address that devices know.
	Host *sockets.Host
	// Names are further names and addresses in the servers' certificates.
	Names []string
	// Record is told of all that happens, with the stack's name; from any
	// goroutine.
	Record func(stack string, e clients.Event)

	mu     sync.Mutex
	served []*Served
	run    string // stack of the run that is under way
}

// Served is the platform of a stack, for devices of anybody.
type Served struct {
	Stack    *Stack
	Platform clients.Platform
	// Authority issues certificates to devices; nil if the stack needs none.
	Authority *pki.Authority
	Env       *clients.Env
}

// Serve starts the platform of a stack until Close.
func (s *Site) Serve(stack *Stack) (*Served, error) {
	served, err := s.start(stack, func(e clients.Event) { s.Record(stack.Name, e) })
	if err != nil {
		return nil, fmt.Errorf("stack %s: %w", stack.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = append(s.served, served)
	return served, nil
}

func (s *Site) start(stack *Stack, record func(clients.Event)) (*Served, error) {
	protocol, err := stack.new()
	if err != nil {
		return nil, err
	}
	served := &Served{Stack: stack, Env: &clients.Env{
		Platform: s.Host, Site: clients.Site{Addr: s.Host.IP, Ports: map[uint16]uint16{443: PlatformHTTPS}},
		PKI: new(pki.Material), Seed: uint64(time.Now().UnixNano()), KeyLog: io.Discard, Record: record, Now: time.Now,
	}}
	opt, _ := stack.pki()
	if served.Authority, err = pki.NewAuthority(opt); err != nil {
		return nil, err
	}
	served.Env.PKI.Root = served.Authority.Root()
	if served.Env.PKI.Server, err = served.Authority.Server(append(s.Names, s.Host.IP.String())...); err != nil {
		return nil, err
	}
	served.Platform, err = protocol.NewPlatform(served.Env)
	return served, err
}

// Material is what the device of that name needs.
func (s *Served) Material(device string) (*pki.Material, error) {
	c, err := s.Authority.Device(device)
	if err != nil {
		return nil, err
	}
	return &pki.Material{Root: s.Authority.Root(), Device: c}, nil
}

// siteVersion changes with what two releases would misunderstand.
const siteVersion = 1

// A siteSpec asks a Site for a platform: one that it serves, by its stack's
// name or "" for the only one; or one of its own for a run.
type siteSpec struct {
	Version int    // siteVersion of who asks
	Served  string `json:",omitempty"`
	Run     *Stack `json:",omitempty"`
	Device  string `json:",omitempty"` // of the run
}

// Open is a remote.Opener.
func (s *Site) Open(raw json.RawMessage, record func(clients.Event)) (*remote.Opened, error) {
	var spec siteSpec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return nil, fmt.Errorf("specification: %w", err)
	}
	if spec.Version != siteVersion {
		return nil, fmt.Errorf("this platform speaks version %d of the control protocol, not %d: use the same release of thinlink at both ends", siteVersion, spec.Version)
	}
	if spec.Run != nil {
		return s.openRun(spec.Run, spec.Device, record)
	}
	served, err := s.find(spec.Served)
	if err != nil {
		return nil, err
	}
	return &remote.Opened{Platform: served.Platform, Site: served.Env.Site, Close: func() error { return nil }}, nil
}

// find is the platform that is served for a stack.
func (s *Site) find(name string) (*Served, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, served := range s.served {
		if served.Stack.Name == name || name == "" && len(s.served) == 1 {
			return served, nil
		}
		names = append(names, served.Stack.Name)
	}
	if names == nil {
		return nil, errors.New("no stack is served here: start thinlink platform with --stack")
	}
	return nil, fmt.Errorf("stack %q is not served here: want one of %q", name, names)
}

// openRun starts a fresh platform for one run. There is one run at a time:
// ports are what they are.
func (s *Site) openRun(stack *Stack, device string, record func(clients.Event)) (*remote.Opened, error) {
	s.mu.Lock()
	if s.run != "" {
		defer s.mu.Unlock()
		return nil, fmt.Errorf("another run is under way, of stack %s", s.run)
	}
	s.run = stack.Name
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		s.run = ""
		s.mu.Unlock()
	}
	served, err := s.start(stack, func(e clients.Event) {
		record(e)
		s.Record(stack.Name, e)
	})
	if err != nil {
		leave()
		return nil, fmt.Errorf("stack %s: %w", stack.Name, err)
	}
	m, err := served.Material(device)
	if err != nil {
		leave()
		return nil, errors.Join(err, served.Platform.Close())
	}
	site := served.Env.Site
	site.Addr = netip.Addr{} // the one by which the client knows this machine
	return &remote.Opened{Platform: served.Platform, Site: site, PKI: m, Close: func() error {
		defer leave()
		return served.Platform.Close()
	}}, nil
}

// Close ends what is served.
func (s *Site) Close() error {
	s.mu.Lock()
	served := s.served
	s.served = nil
	s.mu.Unlock()
	var errs []error
	for _, p := range served {
		errs = append(errs, p.Platform.Close())
	}
	return errors.Join(errs...)
}

// ServedSpec asks a Site, over a control channel, for the platform that it
// serves for a stack; "" is the only one.
func ServedSpec(stack string) any { return siteSpec{Version: siteVersion, Served: stack} }
