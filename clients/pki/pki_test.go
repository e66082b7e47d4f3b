package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"reflect"
	"slices"
	"testing"
)

// sizes are the lengths of all that is sent, root last.
func sizes(m *Material) []int {
	var n []int
	for _, chain := range [][][]byte{m.Server.Chain, m.Device.Chain, {m.Root}} {
		for _, der := range chain {
			n = append(n, len(der))
		}
	}
	return n
}

func TestSizesAreConstant(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		runs int // RSA keys are slow to make
	}{
		{Options{Key: P256, Chain: 1}, 100},
		{Options{Key: P256, Chain: 4, Padding: 100}, 100},
		{Options{Key: RSA2048, Chain: 2}, 4},
	} {
		var first []int
		for range c.runs {
			m, err := New(c.opt)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = sizes(m)
			} else if got := sizes(m); !slices.Equal(got, first) {
				t.Fatalf("%+v: sizes %v, then %v", c.opt, first, got)
			}
		}
		t.Logf("%+v: %v", c.opt, first)
	}
}

// The chain of the reference experiment's server was about 4.8 kB, its
// client's certificate about 1 kB.
func TestReferenceChain(t *testing.T) {
	m, err := New(Options{Key: RSA2048, Chain: 4, Padding: 340})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, der := range m.Server.Chain {
		sum += len(der)
	}
	if len(m.Server.Chain) != 4 || sum < 4600 || sum > 4900 {
		t.Errorf("%d certificates of %d bytes", len(m.Server.Chain), sum)
	}
	if n := len(m.Device.Chain[0]); n < 800 || n > 1100 {
		t.Errorf("device certificate of %d bytes", n)
	}
}

// conversation performs a handshake with client authentication and passes a
// message; it returns the bytes each end sent.
func conversation(t *testing.T, m *Material, version uint16) (client, server int) {
	t.Helper()
	pool, err := m.Pool()
	if err != nil {
		t.Fatal(err)
	}
	serverCert, err := m.Server.TLS()
	if err != nil {
		t.Fatal(err)
	}
	deviceCert, err := m.Device.TLS()
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	ca, cb := &counted{Conn: a}, &counted{Conn: b}
	done := make(chan error, 1)
	go func() {
		s := tls.Server(cb, &tls.Config{
			Certificates: []tls.Certificate{serverCert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
			MaxVersion: version, MinVersion: version, SessionTicketsDisabled: true,
		})
		_, err := io.Copy(s, s)
		done <- err
	}()
	c := tls.Client(ca, &tls.Config{
		Certificates: []tls.Certificate{deviceCert}, RootCAs: pool, ServerName: ServerName, MaxVersion: version,
	})
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Fatalf("echo %q, %v", got, err)
	}
	if name := c.ConnectionState().PeerCertificates[0].DNSNames; !slices.Equal(name, []string{ServerName}) {
		t.Errorf("the server is %q", name)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return ca.sent, cb.sent
}

type counted struct {
	net.Conn
	sent int
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent += n
	return n, err
}

func TestHandshakes(t *testing.T) {
	for _, key := range []KeyType{P256, RSA2048} {
		for _, chain := range []int{1, 3} {
			m, err := New(Options{Key: key, Chain: chain, Padding: 50})
			if err != nil {
				t.Fatal(err)
			}
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				client, server := conversation(t, m, version)
				for range 10 {
					if c, s := conversation(t, m, version); c != client || s != server {
						t.Errorf("%s, TLS %#x: %d and %d bytes, then %d and %d", key, version, client, server, c, s)
					}
				}
			}
		}
	}
}

func TestVerification(t *testing.T) {
	m, err := New(Options{Key: P256, Chain: 6})
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(Options{Key: P256, Chain: 1})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(m.Server.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	between := x509.NewCertPool()
	for _, der := range m.Server.Chain[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		between.AddCert(c)
	}
	for _, c := range []struct {
		name string
		m    *Material
		dns  string
		good bool
	}{{"own root", m, ServerName, true}, {"another root", other, ServerName, false}, {"another name", m, DeviceName, false}} {
		pool, err := c.m.Pool()
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, DNSName: c.dns})
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestMaterialTravelsAsJSON(t *testing.T) {
	m, err := New(Options{Key: P256, Chain: 2})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	again := new(Material)
	if err := json.Unmarshal(data, again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, again) {
		t.Error("it changed on the way")
	}
}

func TestMistakes(t *testing.T) {
	for _, opt := range []Options{{Key: "dsa", Chain: 1}, {Key: P256}, {Key: P256, Chain: 7}} {
		if _, err := New(opt); err == nil {
			t.Errorf("%+v was accepted", opt)
		}
	}
	if _, err := (Credential{Key: []byte("x")}).TLS(); err == nil {
		t.Error("a key that is none was accepted")
	}
	if _, err := (&Material{Root: []byte("x")}).Pool(); err == nil {
		t.Error("a root that is none was accepted")
	}
}
