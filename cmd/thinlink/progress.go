package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/measure"
)

// isTerminal reports whether w is a terminal that wants colours
// (https://no-color.org).
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// progress is one line on a terminal that says how far the runs are. On
// anything else it is silent.
type progress struct {
	mu      sync.Mutex
	w       io.Writer // nil: silent
	total   int
	ended   int
	start   time.Time
	current *lab.Run
	seconds float64 // of the current run, in its own clock
	drawn   time.Time
}

func newProgress(w io.Writer, total int) *progress {
	p := &progress{total: total, start: time.Now()}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

func (p *progress) started(run *lab.Run) { p.update(func() { p.current, p.seconds = run, 0 }) }

func (p *progress) done(*lab.Run, *measure.Result) { p.update(func() { p.ended++ }) }

func (p *progress) progress(run *lab.Run, pr lab.Progress) {
	p.update(func() { p.current, p.seconds = run, pr.Seconds })
}

// update changes the state and redraws at most twenty times a second.
func (p *progress) update(change func()) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	if time.Since(p.drawn) < 50*time.Millisecond || p.current == nil {
		return
	}
	p.drawn = time.Now()
	const width = 20
	full := width * p.ended / p.total
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %d/%d  %s %s %s seed %d  at %.0f s%s",
		strings.Repeat("#", full), strings.Repeat(".", width-full), p.ended, p.total,
		p.current.Profile, p.current.Scenario.Name, p.current.Stack.Name, p.current.Seed, p.seconds, p.left())
}

// left estimates the time to the end from the runs that have ended.
func (p *progress) left() string {
	if p.ended == 0 {
		return ""
	}
	d := time.Since(p.start) / time.Duration(p.ended) * time.Duration(p.total-p.ended)
	return fmt.Sprintf("  about %v left", d.Round(time.Second))
}

// clear wipes the line before something else is printed.
func (p *progress) clear() {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	io.WriteString(p.w, "\r\x1b[K")
}

func (p *progress) close() { p.clear() }
