package remote

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
)

// platform is one that does as it is told and remembers it.
type platform struct {
	clients.Arrivals
	mu     sync.Mutex
	said   []string
	record func(clients.Event)
	closed chan struct{}
}

func (p *platform) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, s)
}

func (p *platform) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, ", ")
}

func (p *platform) Connected(_ context.Context, device string) error {
	p.note("connected " + device)
	return nil
}

func (p *platform) Await(device string, r clients.Reading) (<-chan struct{}, error) {
	return p.Arrivals.Await(device, r), nil
}

func (p *platform) Command(_ context.Context, device string, v int64) error {
	if v < 0 {
		return errors.New("negative")
	}
	p.note("command " + device)
	p.record(clients.Event{Kind: clients.EventState, Detail: "sent"})
	return nil
}

// Update waits until the client is gone.
func (p *platform) Update(ctx context.Context, _ string, img clients.Image) error {
	p.note("update " + img.Version + " " + string(img.Data))
	<-ctx.Done()
	return ctx.Err()
}

func (p *platform) Restart(context.Context) error { p.note("restart"); return nil }
func (p *platform) Close() error                  { close(p.closed); return nil }

// serve starts a server of one platform on the loopback.
func serve(t *testing.T) (p *platform, srv *Server, address string) {
	t.Helper()
	p = &platform{closed: make(chan struct{})}
	srv, err := NewServer(func(spec json.RawMessage, record func(clients.Event)) (*Opened, error) {
		if string(spec) != `"mine"` {
			return nil, errors.New("no such stack")
		}
		p.record = record
		record(clients.Event{Kind: clients.EventState, Detail: "opened"})
		return &Opened{
			Platform: p, Site: clients.Site{Ports: map[uint16]uint16{443: 8443}},
			PKI: &pki.Material{Root: []byte("root")}, Close: p.Close,
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return p, srv, ln.Addr().String()
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing happened", what)
	}
}

func TestPlatform(t *testing.T) {
	p, srv, address := serve(t)
	ctx := t.Context()
	conn, err := Dial(ctx, address, srv.Token())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Open(ctx, "another", nil); err == nil || !strings.Contains(err.Error(), "no such stack") {
		t.Errorf("open: %v", err)
	}
	events := make(chan clients.Event, 10)
	r, err := conn.Open(ctx, "mine", func(e clients.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	if got := (&clients.Env{Site: r.Site}).At(443); got != netip.MustParseAddrPort("127.0.0.1:8443") || string(r.PKI.Root) != "root" {
		t.Errorf("site %v, material %v", got, r.PKI)
	}
	reading := clients.Reading{Text: "a", Integer: 1, Float: .5, Boolean: true}
	arrived, err := r.Await("d", reading)
	if err != nil {
		t.Fatal(err)
	}
	p.Arrived("d", clients.Reading{Text: "another"})
	select {
	case <-arrived:
		t.Error("another reading was taken for the one awaited")
	case <-time.After(10 * time.Millisecond):
	}
	p.Arrived("d", reading)
	wait(t, "the reading", arrived)
	if err := errors.Join(r.Connected(ctx, "d"), r.Command(ctx, "d", 1), r.Restart(ctx)); err != nil {
		t.Error(err)
	}
	if err := r.Command(ctx, "d", -1); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Errorf("command: %v", err)
	}
	for _, want := range []string{"opened", "sent"} {
		if e := <-events; e.Detail != want {
			t.Errorf("event %v, want %s", e, want)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := r.Update(bounded, "d", clients.Image{Version: "2", Data: []byte("bits")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("update: %v", err)
	}
	conn.rpc.Close() // the update is still under way
	wait(t, "end of the platform", p.closed)
	wait(t, "end of the channel", conn.Lost())
	if err := r.Command(ctx, "d", 1); !errors.Is(err, ErrLost) {
		t.Errorf("command over a lost channel: %v", err)
	}
	if got, want := p.all(), "connected d, command d, restart, update 2 bits"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A client can end its platform and open another.
func TestReopen(t *testing.T) {
	p, srv, address := serve(t)
	conn, err := Dial(t.Context(), address, srv.Token())
	if err != nil {
		t.Fatal(err)
	}
	r, err := conn.Open(t.Context(), "mine", func(clients.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Open(t.Context(), "mine", nil); err == nil {
		t.Error("opened twice")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	wait(t, "end of the platform", p.closed)
}

// Strangers get nothing, and nobody but the platform gets the secret.
func TestStrangers(t *testing.T) {
	_, srv, address := serve(t)
	wrong := srv.Token()
	wrong.secret[3]++
	if _, err := Dial(t.Context(), address, wrong); !errors.Is(err, ErrToken) {
		t.Errorf("wrong secret: %v", err)
	}
	wrong = srv.Token()
	wrong.server[3]++
	if _, err := Dial(t.Context(), address, wrong); !errors.Is(err, errWrongServer) {
		t.Errorf("wrong server: %v", err)
	}
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	plain.Write([]byte(`{"method":"Platform.Open","params":["mine"],"id":0}` + "\n"))
	plain.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 100)
	for {
		n, err := plain.Read(b)
		if strings.Contains(string(b[:n]), "result") {
			t.Errorf("a stranger is answered: %s", b[:n])
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Error("a stranger keeps its connection")
		}
		if err != nil {
			break
		}
	}
}

// Whoever connects and says nothing holds one of a bounded number of places.
func TestCrowd(t *testing.T) {
	_, srv, address := serve(t)
	for range maxConns + 1 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := Dial(ctx, address, srv.Token()); err == nil {
		t.Error("there is always room")
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if n := len(srv.conns); n > maxConns {
		t.Errorf("%d connections", n)
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(Token{}.String())
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB")
	f.Fuzz(func(t *testing.T, s string) {
		if token, err := ParseToken(s); err == nil && token.String() != s {
			t.Errorf("%q was read as %q", s, token)
		}
	})
}
