package lab

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/internal/units"
)

// Interruption is something that goes wrong during a firmware update, at a
// time or at a share of the image. Text: KIND@WHEN[:DURATION], for example
// outage@50%:90s, reboot@70%, rebind@2m.
type Interruption struct {
	Kind string
	// At is the time after the window's start; if Fraction is above 0 it is
	// instead the share of the image that the device has.
	At       time.Duration
	Fraction units.Fraction
	Duration time.Duration
}

// The kinds of interruptions, and how long each lasts unless it says so; 0 is
// an instant.
var interruptionKinds = map[string]struct {
	doc      string
	duration time.Duration
}{
	"outage":   {"the link carries nothing", 90 * time.Second},
	"window":   {"a satellite sets: the link carries nothing until the next pass", 85 * time.Minute},
	"psm":      {"the modem sleeps: the link carries nothing, the device keeps its state", 10 * time.Minute},
	"reboot":   {"the device loses power; its flash remains", 10 * time.Second},
	"platform": {"the platform's sockets vanish and it starts again", 5 * time.Second},
	"rebind":   {"the address the platform sees changes", 0},
}

func (i Interruption) String() string {
	at := units.FormatDuration(i.At)
	if i.Fraction > 0 {
		at = i.Fraction.String()
	}
	if i.Duration == 0 {
		return i.Kind + "@" + at
	}
	return i.Kind + "@" + at + ":" + units.FormatDuration(i.Duration)
}

// MarshalText implements encoding.TextMarshaler.
func (i Interruption) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Interruption) UnmarshalText(text []byte) error {
	kind, rest, ok := strings.Cut(string(text), "@")
	at, duration, long := strings.Cut(rest, ":")
	known, exists := interruptionKinds[kind]
	if !ok || !exists {
		return fmt.Errorf("want KIND@WHEN[:DURATION] with a kind of %s, for example outage@50%%:90s or reboot@2m", strings.Join(interruptionNames(), ", "))
	}
	*i = Interruption{Kind: kind, Duration: known.duration}
	var err error
	if strings.HasSuffix(at, "%") {
		if i.Fraction, err = units.ParseFraction(at); err == nil && i.Fraction <= 0 {
			err = fmt.Errorf("want a share above 0%%")
		}
	} else if i.At, err = units.ParseDuration(at); err == nil && i.At < 0 {
		err = fmt.Errorf("want a time of at least 0s")
	}
	if err != nil {
		return fmt.Errorf("when %s: %w", strconv.Quote(at), err)
	}
	if !long {
		return nil
	}
	if known.duration == 0 {
		return fmt.Errorf("%s is an instant: want no duration", kind)
	}
	if i.Duration, err = units.ParseDuration(duration); err == nil && i.Duration <= 0 {
		err = fmt.Errorf("want a duration above 0s")
	}
	if err != nil {
		return fmt.Errorf("duration %s: %w", strconv.Quote(duration), err)
	}
	return nil
}

// TextForm says what an Interruption looks like.
func (Interruption) TextForm() (noun, example, pattern string) {
	return "an interruption", "outage@50%:90s", `^(` + strings.Join(interruptionNames(), "|") + `)@[0-9.]+[a-z%0-9.]*(:[0-9.]+[a-z0-9.]*)?$`
}

func interruptionNames() []string {
	var names []string
	for name := range interruptionKinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ParseInterruptions reads a list as --interrupt takes it, separated by
// commas.
func ParseInterruptions(list string) ([]Interruption, error) {
	var all []Interruption
	for _, text := range strings.Split(list, ",") {
		var i Interruption
		if err := i.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
			return nil, fmt.Errorf("--interrupt %q: %w", text, err)
		}
		all = append(all, i)
	}
	return all, nil
}

// Faults are what an engine can do to a run's network. nil is what it cannot.
type Faults struct {
	Outage        func(time.Duration) error
	ResetDevice   func() // all sockets vanish without a word
	ResetPlatform func()
	Rebind        func()
}

