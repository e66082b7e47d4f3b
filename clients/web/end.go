package web

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/reading"
)

// end is what the devices of both protocols have in common: power, commands and
// firmware.
type end struct {
	env      *clients.Env
	format   reading.Format
	commands chan int64
	install  func(context.Context, *download) error // fetches the rest
	report   func(context.Context, outcome) error

	ctx   context.Context // ends with the power
	off   context.CancelFunc
	tasks sync.WaitGroup
}

func (e *end) boot() { e.ctx, e.off = context.WithCancel(context.Background()) }

func (e *end) record(kind, detail string) { e.env.Record(clients.Event{Kind: kind, Detail: detail}) }

// commanded hands a command to the application.
func (e *end) commanded(payload []byte) error {
	v, err := e.format.ParseCommand(payload)
	if err != nil {
		e.record(clients.EventWarning, "device: command: "+err.Error())
		return err
	}
	e.record(clients.EventCommand, fmt.Sprint(v))
	select {
	case e.commands <- v:
	default: // nobody has asked for the last sixteen
	}
	return nil
}

// update fetches firmware and says how that went.
func (e *end) update(o offer) {
	e.record(clients.EventOTAState, "device: downloading "+o.Path)
	d := &download{offer: o}
	err := e.install(e.ctx, d)
	if err == nil {
		err = d.verify()
	}
	if e.ctx.Err() != nil {
		return
	}
	result := outcome{Path: o.Path}
	if err != nil {
		result.Error = err.Error()
	}
	e.record(clients.EventOTAState, "device: ended "+result.Error)
	if err := e.report(e.ctx, result); err != nil && e.ctx.Err() == nil {
		e.record(clients.EventWarning, "device: status: "+err.Error())
	}
}

// took notes a piece of firmware.
func (e *end) took(d *download, piece []byte) {
	e.env.Record(clients.Event{Kind: clients.EventOTAData, Offset: int64(len(d.data)), Length: int64(len(piece))})
	d.data = append(d.data, piece...)
}

// persist repeats what fails until it succeeds or the context ends.
func (e *end) persist(ctx context.Context, most time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	for pause := time.Second; ; pause = min(2*pause, most) {
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		e.record(clients.EventState, "device: "+err.Error())
		if clients.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// Command implements clients.Device.
func (e *end) Command(ctx context.Context, value int64, send func(context.Context) error) error {
	if send != nil {
		if err := send(ctx); err != nil {
			return fmt.Errorf("web: command: %w", err)
		}
	}
	for {
		select {
		case v := <-e.commands:
			if send == nil || v == value {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("web: command: %w", ctx.Err())
		}
	}
}

// Expect implements clients.Device: an offer describes its image.
func (e *end) Expect(clients.Image) error { return nil }

// PowerOff implements clients.Rebooter.
func (e *end) PowerOff() {
	e.off()
	e.tasks.Wait()
}

// Close implements clients.Device.
func (e *end) Close() error {
	e.PowerOff()
	return nil
}
