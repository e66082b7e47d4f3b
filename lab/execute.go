package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/plain"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/measure"
)

// World is what an engine provides for one run.
type World struct {
	Device, Platform clients.Host
	// Now is the run's clock.
	Now func() time.Time
	// Record notes an event of the run.
	Record func(clients.Event)
	KeyLog io.Writer
	// Window is told when the measured window begins and ends.
	Window func(start bool)
	// Program runs a program in the device's place to its end; nil where none
	// can. Outside is the address at which it reaches this machine's loopback.
	Program func(*exec.Cmd) error
	Outside netip.Addr
	// Faults are what can go wrong here on purpose.
	Faults Faults
	// Halt ends the network: nothing that a session does when it closes
	// reaches the trace.
	Halt func()
}

// newWorld is a world of two hosts of which rec keeps the keys, the events and
// the window. What else an engine can do it adds, and always Halt.
func newWorld(run *Run, rec *measure.Recorder, device, platform clients.Host) *World {
	return &World{
		Device: device, Platform: platform, Now: time.Now, KeyLog: rec.KeyLog(),
		Record: func(e clients.Event) {
			rec.Event(measure.Event{Time: time.Now(), Kind: e.Kind, Detail: e.Detail, Offset: e.Offset, Length: e.Length})
		},
		Window: func(open bool) {
			run.window(open)
			if open {
				rec.OpenWindow(time.Now())
			} else {
				rec.CloseWindow(time.Now())
			}
		},
	}
}

// Outcome is what the steps of a scenario came to, besides packets.
type Outcome struct {
	Completion time.Duration // from the window's start to the end of the last step
	Err        error         // why the scenario did not complete
	Echoes     []plain.Echo
	Transfer   *plain.Transfer
	Image      *clients.Image
	Exec       *measure.Exec
	Warnings   []string
}

