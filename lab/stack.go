package lab

import (
	"embed"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m"
	"github.com/thinlink/thinlink/clients/mqtt"
	"github.com/thinlink/thinlink/clients/mqttsn"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/clients/web"
	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
	"github.com/thinlink/thinlink/profiles"
)

//go:embed stacks/*.yaml
var stackFiles embed.FS

var stacks = confyaml.Library{FS: stackFiles, Dir: "stacks", Noun: "stack"}

// Stack is one stack's YAML: the protocol, its options, and the TCP below it.
type Stack struct {
	Version     int    `conf:"version" doc:"schema version" min:"1" max:"1" required:"true" merge:"own"`
	Name        string `conf:"name" doc:"name in results" required:"true" pattern:"[a-z0-9][a-z0-9.-]*" merge:"own"`
	Title       string `conf:"title" doc:"one line for people" merge:"own"`
	Description string `conf:"description" doc:"what the stack is, and where its values come from" merge:"own"`
	Extends     string `conf:"extends" doc:"a built-in stack whose values hold where this file gives none" merge:"own"`
	Protocol    string `conf:"protocol" doc:"what is spoken" enum:"mqtt,lwm2m,mqtt-sn,coap,https,tcp,udp,icmp,exec" required:"true"`
	IP          string `conf:"ip" doc:"version of the Internet Protocol" enum:"4,6"`
	Timers      string `conf:"timers" doc:"protocol timers: standard is the stack's own, profile those that the link's profile recommends" enum:"standard,profile"`

	TCP struct {
		Device   TCPHost `conf:"device" doc:"the device's TCP"`
		Platform TCPHost `conf:"platform" doc:"the platform's TCP"`
	} `conf:"tcp" doc:"TCP of both hosts on engine sim"`
	MQTT  mqtt.Options  `conf:"mqtt" doc:"options of protocol mqtt"`
	LwM2M lwm2m.Options `conf:"lwm2m" doc:"options of protocol lwm2m"`

	MQTTSN mqttsn.Options   `conf:"mqttsn" doc:"options of protocol mqtt-sn"`
	CoAP   web.CoAPOptions  `conf:"coap" doc:"options of protocol coap"`
	HTTPS  web.HTTPSOptions `conf:"https" doc:"options of protocol https"`

	Exec Program `conf:"exec" doc:"the program of protocol exec"`

	docs []*confyaml.Document // layers, the oldest ancestor first
	sets []Setting
}

// TCPHost is one host's TCP: a personality and what differs from it.
type TCPHost struct {
	Personality string `conf:"personality" doc:"whose TCP it is" enum:"linux,lwip"`
	GRO         bool   `conf:"gro" doc:"acknowledge segments that arrive at one instant together, as generic receive offload does"`
	tcp.Config
}

// personalities are the TCPs a host may have.
var personalities = map[string]func() tcp.Config{"linux": tcp.Linux, "lwip": tcp.LwIP}

func (h TCPHost) config() tcp.Config { return h.Config }

// StackNames lists the built-in stacks.
func StackNames() []string { return stacks.Names() }

// LoadStack reads a built-in stack by name or a file by path.
func LoadStack(nameOrPath string) (*Stack, error) {
	s := new(Stack)
	for seen := map[string]bool{}; nameOrPath != ""; {
		if seen[nameOrPath] {
			return nil, fmt.Errorf("stack %s extends itself", nameOrPath)
		}
		seen[nameOrPath] = true
		doc, err := stacks.Open(nameOrPath)
		if err != nil {
			return nil, err
		}
		s.docs = append([]*confyaml.Document{doc}, s.docs...)
		nameOrPath, _, _ = doc.Get("extends")
	}
	return s, s.decode()
}

// Set overrides one value by its dotted path.
func (s *Stack) Set(path, value string) error {
	s.sets = append(s.sets, Setting{path, value})
	return s.decode()
}

