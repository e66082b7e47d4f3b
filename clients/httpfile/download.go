package httpfile

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/thinlink/thinlink/clients"
)

// Request names a file and the part of it that is wanted.
type Request struct {
	Host clients.Host // dials; ignored by Client.Download
	Addr string       // numeric address and port to dial
	Path string       // absolute path, as given to Files.Put
	TLS  *tls.Config  // nil for plain HTTP; ServerName becomes the Host header

	// Offset is the first byte wanted; above 0 the request carries Range
	// (RFC 9110 section 14.2).
	Offset int64
	// ETag, if not empty, is the file that Offset belongs to. If the server's
	// file has changed, it sends the whole new file (If-Range, RFC 9110
	// section 13.1.5), or with IfMatch refuses with 412 (section 13.1.1).
	ETag    string
	IfMatch bool

	// Stall ends a download when no byte has arrived for so long, be it of the
	// file, of its header or of the TLS handshake. 0: never.
	Stall time.Duration

	// Begin, if not nil, is told of the response before the first byte of the
	// file; an error from it ends the download.
	Begin func(Response) error
}

// Response is what the server said and how far the download got. It is valid
// together with an error, too.
type Response struct {
	Status   int    // HTTP status, 0 if none arrived
	ETag     string // entity tag, with quotes
	Size     int64  // bytes of the whole file
	Offset   int64  // where the data started: 0 if the server sent the whole file
	Received int64  // bytes of the file that arrived
	// SHA256 is the digest of the whole file from Repr-Digest (RFC 9530); nil
	// if the server sent none.
	SHA256 []byte
}

// ErrStalled is the cause of a download ended by Request.Stall.
var ErrStalled = errors.New("no data arrived")

// StatusError is a response that carries no file, such as 404 or 412.
type StatusError struct{ Code int }

func (e *StatusError) Error() string {
	return "server answered " + strconv.Itoa(e.Code) + " " + http.StatusText(e.Code)
}

// bufferSize holds a whole TLS record (RFC 8446 section 5.1: 2^14 bytes), so
// that one read hands over one record.
const bufferSize = 1 << 14

// Download fetches a file over a connection of its own, which it asks the
// server to close. chunk is valid during the call only; an error from it ends
// the download.
func Download(ctx context.Context, req Request, chunk func(offset int64, data []byte) error) (Response, error) {
	c := newClient(req.Host, req.TLS, true)
	defer c.Close()
	return c.Download(ctx, req, chunk)
}

// Client downloads files over connections that it keeps open between requests.
type Client struct {
	transport *http.Transport
	scheme    string
	name      string // host name of URLs; empty: that of the address
	addr      atomic.Pointer[string]
	alive     atomic.Pointer[func()] // called when bytes have arrived
}

// watched is a connection that tells of bytes that arrive. Below TLS, since a
// record of 16 KiB takes minutes on a slow link.
type watched struct {
	net.Conn
	c *Client
}

// Read implements net.Conn.
func (w watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 {
		(*w.c.alive.Load())()
	}
	return n, err
}

// NewClient makes a client that dials through the host; cfg nil is plain HTTP.
func NewClient(host clients.Host, cfg *tls.Config) *Client { return newClient(host, cfg, false) }

func newClient(host clients.Host, cfg *tls.Config, once bool) *Client {
	c := &Client{scheme: "http"}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	c.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := host.DialContext(ctx, network, *c.addr.Load())
			if err != nil {
				return nil, err
			}
			return watched{conn, c}, nil
		},
		TLSClientConfig:    cfg,
		Protocols:          protocols,
		DisableCompression: true,
		DisableKeepAlives:  once,
		MaxConnsPerHost:    1,
		ReadBufferSize:     bufferSize,
	}
	if cfg != nil {
		c.scheme, c.name = "https", cfg.ServerName
	}
	return c
}

// Close ends the idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

var nothing = func() {}

