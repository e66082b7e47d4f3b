package clients

import "sync"

// Arrivals lets steps wait for readings that reach a platform's application.
// The zero value is ready.
type Arrivals struct {
	mu      sync.Mutex
	awaited map[string]awaited // by device
}

type awaited struct {
	reading Reading
	arrived chan struct{}
}

// Await is Platform.Await.
func (a *Arrivals) Await(device string, r Reading) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.awaited == nil {
		a.awaited = make(map[string]awaited)
	}
	w := awaited{r, make(chan struct{})}
	a.awaited[device] = w
	return w.arrived
}

// Arrived is told of every reading that arrives.
func (a *Arrivals) Arrived(device string, r Reading) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.awaited[device]; ok && w.reading == r {
		delete(a.awaited, device)
		close(w.arrived)
	}
}
