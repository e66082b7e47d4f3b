package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/thinlink/thinlink/clients"
)

// offer tells a device of firmware.
type offer struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// outcome is how an update ended.
type outcome struct {
	Path  string `json:"path"`
	Error string `json:"error,omitempty"`
}

// updates are the platform's offers.
type updates struct {
	mu    sync.Mutex
	count int
	ended map[string]chan outcome // by path
	data  map[string][]byte
}

// begin makes an offer of an image; end is told how it ended.
func (u *updates) begin(img clients.Image) (offer, <-chan outcome) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended == nil {
		u.ended, u.data = map[string]chan outcome{}, map[string][]byte{}
	}
	u.count++
	path := fmt.Sprintf("/firmware/%06d", u.count)
	done := make(chan outcome, 1)
	u.ended[path], u.data[path] = done, img.Data
	return offer{path, int64(len(img.Data)), hex.EncodeToString(img.SHA256[:])}, done
}

func (u *updates) image(path string) ([]byte, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	data, ok := u.data[path]
	return data, ok
}

// end takes a device's word.
func (u *updates) end(body []byte) error {
	var o outcome
	if err := json.Unmarshal(body, &o); err != nil {
		return err
	}
	u.mu.Lock()
	done := u.ended[o.Path]
	delete(u.ended, o.Path)
	delete(u.data, o.Path)
	u.mu.Unlock()
	if done != nil {
		done <- o
	}
	return nil
}

// wait waits for the end of an update.
func wait(ctx context.Context, ended <-chan outcome) error {
	select {
	case o := <-ended:
		if o.Error != "" {
			return errors.New(o.Error)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// download is firmware as far as it has come to the device.
type download struct {
	offer
	data []byte
}

// verify tells what is wrong with complete firmware.
func (d *download) verify() error {
	sum := sha256.Sum256(d.data)
	if got := hex.EncodeToString(sum[:]); got != d.SHA256 {
		return fmt.Errorf("SHA-256 does not match: image has %s, want %s", got, d.SHA256)
	}
	return nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("web: " + err.Error()) // our own types
	}
	return b
}
