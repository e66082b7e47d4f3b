package lwm2m

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// testServer is a registry reached over plain CoAP by one client.
type testServer struct {
	t        *testing.T
	registry *registry
	client   *coap.Conn

	mu                  sync.Mutex
	registered, expired []*registration
}

func (s *testServer) note(list *[]*registration, r *registration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, r)
}

// told is how many registrations were reported as new and as expired.
func (s *testServer) told() (registered, expired int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.registered), len(s.expired)
}

func inRegistry(t *testing.T, identity string, f func(*testServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &testServer{t: t}
		s.registry = newRegistry(0, content.V11, time.Minute,
			func(r *registration) { s.note(&s.registered, r) },
			func(r *registration) { s.note(&s.expired, r) })
		s.connect(identity)
		f(s)
		s.client.Close()
		s.registry.close()
	})
}

// connect begins another session with the server.
func (s *testServer) connect(identity string) {
	if s.client != nil {
		s.client.Close()
	}
	srv := &server{registry: s.registry, packages: &packages{byPath: map[string]*pack{}}}
	near, far := newPipe()
	s.client = coap.NewConn(near, coap.Config{}, nil)
	serving := coap.NewConn(far, coap.Config{}, coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		return srv.answer(r, identity)
	}))
	go s.client.Serve()
	go func() {
		serving.Serve()
	}()
}

// pipeConn is one end of a lossless pipe of datagrams.
type pipeConn struct {
	net.Conn
	in, out chan []byte
	done    chan struct{}
}

func newPipe() (near, far *pipeConn) {
	a, b, done := make(chan []byte, 16), make(chan []byte, 16), make(chan struct{})
	return &pipeConn{in: a, out: b, done: done}, &pipeConn{in: b, out: a, done: done}
}

func (p *pipeConn) Read(b []byte) (int, error) {
	select {
	case d := <-p.in:
		return copy(b, d), nil
	case <-p.done:
		return 0, net.ErrClosed
	}
}

func (p *pipeConn) Write(b []byte) (int, error) {
	p.out <- append([]byte(nil), b...)
	return len(b), nil
}

