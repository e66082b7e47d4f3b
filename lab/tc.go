package lab

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/tc"
	"github.com/thinlink/thinlink/profiles"
)

// Kernel executes runs of engine tc: this machine's own TCP and netem, on the
// real clock.
type Kernel struct{}

// eventTCP is what the kernel knows of a TCP connection as it changes, and
// eventTCPClosed when it closes.
const (
	eventTCP       = "tcp"
	eventTCPClosed = "tcp.closed"
)

// Execute implements Engine. The error is a *tc.MissingError if the machine
// lacks something.
func (Kernel) Execute(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	return inProcess(ctx, run, progress, runKernel)
}

// inProcess executes a run in this process, in real time.
func inProcess(ctx context.Context, run *Run, progress func(Progress), execute func(context.Context, *Run, func(Progress)) (*measure.Result, error)) (*measure.Result, error) {
	start := time.Now()
	res, err := execute(ctx, run, progress)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	res.WallS = time.Since(start).Seconds()
	return res, nil
}

// kernelLink is the link as the kernel gets it: with the profile's part tc in
// place of grants.
func (r *Run) kernelLink() netem.Config {
	link := r.Link
	for _, dir := range []netem.Direction{netem.Up, netem.Down} {
		c, sub := &link.Up, r.TC.Up
		if dir == netem.Down {
			c, sub = &link.Down, r.TC.Down
		}
		if c.Rate == 0 && link.Rate(dir) > 0 && sub.Rate > 0 {
			c.Rate = sub.Rate
			c.Delay += sub.Delay
		}
	}
	return link
}

// KernelPlan is what engines tc and vm set for a run, with warnings of what
// they cannot do.
func (r *Run) KernelPlan() (plan tc.Plan, warnings []string, err error) {
	plan, missing, err := tc.NewPlan(r.kernelLink(), r.Seed, r.TC.RRC == profiles.RRCHold)
	if err != nil {
		return plan, nil, fmt.Errorf("profile %s on engine %s: %w", r.Profile, r.Engine, err)
	}
	for _, m := range missing {
		warnings = append(warnings, fmt.Sprintf("engine %s: %v", r.Engine, m))
	}
	for name, host := range map[string]TCPHost{"device": r.Stack.TCP.Device, "platform": r.Stack.TCP.Platform} {
		if r.Stack.usesTCP() && host.Personality != "linux" {
			warnings = append(warnings, fmt.Sprintf("engine %s: the %s's TCP is Linux's with the options, congestion control and buffers of %s, but its own timers", r.Engine, name, host.Personality))
		}
	}
	slices.Sort(warnings)
	return plan, warnings, nil
}

// drive is what the kernel imitates as the run goes on: outages, and the radio
// if the profile says so.
func (r *Run) drive(radio func(time.Time, netem.RadioState)) tc.Drive {
	model := r.Link
	if r.TC.RRC != profiles.RRCHold {
		model.Radio = nil
	}
	return tc.Drive{Model: model, Seed: r.Seed, Radio: radio}
}

// usesTCP reports whether the stack opens TCP connections.
func (s *Stack) usesTCP() bool {
	return s.Protocol == "tcp" || s.Protocol == "mqtt" || s.Protocol == "https"
}

// ReduceLink leaves of the run's link what the kernel's netem can do of it, so
// that every engine runs the same.
func (r *Run) ReduceLink() { r.Link = tc.Reduce(r.kernelLink()) }

// CheckKernel says whether a run can be planned for engines tc and vm at all.
func (r *Run) CheckKernel() error {
	_, _, err := r.KernelPlan()
	return err
}

func runKernel(ctx context.Context, run *Run, progress func(Progress)) (*measure.Result, error) {
	plan, warnings, err := run.KernelPlan()
	if err != nil {
		return run.failed(err), nil
	}
	var rec *measure.Recorder
	bed, err := tc.NewTestbed(tc.Config{
		Plan:     plan,
		Device:   kernelHost(deviceAddr[run.Stack.IP], run.Stack.TCP.Device),
		Platform: kernelHost(platformAddr[run.Stack.IP], run.Stack.TCP.Platform),
		Drive:    run.drive(func(at time.Time, state netem.RadioState) { rec.Radio(at, state) }),
		TCP: func(i tc.TCPInfo) {
			kind := eventTCP
			if i.Closed {
				kind = eventTCPClosed
			}
			rec.Event(measure.Event{Time: time.Now(), Kind: kind, Detail: i.String()})
		},
	})
	if err != nil {
		return nil, err
	}
	defer bed.Close()
	if err := bed.Verify(ctx); err != nil {
		return run.failed(err), nil
	}
	start := time.Now()
	rec = measure.NewRecorder(start, deviceAddr[run.Stack.IP])
	if err := bed.Start(start); err != nil {
		return run.failed(err), nil
	}
	stop := heartbeat(start, progress)
	defer stop()
	var doubt error
	var trace *measure.Trace
	var retransmissions int64 // in the window
	w := newWorld(run, rec, bed.Device(), bed.Platform())
	w.Faults = Faults{Outage: bed.Outage}
	note := w.Window
	w.Window = func(open bool) {
		note(open)
		retransmissions = int64(bed.Retransmissions()) - retransmissions
	}
	w.Halt = func() {
		var passages []tc.Passage
		passages, doubt = bed.Capture()
		replay(passages, rec)
		trace = rec.Trace()
	}
	out := perform(ctx, run, w)
	res := judge(run, trace, &out)
	res.Kernel = &measure.Kernel{TCPRetransmissions: retransmissions}
	res.Warnings = append(res.Warnings, warnings...)
	if doubt != nil {
		res.Warnings = append(res.Warnings, fmt.Sprintf("engine %s: %v", run.Engine, doubt))
	}
	return res, nil
}

// replay hands a capture to the recorder as a link would have.
func replay(passages []tc.Passage, tap netem.Tap) {
	for i, p := range passages {
		tap.Sent(p.Sent, uint64(i)+1, p.Dir, p.Data)
	}
	for i, p := range passages {
		switch {
		case p.Done.IsZero():
		case p.Lost != "":
			tap.Dropped(p.Done, uint64(i)+1, p.Lost)
		default:
			tap.Delivered(p.Done, uint64(i)+1)
		}
	}
}

// heartbeat reports progress on the run's clock until it is stopped.
func heartbeat(start time.Time, progress func(Progress)) (stop func()) {
	const every = 10 * time.Second
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				progress(Progress{Seconds: now.Sub(start).Seconds()})
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
