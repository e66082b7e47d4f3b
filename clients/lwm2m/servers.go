package lwm2m

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Server is a further server of a device: what differs from Options; zero is as
// there.
type Server struct {
	Security       string        `conf:"security" doc:"how CoAP is secured" enum:"nosec,psk,certificate"`
	Binding        string        `conf:"binding" doc:"transport: U is UDP or DTLS, T is TCP or TLS" enum:"U,T"`
	Queue          *bool         `conf:"queue" doc:"queue mode towards this server"`
	Lifetime       time.Duration `conf:"lifetime" doc:"registration lifetime" min:"1s"`
	UpdateInterval time.Duration `conf:"update_interval" doc:"time between registration updates" min:"0s"`
	MinPeriod      time.Duration `conf:"pmin" doc:"least time between two reports" min:"0s"`
	MaxPeriod      time.Duration `conf:"pmax" doc:"longest time without a report" min:"0s"`
	Turn           Turn          `conf:"turn" doc:"when the device registers with this server"`
}

// Turn is when a device registers with one of several servers (appendix E.2,
// resources 13 to 15).
type Turn struct {
	// Order is the Registration Priority Order: servers that have one are
	// registered with in its order, one after another. 0 is none: at once.
	Order int `conf:"order" doc:"registration priority order; 0 is none: at once" min:"0" max:"65535"`
	// Delay is the Initial Registration Delay Timer, from the end of the
	// registration before. Whole seconds.
	Delay time.Duration `conf:"delay" doc:"initial registration delay after the server before in the order" min:"0s"`
	// Block is the Registration Failure Block.
	Block bool `conf:"block" doc:"a failed registration blocks the servers after it in the order"`
}

// maxServers is how many servers a device has at most, and serverPorts how far
// apart their ports are: 5683 and 5684, 5693 and 5694, and so on, below those of
// the bootstrap server.
const (
	maxServers  = 10
	serverPorts = 10
)

// servers are the Short Server IDs, from 1.
func (o *Options) servers() (ids []uint16) {
	for i := range 1 + len(o.MoreServers) {
		ids = append(ids, uint16(i+1))
	}
	return ids
}

// server are the options that hold for a server. The first one has all duties;
// others neither bootstrap a device nor ship firmware.
func (o *Options) server(id uint16) *Options {
	if i := int(id) - 2; i >= 0 && i < len(o.MoreServers) {
		return o.differing(id, o.MoreServers[i])
	}
	return o
}

func (o *Options) differing(id uint16, s Server) *Options {
	c := *o
	c.id, c.MoreServers, c.Bootstrap, c.Delivery, c.Turn = id, nil, BootstrapNone, CoAPPull, s.Turn
	override(&c.Security, s.Security)
	override(&c.Binding, s.Binding)
	override(&c.Lifetime, s.Lifetime)
	override(&c.UpdateInterval, s.UpdateInterval)
	override(&c.MinPeriod, s.MinPeriod)
	override(&c.MaxPeriod, s.MaxPeriod)
	if s.Queue != nil {
		c.Queue = *s.Queue
	}
	return &c
}

// override sets a value unless the one that overrides is zero.
func override[T comparable](value *T, by T) {
	var zero T
	if by != zero {
		*value = by
	}
}

// validateServers reports the first further server whose options do not fit.
func (o *Options) validateServers() error {
	switch {
	case len(o.MoreServers) >= maxServers:
		return fmt.Errorf("lwm2m: more_servers: want at most %d", maxServers-1)
	case len(o.MoreServers) > 0 && o.oneFlow():
		return fmt.Errorf("lwm2m: more_servers: not with binding %s: there is one flow", o.Binding)
	}
	for i, id := range o.servers()[1:] {
		if err := o.server(id).Validate(); err != nil {
			return fmt.Errorf("lwm2m: more_servers.%d: %s", i, strings.TrimPrefix(err.Error(), "lwm2m: "))
		}
	}
	return nil
}

// values are those of the server object that say when to register.
func (t Turn) values() model.Values {
	if t == (Turn{}) {
		return nil
	}
	v := model.Values{objects.ServerInitialDelay: uint64(t.Delay / time.Second), objects.ServerFailureBlock: t.Block}
	if t.Order > 0 {
		v[objects.ServerPriority] = uint64(t.Order)
	}
	return v
}

// serverEnv is the world of one server: it has ports of its own, draws other
// message IDs and tokens, and its events say that they are its.
func serverEnv(env *clients.Env, id uint16) *clients.Env {
	if id < 2 {
		return env
	}
	e := *env
	e.Seed ^= uint64(id-1) << 56
	if e.Site.Ports = maps.Clone(env.Site.Ports); e.Site.Ports == nil {
		e.Site.Ports = make(map[uint16]uint16)
	}
	for _, port := range []uint16{portCoAP, portCoAPS} {
		e.Site.Ports[port] = env.At(port).Port() + serverPorts*(id-1)
	}
	e.Record = func(ev clients.Event) {
		if ev.Kind == clients.EventReport { // it is one report, wherever else it arrives
			ev.Kind, ev.Detail = clients.EventState, "report of "+ev.Detail
		}
		ev.Detail = fmt.Sprintf("server %d: %s", id, ev.Detail)
		env.Record(ev)
	}
	return &e
}

// arrivals are the readings that have reached the applications of all servers.
type arrivals struct {
	clients.Arrivals
	servers int

	mu     sync.Mutex
	latest map[string]map[uint16]clients.Reading // by device and server
}

// arrived is told of every reading that arrives at a server.
func (a *arrivals) arrived(server uint16, device string, r clients.Reading) {
	a.mu.Lock()
	if a.latest == nil {
		a.latest = make(map[string]map[uint16]clients.Reading)
	}
	if a.latest[device] == nil {
		a.latest[device] = make(map[uint16]clients.Reading)
	}
	a.latest[device][server] = r
	there := 0
	for _, latest := range a.latest[device] {
		if latest == r {
			there++
		}
	}
	a.mu.Unlock()
	if there == a.servers {
		a.Arrived(device, r)
	}
}
