package lwm2m

import (
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Values of resource 11 of the firmware update object.
const (
	severityCritical  = int64(0)
	severityMandatory = int64(1) // the default
	severityOptional  = int64(2)
)

// urgency is the server writing Severity or Maximum Defer Period.
func (u *updater) urgency(v model.Values) error {
	severity, hasSeverity := v[objects.FirmwareSeverity].(int64)
	period, hasPeriod := v[objects.FirmwareMaxDefer].(uint64)
	if hasSeverity && (severity < severityCritical || severity > severityOptional) || period > 1<<31 {
		return model.Refuse(codes.BadRequest, "severity or maximum defer period out of range")
	}
	if !hasSeverity && !hasPeriod {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if hasSeverity {
		u.flash.Severity = severity
	}
	if hasPeriod {
		u.flash.MaxDefer = int64(period)
	}
	return u.flash.save()
}

// deferral is for how long the user puts off an update: as long as they like,
// within the server's limit, and not at all if it is critical (resources 11 and
// 13). mu is held.
func (u *updater) deferral() time.Duration {
	if u.flash.Severity == severityCritical {
		return 0
	}
	return min(u.device.opt.Defer, time.Duration(u.flash.MaxDefer)*time.Second)
}

// insist ends a deferral: the package is applied without asking again.
func (u *updater) insist() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.device.ctx.Err() != nil || u.flash.Machine.Result != ResultDeferred || u.flash.Machine.Update() != nil {
		return // off, or cancelled meanwhile
	}
	u.changed(u.flash.save())
	time.AfterFunc(applyTime, u.apply)
}
