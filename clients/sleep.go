package clients

import (
	"context"
	"time"
)

// Sleep waits for d, or until ctx ends, whose error it returns then. A d of 0
// or less only asks ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
