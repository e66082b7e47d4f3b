package lwm2m

import (
	"context"
	"fmt"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// Values of Options.Report.
const (
	ReportNotify = "notify"
	ReportSend   = "send" // the Send operation (Core 1.1 section 6.4.6)
)

// versions are those of LwM2M, oldest first.
var versions = []string{content.V10, content.V11, content.V12}

// format is that of reports.
func (o *Options) format() message.MediaType {
	f, _ := content.Named(o.Format)
	return f
}

// sendPath is where servers take what devices send (Transport 1.1 section
// 6.4.5).
const sendPath = "/dp"

// send sends the observed object to the server (Core 1.1 section 6.4.6), unless
// the server has muted that. A device that gets no answer registers anew, and
// sends then.
func (d *device) send(ctx context.Context) error {
	if muted, ok := d.tree.Get(objects.Server.ID, 0, objects.ServerMuteSend).(bool); !ok || muted {
		return nil
	}
	format := d.opt.format()
	payload, err := d.tree.As(shortServerID).ReadComposite([]model.Path{readingPath}, format)
	if err != nil {
		return err
	}
	l := d.session()
	resp, err := l.Do(ctx, coap.NewRequest(codes.POST, sendPath).WithPayload(format, payload))
	if isTimeout(err) {
		d.lose(l.Conn)
	}
	_, err = checked("send", resp, err, codes.Changed)
	return err
}

// announce sends what a device that reports by itself has to tell after it has
// registered.
func (d *device) announce() {
	if d.opt.Report != ReportSend {
		return
	}
	d.tasks.Go(func() {
		err := sleep(d.ctx, reaction)
		if err == nil {
			err = d.send(d.ctx)
		}
		if err != nil && d.ctx.Err() == nil {
			d.note("device: %v", err)
		}
	})
}

// fallBack goes on with the version of LwM2M before the present one; false if
// there is none.
func (d *device) fallBack() bool {
	i := slices.Index(versions, d.version)
	if i <= 0 {
		return false
	}
	d.note("device: the server does not have LwM2M %s", d.version)
	d.version = versions[i-1]
	d.tree.SetVersion(d.version)
	return true
}

// relist makes the device tell the server which instances it has.
func (d *device) relist() {
	d.mu.Lock()
	d.stale = true
	d.mu.Unlock()
	d.askUpdate()
}

// receive answers a Send: it is of a registered device and of objects that it
// has registered, else 4.04 (Core 1.1 section 6.4.6).
func (s *server) receive(r *coap.Request) *coap.Response {
	reg := s.heard(r.Conn())
	format, given := r.ContentFormat()
	switch {
	case reg == nil:
		return coap.Status(codes.NotFound)
	case !given || !content.Composite(format):
		return coap.Status(codes.UnsupportedMediaType)
	}
	nodes, err := content.Decode(format, model.Path{}, objects.Schema, r.Payload)
	if err != nil {
		return coap.Status(codes.BadRequest)
	}
	for _, n := range nodes {
		if !reg.offers(n.Path.Up(model.DepthInstance)) {
			return coap.Status(codes.NotFound)
		}
	}
	if err := s.sent(reg, nodes); err != nil {
		return coap.Status(codes.BadRequest)
	}
	return coap.Status(codes.Changed)
}

// heard is the registration whose device was heard over a session last.
func (g *registry) heard(conn *coap.Conn) *registration {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, reg := range g.byEndpoint {
		if reg.session() == conn {
			return reg
		}
	}
	return nil
}

// sent takes what a device sends unasked: a reading, or anything else, which is
// only recorded.
func (p *Platform) sent(reg *registration, nodes []model.Node) error {
	c := p.client(reg.endpoint)
	if c == nil {
		return errOver
	}
	if slices.ContainsFunc(nodes, func(n model.Node) bool { return readingPath.Contains(n.Path) }) {
		return p.reported(c, reg, nodes)
	}
	p.env.Record(clients.Event{Kind: clients.EventState, Detail: fmt.Sprintf("server: %s sent %d values", reg.endpoint, len(nodes))})
	return nil
}
