package remote

import (
	"encoding/json"
	"errors"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
)

// methods are what a client may call: those of clients.Platform, with the
// device's name among their arguments.
type methods struct{ p *peer }

// Arguments and replies: unnamed types, since net/rpc wants named ones to be
// exported.
type (
	siteReply = struct {
		Site clients.Site
		PKI  *pki.Material
	}
	awaitArgs = struct {
		Device  string
		Reading clients.Reading
	}
	commandArgs = struct {
		Device string
		Value  int64
	}
	updateArgs = struct {
		Device string
		Image  clients.Image
	}
	none = struct{}
)

// Open provides a platform as spec says. A client has one at a time.
func (m *methods) Open(spec json.RawMessage, reply *siteReply) error {
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	if m.p.opened != nil {
		return errors.New("a platform is open already")
	}
	o, err := m.p.open(spec, m.p.feed.add)
	if err != nil {
		return err
	}
	m.p.opened, m.p.awaited = o, nil
	*reply = siteReply{o.Site, o.PKI}
	return nil
}

// Close ends the platform.
func (m *methods) Close(none, *none) error { return m.p.close() }

// Await returns the number of a reading that is awaited from now on.
func (m *methods) Await(a awaitArgs, number *int) error {
	p, err := m.p.platform()
	if err != nil {
		return err
	}
	arrived, err := p.Await(a.Device, a.Reading)
	if err != nil {
		return err
	}
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	*number = len(m.p.awaited)
	m.p.awaited = append(m.p.awaited, arrived)
	return nil
}

// Arrived returns when the reading of that number has arrived.
func (m *methods) Arrived(number int, _ *none) error {
	m.p.mu.Lock()
	if number < 0 || number >= len(m.p.awaited) {
		m.p.mu.Unlock()
		return errors.New("no such reading is awaited")
	}
	arrived := m.p.awaited[number]
	m.p.mu.Unlock()
	select {
	case <-arrived:
		return nil
	case <-m.p.ctx.Done():
		return errGone
	}
}

// Connected is clients.Platform's.
func (m *methods) Connected(device string, _ *none) error {
	p, err := m.p.platform()
	if err != nil {
		return err
	}
	return p.Connected(m.p.ctx, device)
}

// Command is clients.Platform's.
func (m *methods) Command(a commandArgs, _ *none) error {
	p, err := m.p.platform()
	if err != nil {
		return err
	}
	return p.Command(m.p.ctx, a.Device, a.Value)
}

// Update is clients.Platform's.
func (m *methods) Update(a updateArgs, _ *none) error {
	p, err := m.p.platform()
	if err != nil {
		return err
	}
	return p.Update(m.p.ctx, a.Device, a.Image)
}

// Restart is clients.Platform's.
func (m *methods) Restart(none, *none) error {
	p, err := m.p.platform()
	if err != nil {
		return err
	}
	return p.Restart(m.p.ctx)
}

// Events waits for events and returns all that there are.
func (m *methods) Events(_ none, list *[]clients.Event) error {
	for len(*list) == 0 { // news may be of events that are taken already
		select {
		case <-m.p.feed.news:
		case <-m.p.ctx.Done():
			return errGone
		}
		*list = m.p.feed.take()
	}
	return nil
}