// decode applies the layers twice: the first time to learn the personalities,
// whose values lie below all layers.
func (s *Stack) decode() error {
	base := *s
	for range 2 {
		fresh := Stack{docs: s.docs, sets: s.sets, IP: "4", Timers: "standard", MQTT: mqtt.DefaultOptions(), LwM2M: lwm2m.DefaultOptions(), MQTTSN: mqttsn.DefaultOptions(),
			CoAP: web.DefaultCoAPOptions(), HTTPS: web.DefaultHTTPSOptions()}
		fresh.TCP.Device.rebase(base.TCP.Device.Personality)
		fresh.TCP.Platform.rebase(base.TCP.Platform.Personality)
		dec := confyaml.NewDecoder(&fresh)
		for _, doc := range s.docs {
			if err := dec.Apply(doc); err != nil {
				return err
			}
		}
		if err := dec.Complete(); err != nil {
			return err
		}
		for _, set := range s.sets {
			if err := dec.Set(set.Path, set.Value); err != nil {
				return err
			}
		}
		base = fresh
	}
	*s = base
	return nil
}

func (h *TCPHost) rebase(personality string) {
	if personality == "" {
		personality = "linux"
	}
	h.Personality, h.Config = personality, personalities[personality]()
}

// TimersProfile is the value of Stack.Timers that takes the link's.
const TimersProfile = "profile"

// tuned is the stack with the timers that a link recommends, if the stack
// wants them and the link recommends any.
func (s Stack) tuned(t profiles.Timers) Stack {
	if s.Timers != TimersProfile {
		return s
	}
	set := func(value time.Duration, fields ...*time.Duration) {
		for _, f := range fields {
			if value > 0 {
				*f = value
			}
		}
	}
	set(t.CoAPAckTimeout, &s.LwM2M.CoAP.Device.AckTimeout, &s.LwM2M.CoAP.Platform.AckTimeout)
	set(t.CoAPAckTimeout, &s.CoAP.CoAP.AckTimeout, &s.MQTTSN.Retry) // T_retry waits for the same round trip
	for _, k := range []*time.Duration{&s.MQTT.KeepAlive, &s.MQTTSN.KeepAlive} {
		if *k > 0 { // 0 is none
			set(t.MQTTKeepAlive, k)
		}
	}
	set(t.TCPInitialRTO, &s.TCP.Device.InitialRTO, &s.TCP.Platform.InitialRTO)
	set(t.TCPMinRTO, &s.TCP.Device.MinRTO, &s.TCP.Platform.MinRTO)
	return s
}

// plays reports why the stack cannot perform a kind of scenario.
func (s *Stack) plays(kind Kind) error {
	can := map[Kind][]string{KindPing: {"udp", "icmp"}, KindBulk: {"tcp", "udp"}, KindExec: {"exec"}}[kind]
	if can == nil {
		can = []string{"mqtt", "lwm2m", "mqtt-sn", "coap", "https"}
		if kind == KindOTA {
			can = []string{"mqtt", "lwm2m", "coap", "https"}
		}
	}
	for _, p := range can {
		if s.Protocol == p {
			return nil
		}
	}
	return fmt.Errorf("protocol %s: want a stack of protocol %s", s.Protocol, can)
}

// new makes the protocol stack.
func (s *Stack) new() (clients.Stack, error) {
	switch s.Protocol {
	case "mqtt":
		return mqtt.New(s.MQTT)
	case "lwm2m":
		return lwm2m.New(s.LwM2M)
	case "mqtt-sn":
		return mqttsn.New(s.MQTTSN)
	case "coap":
		return web.NewCoAP(s.CoAP)
	case "https":
		return web.NewHTTPS(s.HTTPS)
	}
	return nil, fmt.Errorf("protocol %s has no sessions", s.Protocol)
}

// bearer is how the link carries the stack's messages.
func (s *Stack) bearer() netem.Bearer {
	if s.Protocol == "lwm2m" {
		return map[string]netem.Bearer{lwm2m.BindingNonIP: netem.BearerNonIP, lwm2m.BindingSMS: netem.BearerSMS}[s.LwM2M.Binding]
	}
	return netem.BearerIP
}

