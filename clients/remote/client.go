package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/rpc"
	"net/rpc/jsonrpc"
	"sync"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
)

// Conn is a control channel.
type Conn struct {
	rpc     *rpc.Client
	server  netip.Addr
	lost    chan struct{}
	running sync.WaitGroup
}

// ErrLost is what steps end with whose control channel has ended.
var ErrLost = errors.New("remote: the control channel to the platform is lost")

// ErrToken is the answer of a platform that has printed another token.
var ErrToken = errors.New("remote: the platform does not know the token")

// Dial connects to a Server.
func Dial(ctx context.Context, address string, token Token) (*Conn, error) {
	d := &tls.Dialer{Config: token.clientTLS()}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	err = present(c, token)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	server := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return &Conn{rpc: jsonrpc.NewClient(c), server: server, lost: make(chan struct{})}, nil
}

// Lost is closed when the channel has ended, after Open.
func (c *Conn) Lost() <-chan struct{} { return c.lost }

// present shows the secret.
func present(c net.Conn, token Token) error {
	if _, err := c.Write(token.secret[:]); err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	if answer[0] != 1 {
		return ErrToken
	}
	return nil
}

// Platform is a platform on another machine; it implements clients.Platform.
// When the channel is lost, every method returns an error.
type Platform struct {
	// Site and PKI are for the device's Env.
	Site clients.Site
	PKI  *pki.Material
	conn *Conn
}

var _ clients.Platform = (*Platform)(nil)

// Open opens a platform, by a specification that marshals to JSON. record is
// told of its events, as they become known here, until Close.
func (c *Conn) Open(ctx context.Context, spec any, record func(clients.Event)) (*Platform, error) {
	b, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("remote: open: %w", err)
	}
	var reply siteReply
	if err := c.call(ctx, "Open", json.RawMessage(b), &reply); err != nil {
		return nil, err
	}
	if !reply.Site.Addr.IsValid() {
		reply.Site.Addr = c.server
	}
	c.running.Go(func() { c.follow(record) })
	return &Platform{reply.Site, reply.PKI, c}, nil
}

// follow passes events on until the channel ends.
func (c *Conn) follow(record func(clients.Event)) {
	defer close(c.lost)
	for {
		var list []clients.Event
		if c.rpc.Call("Platform.Events", none{}, &list) != nil {
			return // whoever uses the channel sees its end
		}
		for _, e := range list {
			record(e)
		}
	}
}

// call calls a method. A call that outlives ctx goes on without anybody
// waiting for it.
func (c *Conn) call(ctx context.Context, method string, args, reply any) error {
	select {
	case call := <-c.rpc.Go("Platform."+method, args, reply, make(chan *rpc.Call, 1)).Done:
		return failure(call.Error)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failure tells errors of the channel from those of the platform.
func failure(err error) error {
	var said rpc.ServerError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said):
		return fmt.Errorf("platform: %s", string(said))
	}
	return fmt.Errorf("%w: %v", ErrLost, err)
}

// Close ends the channel, and with it the platform that it opened.
func (c *Conn) Close() error {
	err := c.rpc.Close()
	c.running.Wait()
	if errors.Is(err, rpc.ErrShutdown) { // lost already
		return nil
	}
	return err
}

// Connected implements clients.Platform.
func (p *Platform) Connected(ctx context.Context, device string) error {
	return p.conn.call(ctx, "Connected", device, &none{})
}

// Await implements clients.Platform.
func (p *Platform) Await(device string, r clients.Reading) (<-chan struct{}, error) {
	var number int
	if err := p.conn.call(context.Background(), "Await", awaitArgs{device, r}, &number); err != nil {
		return nil, err
	}
	arrived := make(chan struct{})
	p.conn.running.Go(func() {
		if p.conn.rpc.Call("Platform.Arrived", number, &none{}) == nil {
			close(arrived)
		}
	})
	return arrived, nil
}

// Command implements clients.Platform.
func (p *Platform) Command(ctx context.Context, device string, value int64) error {
	return p.conn.call(ctx, "Command", commandArgs{device, value}, &none{})
}

// Update implements clients.Platform.
func (p *Platform) Update(ctx context.Context, device string, img clients.Image) error {
	return p.conn.call(ctx, "Update", updateArgs{device, img}, &none{})
}

// Restart implements clients.Platform.
func (p *Platform) Restart(ctx context.Context) error {
	return p.conn.call(ctx, "Restart", none{}, &none{})
}

// Close implements clients.Platform: it returns when the platform has ended.
func (p *Platform) Close() error {
	err := p.conn.call(context.Background(), "Close", none{}, &none{})
	return errors.Join(err, p.conn.Close())
}
