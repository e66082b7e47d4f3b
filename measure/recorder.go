package measure

import (
	"bytes"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// Kinds of events that are not a stack's own.
const (
	EventWindow = "window" // Detail is WindowOpens or WindowCloses
	EventRadio  = "radio"  // Detail is a netem.RadioState
)

// Details of EventWindow.
const (
	WindowOpens  = "start"
	WindowCloses = "end"
)

// Recorder collects the Trace of a run. It implements netem.Tap. Its methods
// may be called from any goroutine.
type Recorder struct {
	mu    sync.Mutex
	trace Trace
	keys  bytes.Buffer
}

var _ netem.Tap = (*Recorder)(nil)

// NewRecorder starts the trace of a device that is switched on at start. Until
// OpenWindow is called, nothing is inside the measured window.
func NewRecorder(start time.Time, device netip.Addr) *Recorder {
	return &Recorder{trace: Trace{
		Start: start, Device: device, FatesKnown: true,
		// A megabyte over NB-IoT: growing from nothing would copy it several
		// times over, and memory that is never touched costs nothing.
		Packets: make([]Packet, 0, 1<<12),
		Events:  make([]Event, 0, 1<<15),
	}}
}

// Sent implements netem.Tap. It keeps ip without copying it: a link passes
// packets on and never writes to one that was sent.
func (r *Recorder) Sent(now time.Time, id uint64, dir netem.Direction, ip []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id != uint64(len(r.trace.Packets))+1 {
		panic("measure: packet ids do not count from 1") // netem.Tap's contract
	}
	r.trace.Packets = append(r.trace.Packets, Packet{Time: now, Dir: dir, Data: ip})
}

// Delivered implements netem.Tap. Of a packet that the link duplicated, the
// first arrival counts.
func (r *Recorder) Delivered(now time.Time, id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.packet(id)
	if p.Done.IsZero() || p.Lost != "" {
		p.Done, p.Lost = now, ""
	}
}

// Dropped implements netem.Tap. A packet is lost only if none of its copies
// arrives.
func (r *Recorder) Dropped(now time.Time, id uint64, why netem.Drop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.packet(id); p.Done.IsZero() {
		p.Done, p.Lost = now, why
	}
}

func (r *Recorder) packet(id uint64) *Packet { return &r.trace.Packets[id-1] }

// Radio implements netem.Tap.
func (r *Recorder) Radio(now time.Time, state netem.RadioState) {
	r.Event(Event{Time: now, Kind: EventRadio, Detail: string(state)})
}

// Event notes an event.
func (r *Recorder) Event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trace.Events = append(r.trace.Events, e)
}

// OpenWindow begins the measured window: packets sent from now on count.
func (r *Recorder) OpenWindow(now time.Time) {
	r.Event(Event{Time: now, Kind: EventWindow, Detail: WindowOpens})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trace.WindowStart = now
}

// CloseWindow ends the measured window: packets sent from now on do not count.
func (r *Recorder) CloseWindow(now time.Time) {
	r.Event(Event{Time: now, Kind: EventWindow, Detail: WindowCloses})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trace.WindowEnd = now
}

// KeyLog takes TLS and DTLS secrets: a KeyLogWriter for any number of
// connections at once.
func (r *Recorder) KeyLog() io.Writer { return keyLogWriter{r} }

type keyLogWriter struct{ r *Recorder }

func (w keyLogWriter) Write(b []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.keys.Write(b)
}

// Trace returns what was recorded. Call it once, when the run is over: the
// trace is the recorder's own, and shares its packets' bytes with the link.
func (r *Recorder) Trace() *Trace {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.trace
	t.KeyLog = r.keys.Bytes()
	// The radio model may report what happened a moment ago.
	slices.SortStableFunc(t.Events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return t
}