// servers is how many servers a device of the stack has at once.
func (s *Stack) servers() int {
	if s.Protocol != "lwm2m" {
		return 1
	}
	return 1 + len(s.LwM2M.MoreServers)
}

// runsOn reports why the stack cannot run on an engine, over a profile's link.
func (s *Stack) runsOn(engine string, link *profiles.Profile) error {
	switch bearer := s.bearer(); {
	case bearer != netem.BearerIP && engine != "sim":
		return fmt.Errorf("stack %s has binding %s: engine %s carries IP only: use --engine sim", s.Name, s.LwM2M.Binding, engine)
	case bearer == netem.BearerSMS && link.SMS == nil:
		return fmt.Errorf("stack %s has binding S: profile %s has no section sms: its delay and cost are needed, for example --set sms.delay=5s", s.Name, link.Name)
	}
	return nil
}

// pki says which certificates the stack wants; false is none.
func (s *Stack) pki() (pki.Options, bool) {
	switch s.Protocol {
	case "mqtt":
		return s.MQTT.PKI, true
	case "lwm2m":
		return s.LwM2M.PKI, true
	case "mqtt-sn":
		return s.MQTTSN.PKI, true
	case "coap":
		return s.CoAP.PKI, true
	case "https":
		return s.HTTPS.PKI, true
	}
	return pki.Options{}, false
}

// pki says which certificates the run wants; false is none.
func (r *Run) pki() (pki.Options, bool) {
	if r.Elsewhere != nil {
		return pki.Options{}, false // it has the platform's
	}
	if r.Serves != nil {
		return r.Serves.pki()
	}
	if r.Stack.Exec.Image > 0 {
		return pki.Options{Key: pki.P256, Chain: 1}, true
	}
	return r.Stack.pki()
}

// StackTitle is the one line that describes a built-in stack.
func StackTitle(name string) (string, error) {
	s, err := LoadStack(name)
	if err != nil {
		return "", err
	}
	return s.Title, nil
}

// StackFile is the YAML of a built-in stack.
func StackFile(name string) ([]byte, error) {
	return stacks.File(name)
}

// Certify makes the certificates of the runs, fresh in every call; runs whose
// stacks want the same kind share them.
func Certify(runs []*Run) error {
	type pending struct {
		material *pki.Material
		err      error
	}
	kinds := map[pki.Options]*pending{}
	var wg sync.WaitGroup
	limit := make(chan struct{}, runtime.NumCPU())
	for _, run := range runs {
		opt, wanted := run.pki()
		if !wanted || kinds[opt] != nil {
			continue
		}
		p := new(pending)
		kinds[opt] = p
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			p.material, p.err = pki.New(opt)
		})
	}
	wg.Wait()
	var errs []error
	for _, run := range runs {
		if opt, wanted := run.pki(); wanted {
			run.PKI = kinds[opt].material
			errs = append(errs, kinds[opt].err)
		}
	}
	return errors.Join(errs...)
}

// pace is the time between two datagrams of a bulk transfer over UDP.
func (r *Run) pace(down bool) time.Duration {
	rate := r.Scenario.Rate
	if rate == 0 {
		rate = r.linkRate(down) + r.linkRate(down)/5
	}
	if rate == 0 { // an unshaped link: 100 Mbit/s
		rate = 100e6
	}
	const headers = 28 // IPv4 and UDP
	bits := 8 * float64(r.Scenario.Payload+headers)
	return time.Duration(bits / float64(rate) * float64(time.Second))
}

// linkRate is the link's rate in one direction, 0 if it has none.
func (r *Run) linkRate(down bool) units.BitRate {
	dir, radio := r.Link.Up, r.Link.Radio
	if down {
		dir = r.Link.Down
	}
	if dir.Rate > 0 || radio == nil {
		return dir.Rate
	}
	grants := radio.Up
	if down {
		grants = radio.Down
	}
	if grants == nil {
		return 0
	}
	return grants.Rate()
}

// quiet is the silence that ends the reception of datagrams: longer than any
// queue takes to drain.
func (s *Scenario) quiet() time.Duration { return 10 * time.Minute }
