package lwm2m

import (
	"context"
	"sync"

	"github.com/thinlink/thinlink/clients"
)

// board holds what the server's application knows, for steps to wait on.
type board struct {
	mu      sync.Mutex
	known   facts
	changed chan struct{} // closed at the next change
}

type facts struct {
	reg     *registration // explored last
	regErr  error         // how that ended
	reading clients.Reading
	state   FirmwareState
	result  FirmwareResult
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

func (b *board) get() facts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known
}

func (b *board) set(change func(*facts)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.known)
	close(b.changed)
	b.changed = make(chan struct{})
}

// wait returns when cond holds, or with the reason ctx has ended.
func (b *board) wait(ctx context.Context, cond func(facts) bool) error {
	for {
		b.mu.Lock()
		ok, changed := cond(b.known), b.changed
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
