package lwm2m

import (
	"strconv"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
)

// populate fills the tree.
func (d *device) populate() {
	scheme, mode := "coap", int64(3)
	if d.opt.Security == Certificate {
		scheme, mode = "coaps", 2
	}
	d.tree.Add(securityObject, 0, &Instance{Values: Values{0: scheme + "://" + d.server.String(), 1: false, 2: mode, 10: int64(1)}})
	d.tree.Add(serverObject, 0, &Instance{
		Values: Values{
			0: int64(1), serverLifetime: int64(d.opt.Lifetime / time.Second),
			serverMinPeriod: int64(0), serverMaxPeriod: int64(0), 6: false, serverBinding: d.opt.Binding,
		},
		OnWrite: d.writeServer,
		OnExecute: func(uint16, string) error {
			d.askUpdate()
			return nil
		},
	})
	d.tree.Add(deviceObject, 0, &Instance{
		Values: Values{
			0: "thinlink", 1: "reference", 2: "0001", deviceFirmware: d.update.flash.Running,
			6: Multiple{0: int64(1)}, 7: Multiple{0: int64(3800)}, 8: Multiple{0: int64(125)}, 9: int64(100),
			10: int64(15), 11: Multiple{0: int64(0)}, 14: "+00:00", 15: "Etc/UTC", 16: d.opt.Binding,
			17: "sensor", 18: "1.0", 19: "1.0.0", 20: int64(0), 21: int64(64),
		},
		OnExecute: func(uint16, string) error {
			time.AfterFunc(reaction, d.restart)
			return nil
		},
	})
	const nbIoT = 7
	d.tree.Add(connectivityObject, 0, &Instance{Values: Values{
		0: int64(nbIoT), 1: Multiple{0: int64(nbIoT)}, 2: int64(-95), 4: Multiple{0: d.env.Device.Addr().String()},
	}})
	d.tree.Add(firmwareObject, 0, d.update.instance())
	d.tree.Add(readingObject, 0, &Instance{
		Values:  Values{readingText: "", readingInteger: int64(0), readingFloat: 0.0, readingBoolean: false},
		OnWrite: d.command,
	})
}

// writeServer checks what the server makes of its object; a new lifetime is
// told by a registration update (appendix E.2).
func (d *device) writeServer(v Values) (Values, error) {
	lifetime, hasLifetime := v[serverLifetime].(int64)
	binding, hasBinding := v[serverBinding].(string)
	for _, id := range []uint16{serverMinPeriod, serverMaxPeriod} {
		if seconds, ok := v[id].(int64); ok && (seconds < 0 || seconds > 1<<31) {
			return nil, refuse(codes.BadRequest, "period out of range")
		}
	}
	if hasLifetime && (lifetime < 1 || lifetime > 1<<31) || hasBinding && binding != "U" {
		return nil, refuse(codes.BadRequest, "lifetime or binding out of range")
	}
	if hasLifetime {
		time.AfterFunc(reaction, d.askUpdate)
	}
	return v, nil
}

// command is a write to the observed object.
func (d *device) command(v Values) (Values, error) {
	value := v[readingCommand].(int64) // nothing else can be written there
	d.env.Record(clients.Event{Kind: clients.EventCommand, Detail: strconv.FormatInt(value, 10)})
	return v, nil
}

// set gives the observed object new values, as one change.
func (d *device) set(r clients.Reading) { d.tree.Set(readingObject.ID, 0, readingValues(r)) }