// An interrupter watches a run and interrupts it, one interruption at a time,
// in the order in which they become due.
type interrupter struct {
	opened  time.Time
	now     func() time.Time
	faults  Faults
	session *clients.Session
	record  func(clients.Event)
	size    int64
	pending []Interruption

	mu    sync.Mutex
	first int64 // image bytes up to here have arrived at least once
	due   []Interruption
	wake  chan struct{}
}

// Events that mark the start and the end of an interruption.
const (
	eventInterrupt    = "interrupt"
	eventInterruptEnd = "interrupt.end"
)

// newInterrupter takes times from opened on.
func newInterrupter(w *World, session *clients.Session, list []Interruption, size int64, opened time.Time) *interrupter {
	return &interrupter{
		opened: opened, now: w.Now, faults: w.Faults, session: session, record: w.Record, size: size,
		pending: slices.Clone(list), wake: make(chan struct{}, 1),
	}
}

// observe is told of every event; image bytes make shares due.
func (i *interrupter) observe(e clients.Event) {
	if e.Kind != clients.EventOTAData {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	// Blocks may arrive in any order: the farthest byte tells how far it is.
	i.first = max(i.first, e.Offset+e.Length)
	i.pending = slices.DeleteFunc(i.pending, func(p Interruption) bool {
		if p.Fraction == 0 || float64(i.first) < float64(p.Fraction)*float64(i.size) {
			return false
		}
		i.enqueue(p)
		return true
	})
}

func (i *interrupter) enqueue(p Interruption) {
	i.due = append(i.due, p)
	select {
	case i.wake <- struct{}{}:
	default: // awake already
	}
}

// run interrupts until ctx ends, which is no error.
func (i *interrupter) run(ctx context.Context) error {
	i.mu.Lock()
	for _, p := range i.pending {
		if p.Fraction == 0 {
			t := time.AfterFunc(p.At-i.now().Sub(i.opened), func() {
				i.mu.Lock()
				defer i.mu.Unlock()
				i.enqueue(p)
			})
			defer t.Stop()
		}
	}
	i.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-i.wake:
		}
		for {
			i.mu.Lock()
			if len(i.due) == 0 {
				i.mu.Unlock()
				break
			}
			p := i.due[0]
			i.due = i.due[1:]
			i.mu.Unlock()
			i.record(clients.Event{Kind: eventInterrupt, Detail: p.String()})
			if err := i.carryOut(ctx, p); err != nil && ctx.Err() == nil {
				return fmt.Errorf("interruption %s: %w", p, err)
			}
			i.record(clients.Event{Kind: eventInterruptEnd, Detail: p.String()})
		}
	}
}

func (i *interrupter) carryOut(ctx context.Context, p Interruption) error {
	switch p.Kind {
	case "outage", "window", "psm":
		return i.outage(ctx, p.Duration)
	case "reboot":
		if i.faults.ResetDevice == nil {
			return fmt.Errorf("this engine cannot reboot a device")
		}
		i.faults.ResetDevice()
		i.session.PowerOff()
		if err := i.outage(ctx, p.Duration); err != nil {
			return err
		}
		return i.session.PowerOn(ctx)
	case "platform":
		if i.faults.ResetPlatform == nil {
			return fmt.Errorf("this engine cannot restart a platform")
		}
		i.faults.ResetPlatform()
		if err := clients.Sleep(ctx, p.Duration); err != nil {
			return err
		}
		return i.session.Platform.Restart(ctx)
	case "rebind":
		if i.faults.Rebind == nil {
			return fmt.Errorf("this engine has no address translation")
		}
		i.faults.Rebind()
		return nil
	}
	panic("lab: interruption of unknown kind " + p.Kind)
}

func (i *interrupter) outage(ctx context.Context, d time.Duration) error {
	if i.faults.Outage == nil {
		return fmt.Errorf("this engine cannot interrupt its link")
	}
	if err := i.faults.Outage(d); err != nil {
		return err
	}
	return clients.Sleep(ctx, d)
}
