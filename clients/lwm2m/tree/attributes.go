package tree

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Attributes govern notifications (Core 1.1 section 5.1.2, table 5.1.2-2; 1.2
// table 7.3.2-1); nil means not set. Periods are whole seconds. There is no hqmax:
// this device stores no values for a server that is out of reach (appendix E.2,
// resource 6), and refuses the attribute.
type Attributes struct {
	// MinPeriod is pmin, the least time between two notifications.
	MinPeriod *time.Duration
	// MaxPeriod is pmax, the longest time without one; 0 is without effect.
	MaxPeriod *time.Duration
	// MinEvaluation and MaxEvaluation are epmin and epmax: the least and the
	// longest time between two looks at the value. This device looks whenever a
	// value changes, so that epmax has nothing to do.
	MinEvaluation, MaxEvaluation *time.Duration
	// Greater and Less are gt and lt: a notification is due when a number crosses
	// them.
	Greater, Less *float64
	// Step is st: or when it has changed by so much since the last one.
	Step *float64
	// Edge is edge: or when a boolean falls (0) or rises (1).
	Edge *int64
	// Confirmable is con: notifications are confirmable (1) or not (0).
	Confirmable *int64
}

// attached is where attributes are: each server has its own.
type attached struct {
	server uint16
	path   model.Path
}

// attribute is the name of a field, the kind of its value and where it may be
// attached.
type attribute struct {
	name   string
	since  string // version of LwM2M
	period func(*Attributes) **time.Duration
	number func(*Attributes) **float64
	flag   func(*Attributes) **int64
	// fits reports whether a resource may have it; nil for any place.
	fits func(*model.Resource) bool
}

func numeric(r *model.Resource) bool { return r.Type.Numeric() }

var attributes = []attribute{
	{name: "pmin", since: content.V10, period: func(a *Attributes) **time.Duration { return &a.MinPeriod }},
	{name: "pmax", since: content.V10, period: func(a *Attributes) **time.Duration { return &a.MaxPeriod }},
	{name: "gt", since: content.V10, number: func(a *Attributes) **float64 { return &a.Greater }, fits: numeric},
	{name: "lt", since: content.V10, number: func(a *Attributes) **float64 { return &a.Less }, fits: numeric},
	{name: "st", since: content.V10, number: func(a *Attributes) **float64 { return &a.Step }, fits: numeric},
	{name: "epmin", since: content.V11, period: func(a *Attributes) **time.Duration { return &a.MinEvaluation }},
	{name: "epmax", since: content.V11, period: func(a *Attributes) **time.Duration { return &a.MaxEvaluation }},
	{name: "edge", since: content.V12, flag: func(a *Attributes) **int64 { return &a.Edge },
		fits: func(r *model.Resource) bool { return r.Type == model.Boolean }},
	{name: "con", since: content.V12, flag: func(a *Attributes) **int64 { return &a.Confirmable }},
}

// params are the attributes as in a discover's links.
func (a Attributes) params() []content.LinkParam {
	var list []content.LinkParam
	for _, at := range attributes {
		if text, set := at.text(&a); set {
			list = append(list, content.Attribute(at.name, text))
		}
	}
	return list
}

// text is an attribute's value, if it is set.
func (at *attribute) text(a *Attributes) (s string, set bool) {
	switch {
	case at.period != nil && *at.period(a) != nil:
		return strconv.FormatInt(int64(**at.period(a)/time.Second), 10), true
	case at.number != nil && *at.number(a) != nil:
		return string(content.AppendText(nil, **at.number(a))), true
	case at.flag != nil && *at.flag(a) != nil:
		return strconv.FormatInt(**at.flag(a), 10), true
	}
	return "", false
}

// Queries are the attributes as in a write-attributes request.
func (a Attributes) Queries() []string {
	var list []string
	for _, p := range a.params() {
		list = append(list, p.Name+"="+p.Value)
	}
	return list
}

// set reads a value, or removes the attribute if there is none.
func (at *attribute) set(a *Attributes, value string, hasValue bool) error {
	malformed := model.Refuse(codes.BadRequest, "attribute "+at.name+"="+value)
	switch {
	case at.period != nil:
		seconds, err := strconv.ParseUint(value, 10, 31)
		d := time.Duration(seconds) * time.Second
		return assign(at.period(a), d, hasValue, err != nil, malformed)
	case at.number != nil:
		f, err := content.ParseText(model.Float, value)
		number, _ := f.(float64)
		return assign(at.number(a), number, hasValue, err != nil, malformed)
	}
	n := int64(slices.Index([]string{"0", "1"}, value))
	return assign(at.flag(a), n, hasValue, n < 0, malformed)
}

// assign sets a field, or clears it.
func assign[T any](field **T, v T, set, wrong bool, err error) error {
	*field = nil
	if !set {
		return nil
	}
	if wrong {
		return err
	}
	*field = &v
	return nil
}

// WriteAttributes sets the attributes that the queries name, and removes those
// without value (section 6.3.4). Attributes that the place cannot have, or that
// contradict each other, are 4.00, and then nothing is set.
func (v View) WriteAttributes(path model.Path, queries []string) error {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	p, err := v.allowed(path, MayRead)
	if err != nil {
		return err
	}
	a := v.attached(path)
	if err := v.parse(&a, path, p.res, queries); err != nil {
		return err
	}
	if key := (attached{v.server, path}); a == (Attributes{}) {
		delete(v.t.attributes, key)
	} else {
		v.t.attributes[key] = a
	}
	return nil
}

// Observing is the view of an observation whose request has attributes (Core 1.2
// section 6.4.1): while it lasts those that are attached to the paths are
// ignored. Attributes that one of the paths cannot have are 4.00.
func (v View) Observing(paths []model.Path, queries []string) (View, error) {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	if len(queries) == 0 {
		return v, nil
	}
	if v.t.cfg.Version < content.V12 {
		return v, model.Refuse(codes.BadRequest, "attributes of an observation are of LwM2M 1.2")
	}
	v.given = new(Attributes)
	for _, path := range paths {
		var res *model.Resource
		if p, err := v.find(path); err == nil {
			res = p.res
		}
		if err := v.parse(v.given, path, res, queries); err != nil {
			return v, err
		}
	}
	return v, nil
}

// parse sets the attributes that queries name, of a path that leads to a
// resource or, by nil, not; mu is held.
func (v View) parse(a *Attributes, path model.Path, res *model.Resource, queries []string) error {
	for _, q := range queries {
		name, value, hasValue := strings.Cut(q, "=")
		i := slices.IndexFunc(attributes, func(at attribute) bool { return at.name == name })
		if i < 0 || attributes[i].since > v.t.cfg.Version {
			return model.Refuse(codes.BadRequest, "attribute "+name+" is not supported")
		}
		at := &attributes[i]
		if at.fits != nil && (res == nil || !at.fits(res)) {
			return model.Refuse(codes.BadRequest, "attribute "+name+" is not for "+path.String())
		}
		if err := at.set(a, value, hasValue); err != nil {
			return err
		}
	}
	if !a.consistent() {
		return model.Refuse(codes.BadRequest, "the attributes contradict each other")
	}
	return nil
}

// consistent reports whether the conditions leave room for each other (section
// 5.1.2): lt below gt, and two steps between them. A negative step is none.
func (a *Attributes) consistent() bool {
	step := 0.0
	if a.Step != nil {
		if step = *a.Step; step < 0 {
			return false
		}
	}
	return a.Less == nil || a.Greater == nil || *a.Less+2*step < *a.Greater
}

// attached are the server's attributes at a path itself; mu is held.
func (v View) attached(path model.Path) Attributes { return v.t.attributes[attached{v.server, path}] }

// Attributes are those that the server has attached to a path itself.
func (v View) Attributes(path model.Path) Attributes {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	return v.attached(path)
}

// effective attributes of a path are the observation's, or else its own and what
// those leave out of the nearest level above (section 5.1.1). mu is held.
func (v View) effective(path model.Path) Attributes {
	if v.given != nil {
		return *v.given
	}
	a := v.attached(path)
	for path.Depth() > model.DepthObject {
		path = path.Parent()
		a.inherit(v.attached(path))
	}
	return a
}

// inherit takes what is not set from above.
func (a *Attributes) inherit(above Attributes) {
	for _, at := range attributes {
		if text, set := at.text(&above); set {
			if _, own := at.text(a); !own {
				_ = at.set(a, text, true) // it was set before
			}
		}
	}
}

// Rules are what governs the notifications of an observed path.
type Rules struct {
	// MinPeriod, MaxPeriod and MinEvaluation are as the attributes; 0 is without
	// effect.
	MinPeriod, MaxPeriod, MinEvaluation time.Duration
	// Confirmable is nil where the device decides.
	Confirmable *bool
}

// Rules are those of a path: its effective attributes, else the defaults of the
// server object (resources 2, 3 and 26). A maximum period below the minimum is
// ignored (section 5.1.2).
func (v View) Rules(path model.Path) Rules {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	a, defaults := v.effective(path), v.account()
	period := func(d *time.Duration, resource uint16) time.Duration {
		if d != nil {
			return *d
		}
		seconds, _ := defaults[resource].(int64)
		return time.Duration(seconds) * time.Second
	}
	r := Rules{MinPeriod: period(a.MinPeriod, objects.ServerMinPeriod), MaxPeriod: period(a.MaxPeriod, objects.ServerMaxPeriod)}
	if r.MaxPeriod < r.MinPeriod {
		r.MaxPeriod = 0
	}
	// An evaluation period that is not below its maximum is ignored likewise.
	if a.MinEvaluation != nil && (a.MaxEvaluation == nil || *a.MinEvaluation < *a.MaxEvaluation) {
		r.MinEvaluation = *a.MinEvaluation
	}
	mode, ok := defaults[objects.ServerNotificationMode].(int64)
	if a.Confirmable != nil {
		mode, ok = *a.Confirmable, true
	}
	if ok {
		confirmable := mode == 1
		r.Confirmable = &confirmable
	}
	return r
}

// account are the values of the server's own instance of the server object; mu
// is held.
func (v View) account() model.Values {
	for path, inst := range v.t.instances {
		if path.Object() == objects.Server.ID && inst.Values[objects.ServerShortID] == int64(v.server) {
			return inst.Values
		}
	}
	return nil
}

// Sample is the value of a resource, or of one of its instances, as conditions
// see it.
type Sample struct {
	number  float64
	boolean bool
	kind    model.Type // Float for numbers, Boolean, or 0
}

// Samples are the present values below a path that conditions are attached to.
func (v View) Samples(path model.Path) map[model.Path]Sample {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	nodes, _ := v.nodes(path)
	samples := make(map[model.Path]Sample)
	for _, n := range model.Flat(nodes) {
		if a := v.effective(n.Path); a.conditions() {
			samples[n.Path] = sample(n.Value)
		}
	}
	return samples
}

func sample(value any) Sample {
	if f, ok := model.Number(value); ok {
		return Sample{number: f, kind: model.Float}
	}
	b, ok := value.(bool)
	if !ok {
		return Sample{}
	}
	return Sample{boolean: b, kind: model.Boolean}
}

// conditions reports whether not every change is worth a notification.
func (a *Attributes) conditions() bool {
	return a.Greater != nil || a.Less != nil || a.Step != nil || a.Edge != nil
}

// Worth reports whether the change of a path is worth a notification (section
// 5.1.2): every one is if no condition is attached; else one of them must hold
// between what was looked at before, what was notified last, and now. A place
// that is new or gone is.
func (v View) Worth(path model.Path, before, notified, now map[model.Path]Sample) bool {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	conditional := false
	for _, samples := range []map[model.Path]Sample{now, before} {
		for at := range samples {
			if !path.Contains(at) {
				continue
			}
			conditional = true
			old, known := before[at]
			present, there := now[at]
			if known != there {
				return true
			}
			if a := v.effective(at); a.hold(old, notified[at], present) {
				return true
			}
		}
	}
	return !conditional
}

// hold reports whether one of the conditions does.
func (a *Attributes) hold(before, notified, now Sample) bool {
	if now.kind == model.Boolean {
		return a.Edge != nil && before.boolean != now.boolean && now.boolean == (*a.Edge == 1)
	}
	crosses := func(limit *float64) bool {
		return limit != nil && (before.number > *limit) != (now.number > *limit)
	}
	undercuts := func(limit *float64) bool {
		return limit != nil && (before.number < *limit) != (now.number < *limit)
	}
	return crosses(a.Greater) || undercuts(a.Less) ||
		a.Step != nil && math.Abs(now.number-notified.number) >= *a.Step
}
