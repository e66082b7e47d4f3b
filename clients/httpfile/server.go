package httpfile

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Files are what a server offers, by path. The zero value is empty and ready.
type Files struct {
	mu     sync.RWMutex
	byPath map[string]*file
}

type file struct {
	data   []byte
	etag   string
	digest string
}

// Put offers data under path ("/image.bin"), replacing what was there, and
// returns its entity tag. The data must not change afterwards.
func (f *Files) Put(path string, data []byte) (etag string) {
	sum := sha256.Sum256(data)
	etag = ETag(sum)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byPath == nil {
		f.byPath = make(map[string]*file)
	}
	f.byPath[path] = &file{data: data, etag: etag, digest: digest(sum)}
	return etag
}

// Remove withdraws a file.
func (f *Files) Remove(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byPath, path)
}

// ETag is the strong entity tag of a file with the given SHA-256: its first 16
// bytes in hexadecimal, 34 characters with the quotes (RFC 9110 section 8.8.3).
func ETag(sum [sha256.Size]byte) string {
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// digest is the value of Repr-Digest (RFC 9530 section 3).
func digest(sum [sha256.Size]byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// ServeHTTP answers GET and HEAD with ranges and preconditions.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f.mu.RLock()
	file := f.byPath[r.URL.Path]
	f.mu.RUnlock()
	if file == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", file.etag)
	h.Set("Repr-Digest", file.digest)
	// No Last-Modified: the zero time leaves it out.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.data))
}

// Serve answers HTTP/1.1 requests, of Files or another handler, on the listener, over TLS if cfg is not nil,
// until close is called. close ends open connections at once and returns when
// the server's goroutines that serve them have ended.
func Serve(ln net.Listener, cfg *tls.Config, handler http.Handler) (close func() error) {
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	var conns sync.WaitGroup
	srv := &http.Server{
		Handler:   handler,
		ErrorLog:  log.New(io.Discard, "", 0), // a lost peer is the link's doing, not ours
		Protocols: new(http.Protocols),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			}
		},
	}
	srv.Protocols.SetHTTP1(true)
	stopped := make(chan error, 1)
	go func() {
		err := srv.Serve(ln)
		if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
			err = nil
		}
		stopped <- err
	}()
	return func() error {
		err := srv.Close()
		if errors.Is(err, net.ErrClosed) { // the host has lost its sockets
			err = nil
		}
		err = errors.Join(err, <-stopped)
		conns.Wait()
		return err
	}
}
