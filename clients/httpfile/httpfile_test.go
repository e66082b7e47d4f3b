package httpfile_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thinlink/thinlink/clients/httpfile"
	"github.com/thinlink/thinlink/clients/internal/memhost"
	"github.com/thinlink/thinlink/clients/pki"
)

// world is a server with one file, and a device that wants it.
type world struct {
	t                *testing.T
	device, platform *memhost.Host
	files            httpfile.Files
	data             []byte
	req              httpfile.Request
	stop             func() error
}

func newWorld(t *testing.T, size int) *world {
	t.Helper()
	w := &world{t: t, data: make([]byte, size)}
	rand.NewChaCha8([32]byte{1}).Read(w.data)
	w.device, w.platform = memhost.Pair(100 * time.Millisecond)
	ln, err := w.platform.Listen("tcp", "10.0.0.1:443")
	if err != nil {
		t.Fatal(err)
	}
	serverTLS, deviceTLS := configs(t)
	w.req = httpfile.Request{Host: w.device, Addr: "10.0.0.1:443", Path: "/fw.bin", TLS: deviceTLS}
	w.req.ETag = w.files.Put("/fw.bin", w.data)
	w.stop = httpfile.Serve(ln, serverTLS, &w.files)
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return w
}

var material, materialErr = pki.New(pki.Options{Key: pki.P256, Chain: 2})

func configs(t *testing.T) (server, device *tls.Config) {
	t.Helper()
	if materialErr != nil {
		t.Fatal(materialErr)
	}
	cert, err := material.Server.TLS()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := material.Pool()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: pool, ServerName: pki.ServerName}
}

// get downloads and checks that chunks are contiguous.
func (w *world) get(ctx context.Context) ([]byte, httpfile.Response, error) {
	var got []byte
	first := int64(-1)
	rsp, err := httpfile.Download(ctx, w.req, func(offset int64, chunk []byte) error {
		if first < 0 {
			first = offset
		}
		if offset != first+int64(len(got)) {
			w.t.Errorf("chunk at %d, want %d", offset, first+int64(len(got)))
		}
		got = append(got, chunk...)
		return nil
	})
	return got, rsp, err
}

func TestWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1<<20)
		got, rsp, err := w.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(w.data)
		if !bytes.Equal(got, w.data) {
			t.Error("wrong data")
		}
		if rsp.Status != 200 || rsp.Offset != 0 || rsp.Size != 1<<20 || rsp.Received != 1<<20 ||
			rsp.ETag != w.req.ETag || !bytes.Equal(rsp.SHA256, sum[:]) {
			t.Errorf("response %+v", rsp)
		}
	})
}

func TestResume(t *testing.T) {
	for _, ifMatch := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 100_000)
			w.req.Offset, w.req.IfMatch = 65_536, ifMatch
			got, rsp, err := w.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, w.data[65_536:]) {
				t.Error("wrong data")
			}
			if rsp.Status != 206 || rsp.Offset != 65_536 || rsp.Size != 100_000 || rsp.Received != 34_464 {
				t.Errorf("response %+v", rsp)
			}
		})
	}
}

func TestResumeChangedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1000)
		changed := bytes.Repeat([]byte{7}, 1200)
		w.files.Put("/fw.bin", changed)
		w.req.Offset = 500
		got, rsp, err := w.get(t.Context())
		if err != nil || rsp.Status != 200 || rsp.Offset != 0 || !bytes.Equal(got, changed) {
			t.Errorf("If-Range: %d bytes, %+v, %v; want the whole new file", len(got), rsp, err)
		}
		w.req.IfMatch = true
		var status *httpfile.StatusError
		if _, _, err = w.get(t.Context()); !errors.As(err, &status) || status.Code != http.StatusPreconditionFailed {
			t.Errorf("If-Match: %v, want 412", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1000)
		var status *httpfile.StatusError
		w.req.Offset = 1000
		if _, _, err := w.get(t.Context()); !errors.As(err, &status) || status.Code != 416 {
			t.Errorf("offset at the end: %v, want 416", err)
		}
		w.req.Offset, w.req.Path = 0, "/other"
		if _, _, err := w.get(t.Context()); !errors.As(err, &status) || status.Code != 404 {
			t.Errorf("unknown path: %v, want 404", err)
		}
		w.req.Addr = "10.0.0.1:444"
		if _, _, err := w.get(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("closed port: %v", err)
		}
	})
}

func TestCutAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 300_000)
		stop := errors.New("enough")
		var got []byte
		rsp, err := httpfile.Download(t.Context(), w.req, func(_ int64, chunk []byte) error {
			got = append(got, chunk...)
			if len(got) > 100_000 {
				w.device.Cut()
			}
			return nil
		})
		if err == nil || rsp.Received != int64(len(got)) || len(got) == len(w.data) {
			t.Fatalf("cut: %+v with %d bytes, %v", rsp, len(got), err)
		}
		w.req.Offset = rsp.Received
		rest, _, err := w.get(t.Context())
		if err != nil || !bytes.Equal(append(got, rest...), w.data) {
			t.Errorf("resumed: %v, %d + %d bytes", err, len(got), len(rest))
		}
		if _, err := httpfile.Download(t.Context(), w.req, func(int64, []byte) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("error of the callback: %v", err)
		}
	})
}

func TestStallAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, platform := memhost.Pair(time.Second)
		ln, err := platform.Listen("tcp", "10.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { // a server that accepts and says nothing
			defer close(done)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go io.Copy(io.Discard, c)
			}
		}()
		req := httpfile.Request{Host: device, Addr: "10.0.0.1:80", Path: "/", Stall: time.Minute}
		nothing := func(int64, []byte) error { return nil }
		start := time.Now()
		if _, err := httpfile.Download(t.Context(), req, nothing); !errors.Is(err, httpfile.ErrStalled) {
			t.Errorf("stall: %v", err)
		}
		if d := time.Since(start); d != time.Minute {
			t.Errorf("stalled after %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := httpfile.Download(ctx, req, nothing); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		ln.Close()
		<-done
		time.Sleep(2 * time.Second) // the clients' closing is under way
	})
}

// countingHost counts dials.
type countingHost struct {
	*memhost.Host
	dials int
}

func (h *countingHost) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	h.dials++
	return h.Host.DialContext(ctx, network, address)
}

func TestClientKeepsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5000)
		host := &countingHost{Host: w.device}
		c := httpfile.NewClient(host, w.req.TLS)
		defer c.Close()
		for range 3 {
			if _, err := c.Download(t.Context(), w.req, func(int64, []byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if host.dials != 1 {
			t.Errorf("%d dials, want 1", host.dials)
		}
	})
}

// Begin sees the response before any data and can end the download.
func TestBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100_000)
		var begun []httpfile.Response
		w.req.Begin = func(r httpfile.Response) error { begun = append(begun, r); return nil }
		w.req.Offset = 40_000
		if _, _, err := w.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(begun) != 1 || begun[0].Offset != 40_000 || begun[0].Size != 100_000 || begun[0].ETag != w.req.ETag || begun[0].Received != 0 {
			t.Errorf("begun %+v", begun)
		}
		refused := errors.New("not this one")
		w.req.Begin = func(httpfile.Response) error { return refused }
		if got, _, err := w.get(t.Context()); !errors.Is(err, refused) || len(got) > 0 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		w.req.Path = "/other"
		w.req.Begin = func(httpfile.Response) error { t.Error("404 begins a file"); return nil }
		if _, _, err := w.get(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

// Bytes below TLS keep a download alive: a record that takes longer than Stall
// is no stall.
func TestSlowRecordIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 300_000)
		w.req.Host = slowHost{w.device}
		w.req.Stall = 3 * time.Second // of up to 16 that a record takes
		start := time.Now()
		got, _, err := w.get(t.Context())
		if err != nil || !bytes.Equal(got, w.data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if d := time.Since(start); d < 5*time.Minute {
			t.Errorf("took %v only", d)
		}
	})
}

// slowHost reads 1000 bytes a second.
type slowHost struct{ *memhost.Host }

type slowConn struct{ net.Conn }

func (h slowHost) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := h.Host.DialContext(ctx, network, address)
	return slowConn{c}, err
}

func (c slowConn) Read(b []byte) (int, error) {
	time.Sleep(time.Second)
	return c.Conn.Read(b[:min(len(b), 1000)])
}

func TestOtherMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		tr := &http.Transport{TLSClientConfig: w.req.TLS, DialContext: w.device.DialContext, DisableKeepAlives: true}
		for method, want := range map[string]int{"HEAD": 200, "POST": 405, "DELETE": 405} {
			r, err := http.NewRequestWithContext(t.Context(), method, "https://10.0.0.1:443/fw.bin", nil)
			if err != nil {
				t.Fatal(err)
			}
			rsp, err := tr.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			if rsp.Body.Close(); rsp.StatusCode != want {
				t.Errorf("%s: %d, want %d", method, rsp.StatusCode, want)
			}
		}
	})
}

func TestPlainHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, platform := memhost.Pair(0)
		ln, err := platform.Listen("tcp", "10.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		var files httpfile.Files
		files.Put("/a", []byte("hello"))
		stop := httpfile.Serve(ln, nil, &files)
		defer stop()
		var got string
		_, err = httpfile.Download(t.Context(), httpfile.Request{Host: device, Addr: "10.0.0.1:80", Path: "/a"},
			func(_ int64, b []byte) error { got += string(b); return nil })
		if err != nil || got != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func BenchmarkDownload1MiB(b *testing.B) {
	device, platform := memhost.Pair(0)
	ln, err := platform.Listen("tcp", "10.0.0.1:443")
	if err != nil {
		b.Fatal(err)
	}
	cert, err := material.Server.TLS()
	if err != nil {
		b.Fatal(err)
	}
	pool, err := material.Pool()
	if err != nil {
		b.Fatal(err)
	}
	var files httpfile.Files
	files.Put("/fw.bin", make([]byte, 1<<20))
	stop := httpfile.Serve(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}, &files)
	defer stop()
	req := httpfile.Request{Host: device, Addr: "10.0.0.1:443", Path: "/fw.bin", TLS: &tls.Config{RootCAs: pool, ServerName: pki.ServerName}}
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := httpfile.Download(b.Context(), req, func(int64, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