// perform plays a run's scenario in the world. Everything but the steps
// themselves happens outside the window.
func perform(ctx context.Context, run *Run, w *World) (out Outcome) {
	sc := &run.Scenario
	ctx, cancel := context.WithTimeoutCause(ctx, sc.Limit,
		fmt.Errorf("not completed within the limit of %v", sc.Limit))
	defer cancel()
	env := &clients.Env{
		Device: w.Device, Platform: w.Platform, PKI: run.PKI, Seed: run.Seed,
		Flash: new(flash.Memory), KeyLog: w.KeyLog, Now: w.Now,
	}
	p := &player{run: run, env: env, w: w, out: &out}
	env.Record = p.record
	err := p.play(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	out.Err = err
	if p.opened.IsZero() { // failed before there was anything to measure
		p.open()
	}
	w.Window(false)
	w.Halt()
	if p.session != nil {
		p.session.Close()
	}
	return out
}

// A player performs one scenario.
type player struct {
	run     *Run
	env     *clients.Env
	w       *World
	out     *Outcome
	session *clients.Session // nil for plain sockets
	opened  time.Time
	faults  *interrupter // nil without interruptions
}

// record notes a stack's event and tells the interrupter how far it is.
func (p *player) record(e clients.Event) {
	p.w.Record(e)
	if p.faults != nil {
		p.faults.observe(e)
	}
}

// open begins the measured window.
func (p *player) open() {
	p.opened = p.w.Now()
	p.w.Window(true)
}

// stepDone notes the end of the last step so far.
func (p *player) stepDone() { p.out.Completion = p.w.Now().Sub(p.opened) }

// closeWindow waits until the window is as long as the scenario asks, and
// lets the last acknowledgements of a longer one pass.
func (p *player) closeWindow(ctx context.Context) error {
	const tail = 5 * time.Second
	rest := p.run.Scenario.Window - p.w.Now().Sub(p.opened)
	return clients.Sleep(ctx, max(rest, tail))
}

func (p *player) play(ctx context.Context) error {
	switch p.run.Scenario.Kind {
	case KindExec:
		return p.program(ctx)
	case KindPing, KindBulk:
		if err := p.plain(ctx); err != nil {
			return err
		}
		return p.closeWindow(ctx)
	}
	stack, err := p.run.Stack.new()
	if err != nil {
		return err
	}
	start := clients.Start
	if p.run.Elsewhere != nil {
		start = p.join
	}
	session, err := start(ctx, stack, p.env)
	if err != nil {
		return err
	}
	p.session = session
	steps := map[Kind]func(context.Context, *clients.Session) error{
		KindConnect: p.connect, KindSteady: p.steady, KindObserve: p.observe,
		KindCommand: p.command, KindOTA: p.ota, KindPower: p.power,
	}[p.run.Scenario.Kind]
	if err := steps(ctx, session); err != nil {
		p.stepDone()
		return err
	}
	return p.closeWindow(ctx)
}

func (p *player) connect(ctx context.Context, s *clients.Session) error {
	p.open()
	if err := s.Connect(ctx, reading(0)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	p.stepDone()
	return nil
}

// connected brings the session up and lets it settle, outside the window.
func (p *player) connected(ctx context.Context, s *clients.Session) error {
	if err := s.Connect(ctx, reading(0)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := clients.Sleep(ctx, p.run.Scenario.Settle); err != nil {
		return err
	}
	p.open()
	return nil
}

func (p *player) steady(ctx context.Context, s *clients.Session) error {
	if err := p.connected(ctx, s); err != nil {
		return err
	}
	if err := clients.Sleep(ctx, p.run.Scenario.Window); err != nil {
		return err
	}
	p.stepDone()
	return nil
}

func (p *player) observe(ctx context.Context, s *clients.Session) error {
	if err := p.connected(ctx, s); err != nil {
		return err
	}
	for i := range p.run.Scenario.Reports {
		due := p.opened.Add(time.Duration(i) * p.run.Scenario.Interval)
		if err := clients.Sleep(ctx, due.Sub(p.w.Now())); err != nil {
			return err
		}
		if err := s.Report(ctx, reading(i+1)); err != nil {
			return fmt.Errorf("report %d: %w", i+1, err)
		}
		p.stepDone()
	}
	return nil
}

func (p *player) command(ctx context.Context, s *clients.Session) error {
	if err := p.connected(ctx, s); err != nil {
		return err
	}
	if err := s.Command(ctx, 42); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	p.stepDone()
	return nil
}

func (p *player) ota(ctx context.Context, s *clients.Session) error {
	p.out.Image = image(p.run.Seed, p.run.Scenario.Image)
	p.open()
	if err := s.Connect(ctx, reading(0)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := p.update(ctx, s); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	p.stepDone()
	return nil
}

// update performs the update while the interruptions happen. An interruption
// that cannot be carried out ends the run: it would not be what was asked for.
func (p *player) update(ctx context.Context, s *clients.Session) error {
	if len(p.run.Interrupts) == 0 {
		return s.Update(ctx, *p.out.Image)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p.faults = newInterrupter(p.w, s, p.run.Interrupts, int64(len(p.out.Image.Data)), p.opened)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.faults.run(ctx); err != nil {
			cancel(err)
		}
	}()
	err := s.Update(ctx, *p.out.Image)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	cancel(nil)
	<-ended
	return err
}

// plain measures the link with plain sockets.
func (p *player) plain(ctx context.Context) error {
	if p.run.Scenario.Kind == KindPing {
		return p.ping(ctx)
	}
	return p.bulk(ctx)
}

func (p *player) ping(ctx context.Context) error {
	p.open()
	sc := &p.run.Scenario
	echoes, err := plain.Ping(ctx, p.env, plain.PingConfig{
		ICMP:    p.run.Stack.Protocol == "icmp",
		Payload: int(sc.Payload), Trains: sc.Trains, Count: sc.Count,
		Interval: sc.Interval, Gap: sc.Gap, Timeout: sc.Timeout,
	})
	p.out.Echoes = echoes
	p.stepDone()
	return err
}

func (p *player) bulk(ctx context.Context) error {
	p.open()
	sc := &p.run.Scenario
	down := sc.Direction == "down"
	var t plain.Transfer
	var err error
	if p.run.Stack.Protocol == "tcp" {
		t, err = plain.TCP(ctx, p.env, int64(sc.Size), down)
	} else {
		t, err = plain.UDP(ctx, p.env, plain.UDPConfig{
			Size: int64(sc.Size), Payload: int(sc.Payload), Down: down,
			Interval: p.run.pace(down), Quiet: sc.quiet(),
		})
	}
	p.out.Transfer = &t
	p.stepDone()
	return err
}

// reading is the n-th sample of the observed object: a string, an integer, a
// float and a boolean, as in the reference experiment. Its size in every
// encoding is the same for every n below a thousand.
func reading(n int) clients.Reading {
	return clients.Reading{
		Text:    fmt.Sprintf("thinlink reference reading %03d: all parts within their limits", n%1000),
		Integer: int64(1_000_000 + n%1000),
		Float:   20 + float64(n%1000)/128 + 1./256, // never an integer, exact in binary
		Boolean: true,
	}
}

// image is a random firmware image, the same for equal seeds and sizes.
func image(seed uint64, size units.Bytes) *clients.Image {
	data := make([]byte, size)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(data)
	return &clients.Image{Name: "thinlink-firmware", Version: "2.0.0", Data: data, SHA256: sha256.Sum256(data)}
}
