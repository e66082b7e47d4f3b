package lwm2m

import (
	"context"
	"errors"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
)

// registration is a device as its server knows it (section 6.2).
type registration struct {
	endpoint string
	location string // such as "/rd/0001"
	version  string // of LwM2M
	retries  int
	// over ends when the registration does, or another replaces it.
	over context.Context
	end  context.CancelCauseFunc
	// wakefulness is of a device in queue mode.
	wakefulness *wakefulness

	mu       sync.Mutex
	conn     *coap.Conn // over which the device was heard last
	links    []content.WebLink
	lifetime time.Duration
	expiry   *time.Timer
}

// errOver is why operations over a registration are given up early.
var errOver = errors.New("the registration has ended")

// session is the connection to the device.
func (r *registration) session() *coap.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn
}

// offers reports whether the device registered an object or instance.
func (r *registration) offers(path model.Path) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.links {
		if p, err := model.ParsePath(l.Target); err == nil && p.Depth() > model.DepthRoot && path.Contains(p) {
			return true
		}
	}
	return false
}

// registry is a server's table of registrations, one per endpoint.
type registry struct {
	retries int
	version string // the highest of LwM2M
	// awake is how long a device in queue mode is taken to listen after a message.
	awake time.Duration
	// registered is told of every new registration, expired of every one whose
	// lifetime has run out. They must not block.
	registered, expired func(*registration)

	mu         sync.Mutex
	byEndpoint map[string]*registration
	byLocation map[string]*registration
	next       int
}

func newRegistry(retries int, version string, awake time.Duration, registered, expired func(*registration)) *registry {
	return &registry{
		retries: retries, version: version, awake: awake, registered: registered, expired: expired,
		byEndpoint: make(map[string]*registration),
		byLocation: make(map[string]*registration),
		next:       1,
	}
}

// parameters of a register or update request.
type parameters struct {
	endpoint, version, binding string
	lifetime                   time.Duration // 0 is not given
	queue                      bool
}

// defaultLifetime is a registration's without lt (section 6.2.1).
const defaultLifetime = 86400 * time.Second

func parseParameters(queries []string) (p parameters, ok bool) {
	for _, q := range queries {
		name, value, _ := strings.Cut(q, "=")
		switch name {
		case "ep":
			p.endpoint = value
		case "lwm2m":
			p.version = value
		case "b":
			p.binding = value
			p.queue = p.queue || strings.Contains(value, "Q") // version 1.0
		case "lt":
			seconds, err := strconv.ParseUint(value, 10, 31)
			if err != nil || seconds == 0 {
				return p, false
			}
			p.lifetime = time.Duration(seconds) * time.Second
		case "Q":
			p.queue = true
		case "sms", "pid":
		default:
			return p, false
		}
	}
	return p, true
}

// register is POST /rd (section 6.2.1). identity is the name that the device
// has proven, by a certificate or a key; empty if by none.
func (g *registry) register(r *coap.Request, identity string) *coap.Response {
	p, ok := parseParameters(r.Queries())
	format, given := r.ContentFormat()
	links, err := content.ParseLinks(string(r.Payload))
	switch {
	case !ok || p.endpoint == "" || err != nil || len(links) == 0 || given && format != coap.LinkFormat:
		return coap.Status(codes.BadRequest)
	case !slices.Contains(versions, p.version) || p.version > g.version:
		return coap.Status(codes.PreconditionFailed)
	case identity != "" && identity != p.endpoint:
		return coap.Status(codes.Forbidden)
	}
	if p.lifetime == 0 {
		p.lifetime = defaultLifetime
	}
	reg := &registration{
		endpoint: p.endpoint, version: p.version, conn: r.Conn(), links: links, lifetime: p.lifetime, retries: g.retries,
		wakefulness: new(wakefulness),
	}
	if p.queue {
		reg.wakefulness.sleeps(g.awake)
	}
	reg.wakefulness.hear()
	if !g.insert(reg) {
		return coap.Status(codes.ServiceUnavailable)
	}
	resp := coap.Status(codes.Created)
	resp.SetLocationPath(reg.location)
	g.registered(reg)
	return resp
}

