package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/clients/remote"
)

// Elsewhere is a platform that a run does not start itself: one of thinlink's
// on another machine, which it controls, or somebody else's server.
type Elsewhere struct {
	// Control is the address of a Site's control channel, and Token its token.
	Control string `json:",omitempty"`
	Token   string `json:",omitempty"`
	// Site is where somebody else's server is, if Control is empty.
	Site clients.Site
	// Device is the name of the device; "" is that of the certificates that
	// package pki makes.
	Device string `json:",omitempty"`
}

// DefaultControlPort is that of a Site's control channel.
const DefaultControlPort = 7443

// ControlAddress completes HOST or HOST:PORT.
func ControlAddress(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, DefaultControlPort).String(), nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, strconv.Itoa(DefaultControlPort)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" {
		return "", fmt.Errorf("%q: want HOST, HOST:PORT or a URL", s)
	}
	return net.JoinHostPort(host, port), nil
}

// service is the URL scheme and the registered port of a stack's platform.
func (s *Stack) service() (scheme string, port uint16) {
	switch {
	case s.Protocol == "mqtt" && s.MQTT.TLS == "none":
		return "mqtt", 1883
	case s.Protocol == "mqtt":
		return "mqtts", 8883
	case s.Protocol == "lwm2m" && s.LwM2M.Binding == "T" && s.LwM2M.Security == "nosec":
		return "coap+tcp", 5683
	case s.Protocol == "lwm2m" && s.LwM2M.Binding == "T":
		return "coaps+tcp", 5684
	case s.Protocol == "lwm2m" && s.LwM2M.Security == "nosec", s.Protocol == "coap" && s.CoAP.Security == "nosec":
		return "coap", 5683
	case s.Protocol == "lwm2m", s.Protocol == "coap":
		return "coaps", 5684
	case s.Protocol == "mqtt-sn" && s.MQTTSN.Security == "nosec":
		return "mqtt-sn", 1883
	case s.Protocol == "mqtt-sn":
		return "mqtt-sns", 8883
	}
	return "https", 443
}

// loopbackOutside is what engine tun calls this machine's loopback.
func loopbackOutside(engine string, a netip.Addr) netip.Addr {
	switch {
	case engine != "tun" || !a.IsLoopback():
		return a
	case a.Is4():
		return outsideAddr["4"]
	}
	return outsideAddr["6"]
}

// PointAt makes runs talk to somebody else's server. where is its URL, whose
// scheme and port must be what each run's stack speaks; m has what the device
// needs to know it and to prove itself.
func PointAt(ctx context.Context, runs []*Run, where, device string, m *pki.Material) error {
	u, err := url.Parse(where)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" {
		return fmt.Errorf("%q: want SCHEME://HOST[:PORT], for example mqtts://192.168.1.30 or coap://192.168.1.30:5683", where)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	for _, run := range runs {
		scheme, registered := run.Stack.service()
		if scheme != u.Scheme {
			return fmt.Errorf("%s: stack %s speaks %s", where, run.Stack.Name, scheme)
		}
		switch run.Scenario.Kind {
		case KindConnect, KindSteady, KindObserve, KindCommand, KindPower:
		default:
			return fmt.Errorf("%s: scenario %s needs a platform of thinlink's: want connect, steady, observe or command", where, run.Scenario.Name)
		}
		if run.Engine != "tun" && run.Engine != "host" {
			return fmt.Errorf("%s: engine %s reaches no server outside: want host or tun", where, run.Engine)
		}
		site := clients.Site{Addr: loopbackOutside(run.Engine, addrs[0].Unmap()), Name: u.Hostname(), Ports: map[uint16]uint16{}}
		if text := u.Port(); text != "" {
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil || port == 0 {
				return fmt.Errorf("%s: port %q", where, text)
			}
			site.Ports[registered] = uint16(port)
		}
		run.Elsewhere = &Elsewhere{Site: site, Device: device}
		run.PKI = m
		if run.Stack.Protocol == "mqtt" && run.Stack.MQTT.Topics == "plain" {
			run.Stack.MQTT.OTA = "none" // a broker has no service of jobs, which connecting would wait for
		}
	}
	return nil
}

// Control makes runs talk to fresh platforms of a Site on another machine.
func Control(runs []*Run, address, token, device string) error {
	if _, err := remote.ParseToken(token); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	for _, run := range runs {
		if run.Engine != "host" {
			return fmt.Errorf("engine %s has platforms of its own: want --engine host", run.Engine)
		}
		if run.Scenario.Kind == KindPing || run.Scenario.Kind == KindBulk || run.Scenario.Kind == KindExec {
			return fmt.Errorf("scenario %s has no platform", run.Scenario.Name)
		}
		run.Elsewhere = &Elsewhere{Control: address, Token: token, Device: device}
	}
	return nil
}

// listens finds out whether somebody else's server takes TCP connections at all,
// before anything is measured: a device would try again for an hour.
func (r *Run) listens(ctx context.Context, env *clients.Env) error {
	scheme, port := r.Stack.service()
	if slices.Contains([]string{"coap", "coaps", "mqtt-sn", "mqtt-sns"}, scheme) {
		return nil // over UDP silence means nothing
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	c, err := env.Device.DialContext(ctx, "tcp", env.At(port).String())
	if err != nil {
		return fmt.Errorf("nobody listens: %w", err)
	}
	return c.Close()
}

// join makes the session of a device whose platform is elsewhere.
func (p *player) join(ctx context.Context, stack clients.Stack, env *clients.Env) (*clients.Session, error) {
	e := p.run.Elsewhere
	env.Name, env.Site = e.Device, e.Site
	if e.Control == "" {
		if err := p.run.listens(ctx, env); err != nil {
			return nil, err
		}
		d, err := stack.NewDevice(env)
		if err != nil {
			return nil, err
		}
		return clients.Join(d, nil, env.DeviceName()), nil
	}
	token, err := remote.ParseToken(e.Token)
	if err != nil {
		return nil, err
	}
	conn, err := remote.Dial(ctx, e.Control, token)
	if err != nil {
		return nil, err
	}
	platform, err := conn.Open(ctx, siteSpec{Version: siteVersion, Run: &p.run.Stack, Device: env.DeviceName()}, p.record)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	env.Site, env.PKI = platform.Site, platform.PKI
	d, err := stack.NewDevice(env)
	if err != nil {
		return nil, errors.Join(err, platform.Close())
	}
	return clients.Join(d, platform, env.DeviceName()), nil
}
