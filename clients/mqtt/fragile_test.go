package mqtt

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"

	"github.com/thinlink/thinlink/clients/flash"
)

var errPower = errors.New("the power is cut")

// fragile is flash memory for one file whose power is cut when it has spent a
// budget: a byte written to the file costs 1, every other operation costs 1
// before it is done and 1 after. At the cut, of each sector written since the
// last Sync some hold the new bytes, some the old ones and some neither.
type fragile struct {
	mu      sync.Mutex
	left    int
	dead    bool
	onCut   func()
	rnd     *rand.Rand
	records map[string][]byte
	data    []byte // of the file
	synced  []byte
	written int // bytes, in all
}

func newFragile(budget int) *fragile {
	return &fragile{left: budget, rnd: rand.New(rand.NewPCG(uint64(budget), 1)), records: map[string][]byte{}}
}

// spend takes from the budget and returns for how much it lasted.
func (f *fragile) spend(n int) int {
	if f.dead {
		return 0
	}
	if f.left >= n {
		f.left -= n
		return n
	}
	n = f.left
	f.cut()
	return n
}

func (f *fragile) cut() {
	const sector = 64
	f.dead, f.left = true, 0
	for at := 0; at < len(f.data); at += sector {
		end := min(at+sector, len(f.data))
		if end <= len(f.synced) && bytes.Equal(f.data[at:end], f.synced[at:end]) {
			continue
		}
		switch f.rnd.IntN(3) {
		case 0:
			clear(f.data[at:end])
			if at < len(f.synced) {
				copy(f.data[at:end], f.synced[at:])
			}
		case 1:
			for i := at; i < end; i++ {
				if i >= len(f.synced) || f.data[i] != f.synced[i] { // written since
					f.data[i] = byte(f.rnd.Uint32())
				}
			}
		}
	}
	if len(f.data) > len(f.synced) {
		f.data = f.data[:len(f.synced)+f.rnd.IntN(len(f.data)-len(f.synced)+1)]
	} else if f.rnd.IntN(2) == 0 { // a truncation that did not last
		f.data = append(f.data, f.synced[len(f.data):]...)
	}
	if f.onCut != nil {
		f.onCut()
	}
}

// revive gives power again.
func (f *fragile) revive(budget int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead, f.left, f.synced = false, budget, bytes.Clone(f.data)
}

// do does something at once, if the power lasts.
func (f *fragile) do(op func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.spend(1) < 1 {
		return errPower
	}
	op()
	if f.spend(1) < 1 {
		return errPower
	}
	return nil
}

func (f *fragile) Load(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, ok := f.records[name]
	if f.dead {
		return nil, errPower
	} else if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(data), nil
}

func (f *fragile) Save(name string, data []byte) error {
	return f.do(func() { f.records[name] = bytes.Clone(data); f.written += len(data) })
}
func (f *fragile) Remove(name string) error        { return f.do(func() { delete(f.records, name) }) }
func (f *fragile) Open(string) (flash.File, error) { return fragileFile{f}, f.do(func() {}) }
func (f fragileFile) Truncate(size int64) error    { return f.do(func() { f.resize(size) }) }
func (f fragileFile) Sync() error                  { return f.do(func() { f.synced = bytes.Clone(f.data) }) }
func (f fragileFile) Close() error                 { return nil }
func (f *fragile) resize(size int64) {
	f.data = append(f.data, make([]byte, max(0, int(size)-len(f.data)))...)[:size]
}

type fragileFile struct{ *fragile }

func (f fragileFile) Size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f fragileFile) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return 0, errPower
	}
	n := copy(b, f.data[min(off, int64(len(f.data))):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f fragileFile) WriteAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return 0, errPower
	}
	f.resize(max(int64(len(f.data)), off+int64(len(b))))
	n := min(len(b), f.left)
	f.written += n
	copy(f.data[off:], b[:n])
	if f.spend(len(b)) < len(b) {
		return n, errPower
	}
	return n, nil
}