// maxLocations is what locations of 4 characters can tell apart.
const maxLocations = 36 * 36 * 36 * 36

// insert puts a registration in place of the endpoint's old one, under a
// location that is not in use; false if there are as many as sessions can be: a
// peer without security may register under any number of names.
func (g *registry) insert(reg *registration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old := g.byEndpoint[reg.endpoint]; old != nil {
		g.remove(old)
	}
	if len(g.byLocation) >= maxPresent {
		return false
	}
	for reg.location == "" || g.byLocation[reg.location] != nil {
		reg.location = fmt.Sprintf("/rd/%04s", strconv.FormatInt(int64(g.next%maxLocations), 36))
		g.next++
	}
	g.put(reg)
	return true
}

// put enters a registration into the table; mu is held.
func (g *registry) put(reg *registration) {
	g.byEndpoint[reg.endpoint], g.byLocation[reg.location] = reg, reg
	reg.over, reg.end = context.WithCancelCause(context.Background())
	reg.expiry = time.AfterFunc(reg.lifetime, func() { g.expire(reg) })
}

// remove forgets a registration; mu is held.
func (g *registry) remove(reg *registration) {
	if g.byLocation[reg.location] != reg {
		return
	}
	reg.expiry.Stop()
	reg.end(errOver)
	delete(g.byEndpoint, reg.endpoint)
	delete(g.byLocation, reg.location)
}

func (g *registry) expire(reg *registration) {
	g.mu.Lock()
	current := g.byLocation[reg.location] == reg
	if current {
		g.remove(reg)
	}
	g.mu.Unlock()
	if current {
		g.expired(reg)
	}
}

// find returns the registration at a location, if it is that identity's.
func (g *registry) find(location, identity string) *registration {
	g.mu.Lock()
	defer g.mu.Unlock()
	reg := g.byLocation[location]
	if reg == nil || identity != "" && identity != reg.endpoint {
		return nil
	}
	return reg
}

// update is POST to a location (section 6.2.2).
func (g *registry) update(r *coap.Request, identity string) *coap.Response {
	reg := g.find(r.Path(), identity)
	if reg == nil {
		return coap.Status(codes.NotFound)
	}
	p, ok := parseParameters(r.Queries())
	links, err := content.ParseLinks(string(r.Payload))
	if !ok || p.endpoint != "" || p.version != "" || err != nil {
		return coap.Status(codes.BadRequest)
	}
	if reg.session() != r.Conn() {
		reg = g.move(reg, r.Conn())
	}
	reg.wakefulness.hear()
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if p.lifetime > 0 {
		reg.lifetime = p.lifetime
	}
	if len(links) > 0 {
		reg.links = links
	}
	reg.expiry.Reset(reg.lifetime)
	return coap.Status(codes.Changed)
}

// move takes a registration to another session, such as that of a device
// without DTLS whose address has changed. Observations belong to the old one:
// to the application, the registration is new.
func (g *registry) move(old *registration, conn *coap.Conn) *registration {
	g.mu.Lock()
	old.mu.Lock()
	reg := &registration{
		endpoint: old.endpoint, location: old.location, version: old.version, retries: old.retries,
		conn: conn, links: old.links, lifetime: old.lifetime, wakefulness: old.wakefulness,
	}
	old.mu.Unlock()
	g.remove(old)
	g.put(reg)
	g.mu.Unlock()
	g.registered(reg)
	return reg
}

// deregister is DELETE of a location (section 6.2.3).
func (g *registry) deregister(r *coap.Request, identity string) *coap.Response {
	reg := g.find(r.Path(), identity)
	if reg == nil {
		return coap.Status(codes.NotFound)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(reg)
	return coap.Status(codes.Deleted)
}

// close ends all registrations.
func (g *registry) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, reg := range g.byLocation {
		g.remove(reg)
	}
}
