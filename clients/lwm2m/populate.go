package lwm2m

import (
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// populate fills the tree.
func (d *device) populate() {
	if d.opt.Bootstrap == BootstrapNone {
		for i, id := range d.opt.servers() {
			d.addAccount(uint16(i), id)
		}
	} else {
		d.tree.Add(objects.Security, 0, &tree.Instance{Values: model.Values{0: d.opt.uri(d.bootstrapServer(), BindingUDP), 1: true, 2: d.opt.mode()}})
		d.tree.Define(objects.Server, nil)
	}
	described := &tree.Instance{
		Values: model.Values{
			0: "thinlink", 1: "reference", 2: "0001", objects.DeviceFirmware: d.update.flash.Running,
			6: model.Multiple{0: int64(1)}, 7: model.Multiple{0: int64(3800)}, 8: model.Multiple{0: int64(125)}, 9: int64(100),
			10: int64(15), 11: model.Multiple{0: int64(0)}, 14: "+00:00", 15: "Etc/UTC", 16: d.opt.Binding,
			17: "sensor", 18: "1.0", 19: "1.0.0", 20: int64(0), 21: int64(64),
		},
		Execute: map[uint16]func(string) error{objects.DeviceReboot: func(string) error {
			time.AfterFunc(reaction, d.restart)
			return nil
		}},
	}
	d.extend(described)
	d.tree.Add(objects.Device, 0, described)
	d.tree.Add(objects.Firmware, 0, d.update.instance())
	d.tree.Add(objects.Reading, 0, &tree.Instance{
		Values:  model.Values{objects.ReadingText: "", objects.ReadingInteger: int64(0), objects.ReadingFloat: 0.0, objects.ReadingBoolean: false},
		OnWrite: d.command,
	})
	d.furnish()
}

// addAccount gives the device a server from the factory: the instances of the
// security and the server object.
func (d *device) addAccount(instance, id uint16) {
	o := d.opt.server(id)
	d.tree.Add(objects.Security, instance, &tree.Instance{Values: model.Values{
		0: o.uri(serverEnv(d.env, id).At(o.port()), o.Binding), 1: false, 2: o.mode(), 10: int64(id),
	}})
	v := model.Values{
		0: int64(id), objects.ServerLifetime: int64(o.Lifetime / time.Second),
		objects.ServerMinPeriod: int64(0), objects.ServerMaxPeriod: int64(0), 6: false, objects.ServerBinding: o.Binding,
		objects.ServerMuteSend: d.muteSend(),
	}
	maps.Copy(v, o.Turn.values())
	d.tree.Add(objects.Server, instance, d.serverInstance(instance, v))
}

// serverInstance is an instance of the server object, whoever gave its values.
func (d *device) serverInstance(id uint16, v model.Values) *tree.Instance {
	// What is executed there is executed by the server whose account it is.
	of := func(do func(*account)) func(string) error {
		return func(string) error {
			if a := d.account(id); a != nil {
				do(a)
			}
			return nil
		}
	}
	if _, given := v[objects.ServerDisableTimeout]; !given {
		v[objects.ServerDisableTimeout] = int64(defaultDisable / time.Second)
	}
	execute := map[uint16]func(string) error{
		objects.ServerTrigger: of((*account).askUpdate),
		objects.ServerDisable: of(func(a *account) { a.order(a.disable) }),
	}
	if d.opt.Bootstrap != BootstrapNone {
		execute[objects.ServerBootstrapTrigger] = of(func(a *account) {
			a.order(func() { d.enrolAnew(errTriggered) })
		})
	}
	return &tree.Instance{Values: v, Execute: execute, OnWrite: func(v model.Values) (model.Values, error) {
		return d.writeServer(id, v)
	}}
}

var errTriggered = errors.New("a server wants it")

// muteSend is resource 23 of the server object: the factory has activated Send
// where reports come by it; without a value it is not.
func (d *device) muteSend() any {
	if d.opt.Report == ReportSend {
		return false
	}
	return nil
}

// writeServer checks what the server makes of its object; a new lifetime is
// told by a registration update (appendix E.2).
func (d *device) writeServer(id uint16, v model.Values) (model.Values, error) {
	lifetime, hasLifetime := v[objects.ServerLifetime].(int64)
	binding, hasBinding := v[objects.ServerBinding].(string)
	for _, id := range []uint16{objects.ServerMinPeriod, objects.ServerMaxPeriod, objects.ServerDisableTimeout} {
		if seconds, ok := v[id].(int64); ok && (seconds < 0 || seconds > 1<<31) {
			return nil, model.Refuse(codes.BadRequest, "period out of range")
		}
	}
	if hasLifetime && (lifetime < 1 || lifetime > 1<<31) || hasBinding && binding != d.tree.Get(objects.Server.ID, id, objects.ServerBinding) {
		return nil, model.Refuse(codes.BadRequest, "lifetime or binding out of range")
	}
	if a := d.account(id); hasLifetime && a != nil {
		time.AfterFunc(reaction, a.askUpdate)
	}
	return v, nil
}

// command is a write to the observed object.
func (d *device) command(v model.Values) (model.Values, error) {
	value := v[objects.ReadingCommand].(int64) // nothing else can be written there
	d.env.Record(clients.Event{Kind: clients.EventCommand, Detail: strconv.FormatInt(value, 10)})
	select {
	case d.commanded <- struct{}{}:
	default: // one waits already
	}
	return v, nil
}

// set gives the observed object new values, as one change.
func (d *device) set(r clients.Reading) {
	d.tree.Set(objects.Reading.ID, 0, readingValues(r))
	d.measure(r)
}