func (p *pipeConn) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (s *testServer) do(method codes.Code, path, payload string, queries ...string) *coap.Response {
	s.t.Helper()
	req := coap.NewRequest(method, path, queries...)
	if payload != "" {
		req.WithPayload(coap.LinkFormat, []byte(payload))
	}
	resp, err := s.client.Do(s.t.Context(), req)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

const testLinks = "</>;rt=oma.lwm2m,</1/0>,</3/0>"

func TestRegister(t *testing.T) {
	for _, test := range []struct {
		what, payload string
		queries       []string
		want          string
	}{
		{"1.1", testLinks, []string{"lwm2m=1.1", "ep=a", "lt=60", "b=U"}, "2.01"},
		{"1.0", testLinks, []string{"lwm2m=1.0", "ep=a"}, "2.01"},
		{"1.2", testLinks, []string{"lwm2m=1.2", "ep=a"}, "4.12"},
		{"no version", testLinks, []string{"ep=a"}, "4.12"},
		{"no endpoint", testLinks, []string{"lwm2m=1.1"}, "4.00"},
		{"no objects", "", []string{"lwm2m=1.1", "ep=a"}, "4.00"},
		{"malformed objects", "</1/0", []string{"lwm2m=1.1", "ep=a"}, "4.00"},
		{"malformed lifetime", testLinks, []string{"lwm2m=1.1", "ep=a", "lt=x"}, "4.00"},
		{"no lifetime", testLinks, []string{"lwm2m=1.1", "ep=a", "lt=0"}, "4.00"},
		{"unknown parameter", testLinks, []string{"lwm2m=1.1", "ep=a", "x=1"}, "4.00"},
		{"somebody else's name", testLinks, []string{"lwm2m=1.1", "ep=b"}, "4.03"},
	} {
		inRegistry(t, "a", func(s *testServer) {
			resp := s.do(codes.POST, "/rd", test.payload, test.queries...)
			if got := coap.CodeString(resp.Code); got != test.want {
				t.Errorf("%s: %s, want %s", test.what, got, test.want)
			}
			if n, _ := s.told(); n != len(s.registry.byEndpoint) || (n == 1) != (test.want == "2.01") {
				t.Errorf("%s: %d registrations", test.what, n)
			}
		})
	}
}

func (s *testServer) register(ep string, lifetime string) string {
	s.t.Helper()
	resp := s.do(codes.POST, "/rd", testLinks, "lwm2m=1.1", "ep="+ep, "lt="+lifetime, "b=U")
	if resp.Code != codes.Created {
		s.t.Fatalf("register %s: %s", ep, coap.CodeString(resp.Code))
	}
	return resp.LocationPath()
}

func TestRegistrationLife(t *testing.T) {
	inRegistry(t, "", func(s *testServer) {
		location := s.register("a", "60")
		if location != "/rd/0001" {
			t.Errorf("location %s", location)
		}
		pass(59 * time.Second)
		if resp := s.do(codes.POST, location, ""); resp.Code != codes.Changed {
			t.Errorf("update: %s", coap.CodeString(resp.Code))
		}
		pass(59 * time.Second)
		if _, expired := s.told(); expired != 0 {
			t.Error("expired in spite of an update")
		}
		s.do(codes.POST, location, "</3/0>,</5/0>", "lt=120")
		pass(119 * time.Second)
		_, expired := s.told()
		if reg := s.registered[0]; expired != 0 || !reg.offers(model.NewPath(5)) || reg.offers(model.NewPath(1)) {
			t.Errorf("new lifetime and objects: %d expired, %v", expired, reg.links)
		}
		pass(2 * time.Second)
		if _, expired = s.told(); expired != 1 || len(s.registry.byEndpoint) != 0 || len(s.registry.byLocation) != 0 {
			t.Errorf("%d expired", expired)
		}
	})
}

func TestUpdateRefused(t *testing.T) {
	inRegistry(t, "a", func(s *testServer) {
		location := s.register("a", "60")
		for _, test := range []struct {
			path, query, want string
		}{
			{"/rd/0002", "lt=60", "4.04"}, {location, "ep=a", "4.00"}, {location, "lt=0", "4.00"}, {location, "lwm2m=1.1", "4.00"},
		} {
			if resp := s.do(codes.POST, test.path, "", test.query); coap.CodeString(resp.Code) != test.want {
				t.Errorf("%v: %s", test, coap.CodeString(resp.Code))
			}
		}
		if resp := s.do(codes.GET, location, ""); resp.Code != codes.MethodNotAllowed {
			t.Errorf("GET: %s", coap.CodeString(resp.Code))
		}
		if resp := s.do(codes.GET, "/else", ""); resp.Code != codes.NotFound {
			t.Errorf("GET elsewhere: %s", coap.CodeString(resp.Code))
		}
		// Another device cannot touch it.
		s.connect("b")
		for _, method := range []codes.Code{codes.POST, codes.DELETE} {
			if resp := s.do(method, location, ""); resp.Code != codes.NotFound {
				t.Errorf("%v by another device: %s", method, coap.CodeString(resp.Code))
			}
		}
	})
}

func TestRegistrationReplaced(t *testing.T) {
	inRegistry(t, "", func(s *testServer) {
		first := s.register("a", "60")
		second := s.register("a", "600")
		if first == second || len(first) != len(second) || len(s.registry.byLocation) != 1 {
			t.Errorf("%s then %s, %d locations", first, second, len(s.registry.byLocation))
		}
		if resp := s.do(codes.POST, first, ""); resp.Code != codes.NotFound {
			t.Errorf("update of the old one: %s", coap.CodeString(resp.Code))
		}
		pass(2 * time.Minute) // the old lifetime means nothing
		if resp := s.do(codes.DELETE, second, ""); resp.Code != codes.Deleted || len(s.registry.byEndpoint) != 0 {
			t.Errorf("de-register: %s", coap.CodeString(resp.Code))
		}
		if resp := s.do(codes.DELETE, second, ""); resp.Code != codes.NotFound {
			t.Errorf("de-register again: %s", coap.CodeString(resp.Code))
		}
	})
}

// A device that comes over another session is to be observed anew.
func TestRegistrationMoves(t *testing.T) {
	inRegistry(t, "", func(s *testServer) {
		location := s.register("a", "60")
		pass(30 * time.Second)
		s.connect("")
		if resp := s.do(codes.POST, location, ""); resp.Code != codes.Changed {
			t.Fatal(coap.CodeString(resp.Code))
		}
		if n, _ := s.told(); n != 2 || s.registered[0] == s.registered[1] || s.registered[1].location != location {
			t.Fatalf("told %d times", n)
		}
		pass(59 * time.Second)
		if _, expired := s.told(); expired != 0 {
			t.Error("the old lifetime goes on")
		}
		pass(2 * time.Second)
		if _, expired := s.told(); expired != 1 {
			t.Errorf("%d expired", expired)
		}
	})
}

// Locations do not run out or repeat while in use.
func TestLocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRegistry(0, content.V12, time.Minute, nil, nil)
		defer g.close()
		g.next = maxLocations - 1
		seen := map[string]bool{}
		for _, ep := range []string{"a", "b", "c"} {
			reg := &registration{endpoint: ep, lifetime: time.Minute}
			if !g.insert(reg) || len(reg.location) != len("/rd/0001") || seen[reg.location] {
				t.Errorf("%s: %s", ep, reg.location)
			}
			seen[reg.location] = true
		}
	})
}

// Conditions of requests to a server: a location exists while its registration
// does, a package has its entity tag (RFC 7252 section 5.10.8).
func TestConditionalRegistration(t *testing.T) {
	inRegistry(t, "", func(s *testServer) {
		location := s.register("a", "60")
		for _, test := range []struct {
			method     codes.Code
			path, want string
			condition  func(*coap.Request)
		}{
			{codes.POST, location, "2.04", func(r *coap.Request) { r.AddIfMatch(nil) }},
			{codes.POST, location, "4.12", func(r *coap.Request) { r.AddIfMatch([]byte{1}) }},
			{codes.POST, "/rd/0099", "4.12", func(r *coap.Request) { r.AddIfMatch(nil) }},
			{codes.POST, "/rd", "4.12", func(r *coap.Request) { r.Set(message.IfNoneMatch, nil) }},
			{codes.DELETE, location, "4.12", func(r *coap.Request) { r.Set(message.IfNoneMatch, nil) }},
		} {
			req := coap.NewRequest(test.method, test.path)
			test.condition(req)
			resp, err := s.client.Do(s.t.Context(), req)
			if err != nil || coap.CodeString(resp.Code) != test.want {
				t.Errorf("%v %s: %v, %v, want %s", test.method, test.path, resp, err, test.want)
			}
		}
	})
	offered := &packages{byPath: map[string]*pack{"/fw/1": {etag: []byte{1, 2}}}}
	for tag, want := range map[string]codes.Code{"": codes.Content, "\x01\x02": codes.Content, "\x01": codes.PreconditionFailed} {
		r := coap.NewRequest(codes.GET, "/fw/1")
		r.AddIfMatch([]byte(tag))
		if got := offered.serve(r).Code; got != want {
			t.Errorf("package with tag %q: %v", tag, got)
		}
	}
}
