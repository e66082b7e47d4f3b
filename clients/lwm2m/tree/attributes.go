package tree

import (
	"strconv"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Attributes govern notifications (section 5.1.2); nil means not set.
type Attributes struct {
	// MinPeriod is pmin, the least time between two notifications.
	MinPeriod *time.Duration
	// MaxPeriod is pmax, the longest time without one; 0 is without effect.
	MaxPeriod *time.Duration
}

// params are the attributes as in a discover's links, in seconds.
func (a Attributes) params() []content.LinkParam {
	var list []content.LinkParam
	add := func(name string, d *time.Duration) {
		if d != nil {
			list = append(list, content.Attribute(name, strconv.FormatInt(int64(*d/time.Second), 10)))
		}
	}
	add("pmin", a.MinPeriod)
	add("pmax", a.MaxPeriod)
	return list
}

// Queries are the attributes as in a write-attributes request.
func (a Attributes) Queries() []string {
	var list []string
	for _, p := range a.params() {
		list = append(list, p.Name+"="+p.Value)
	}
	return list
}

// WriteAttributes sets the attributes that the queries name, and removes those
// without value (section 6.3.4). Errors: *StatusError; other attributes than
// pmin and pmax are 4.00, and then nothing is set.
func (t *Tree) WriteAttributes(path model.Path, queries []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, _, _, err := t.find(path); err != nil {
		return err
	}
	a := t.attributes[path]
	for _, q := range queries {
		name, value, hasValue := strings.Cut(q, "=")
		var field **time.Duration
		switch name {
		case "pmin":
			field = &a.MinPeriod
		case "pmax":
			field = &a.MaxPeriod
		default:
			return model.Refuse(codes.BadRequest, "attribute "+name+" is not supported")
		}
		if !hasValue {
			*field = nil
			continue
		}
		seconds, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return model.Refuse(codes.BadRequest, "attribute "+q)
		}
		d := time.Duration(seconds) * time.Second
		*field = &d
	}
	t.attributes[path] = a
	return nil
}

// Attributes are those attached to a path itself.
func (t *Tree) Attributes(path model.Path) Attributes {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.attributes[path]
}

// effective attributes of a path are its own, else those of the level above
// (section 5.1.1). mu is held.
func (t *Tree) effective(path model.Path) Attributes {
	var a Attributes
	for path.Depth() > model.DepthRoot {
		at := t.attributes[path]
		if a.MinPeriod == nil {
			a.MinPeriod = at.MinPeriod
		}
		if a.MaxPeriod == nil {
			a.MaxPeriod = at.MaxPeriod
		}
		path = path.Parent()
	}
	return a
}

// Periods are pmin and pmax of an observed path, with the server object's
// defaults (resources 2 and 3). pmax is 0 if it is without effect: not set, or
// below pmin (section 5.1.2).
func (t *Tree) Periods(path model.Path) (pmin, pmax time.Duration) {
	t.mu.Lock()
	a := t.effective(path)
	t.mu.Unlock()
	pmin = t.defaultPeriod(a.MinPeriod, objects.ServerMinPeriod)
	pmax = t.defaultPeriod(a.MaxPeriod, objects.ServerMaxPeriod)
	if pmax < pmin {
		pmax = 0
	}
	return pmin, pmax
}

func (t *Tree) defaultPeriod(d *time.Duration, resource uint16) time.Duration {
	if d != nil {
		return *d
	}
	seconds, _ := t.Get(objects.Server.ID, 0, resource).(int64)
	return time.Duration(seconds) * time.Second
}