// Download fetches a file like the function of the same name. Downloads of one
// client run one at a time.
func (c *Client) Download(ctx context.Context, req Request, chunk func(offset int64, data []byte) error) (Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := nothing
	if req.Stall > 0 {
		t := time.AfterFunc(req.Stall, func() { cancel(ErrStalled) })
		defer t.Stop()
		alive = func() { t.Reset(req.Stall) }
	}
	c.alive.Store(&alive)
	defer c.alive.Store(&nothing)
	rsp, err := c.download(ctx, req, chunk)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = cause
		}
		err = fmt.Errorf("download %s: %w", req.Path, err)
	}
	return rsp, err
}

func (c *Client) download(ctx context.Context, req Request, chunk func(int64, []byte) error) (Response, error) {
	hreq, err := c.request(ctx, req)
	if err != nil {
		return Response{}, err
	}
	hrsp, err := c.transport.RoundTrip(hreq)
	if err != nil {
		return Response{}, err
	}
	defer hrsp.Body.Close()
	rsp, err := parse(hrsp, req.Offset)
	if err == nil && req.Begin != nil {
		err = req.Begin(rsp)
	}
	if err != nil {
		return rsp, err
	}
	buf := make([]byte, bufferSize)
	for {
		n, err := hrsp.Body.Read(buf)
		if n > 0 {
			if err := chunk(rsp.Offset+rsp.Received, buf[:n]); err != nil {
				return rsp, err
			}
			rsp.Received += int64(n)
		}
		if err == io.EOF {
			return rsp, nil
		} else if err != nil {
			return rsp, err
		}
	}
}

func (c *Client) request(ctx context.Context, req Request) (*http.Request, error) {
	c.addr.Store(&req.Addr)
	_, port, err := net.SplitHostPort(req.Addr)
	if err != nil {
		return nil, err
	}
	host := req.Addr
	if c.name != "" {
		host = net.JoinHostPort(c.name, port)
	}
	hreq, err := http.NewRequestWithContext(ctx, http.MethodGet, c.scheme+"://"+host+req.Path, nil)
	if err != nil {
		return nil, err
	}
	hreq.Header.Set("User-Agent", "thinlink")
	if req.Offset > 0 {
		hreq.Header.Set("Range", fmt.Sprintf("bytes=%d-", req.Offset))
		if req.ETag != "" && !req.IfMatch {
			hreq.Header.Set("If-Range", req.ETag)
		}
	}
	if req.ETag != "" && req.IfMatch {
		hreq.Header.Set("If-Match", req.ETag)
	}
	return hreq, nil
}

// parse reads the header of a response to a request from offset.
func parse(h *http.Response, offset int64) (Response, error) {
	r := Response{Status: h.StatusCode, ETag: h.Header.Get("ETag"), SHA256: parseDigest(h.Header.Get("Repr-Digest"))}
	switch h.StatusCode {
	case http.StatusOK:
		if h.ContentLength < 0 {
			return r, errors.New("response without Content-Length")
		}
		r.Size = h.ContentLength
		return r, nil
	case http.StatusPartialContent:
		first, size, err := parseContentRange(h.Header.Get("Content-Range"))
		if err != nil {
			return r, err
		}
		if first != offset {
			return r, fmt.Errorf("server sent bytes from %d, asked for %d", first, offset)
		}
		r.Offset, r.Size = first, size
		return r, nil
	}
	return r, &StatusError{h.StatusCode}
}

// parseContentRange reads "bytes first-last/size" with last = size - 1 (RFC
// 9110 section 14.4): nothing but an open range was asked for.
func parseContentRange(s string) (first, size int64, err error) {
	span, total, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	if !strings.HasPrefix(s, "bytes ") || !ok || !ok2 || err1 != nil || err2 != nil || err3 != nil ||
		first < 0 || first > last || last != size-1 {
		return 0, 0, fmt.Errorf("Content-Range %q: want bytes FIRST-LAST/SIZE to the file's end", s)
	}
	return first, size, nil
}

// parseDigest reads a Repr-Digest field that holds one SHA-256; nil if it does
// not.
func parseDigest(s string) []byte {
	b64, ok := strings.CutPrefix(s, "sha-256=:")
	if !ok || !strings.HasSuffix(b64, ":") {
		return nil
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(b64, ":"))
	if err != nil || len(sum) != sha256.Size {
		return nil
	}
	return sum
}
