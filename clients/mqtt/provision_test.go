package mqtt

import (
	"testing"

	"github.com/thinlink/thinlink/clients"
)

// TestProvisioning: a device asks the service once in its life, and again only
// if the power goes before it has an answer.
func TestProvisioning(t *testing.T) {
	run(t, func(o *Options) { o.Topics, o.Provisioning, o.Auth = "azure", true, "password" }, func(w *world) {
		ctx := w.t.Context()
		w.must(w.Connect(ctx, sample))
		w.PowerOff()
		w.must(w.PowerOn(ctx))
		w.must(w.Report(ctx, sample))
		w.wantCount(clients.EventState, "asking for a hub", 1)
		w.wantCount(clients.EventState, "assigned to "+w.env.ServerName(), 1)
		w.wantCount(clients.EventWarning, "", 0)
	})
}
