package lwm2m

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

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

// send sends the observed object to the servers (Core 1.1 section 6.4.6).
func (d *device) send(ctx context.Context) error {
	accounts := d.all()
	errs := make([]error, len(accounts))
	var tasks sync.WaitGroup
	for i, a := range accounts {
		tasks.Go(func() { errs[i] = a.send(ctx) })
	}
	tasks.Wait()
	return errors.Join(errs...)
}

// send sends it to one, unless that has muted it. A device that gets no answer
// registers anew, and sends then.
func (a *account) send(ctx context.Context) error {
	if a.flag(objects.ServerMuteSend, true) || !a.registered() {
		return nil
	}
	format := a.device.opt.format()
	payload, err := a.view.ReadComposite([]model.Path{readingPath}, format)
	if err != nil {
		return err
	}
	l := a.session()
	resp, err := l.Do(ctx, coap.NewRequest(codes.POST, sendPath).WithPayload(format, payload))
	if isTimeout(err) {
		a.lose(l.Conn)
	}
	_, err = checked("send", resp, err, codes.Changed)
	return err
}

// announce sends what a device that reports by itself has to tell after it has
// registered.
func (a *account) announce() {
	if a.device.opt.Report != ReportSend {
		return
	}
	a.device.tasks.Go(func() {
		err := sleep(a.life, reaction)
		if err == nil {
			err = a.send(a.life)
		}
		if err != nil && a.life.Err() == nil {
			a.note("%v", err)
		}
	})
}

// olderThan is the version of LwM2M before another; false if there is none.
func olderThan(version string) (older string, ok bool) {
	i := slices.Index(versions, version)
	if i <= 0 {
		return "", false
	}
	return versions[i-1], true
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
