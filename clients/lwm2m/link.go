package lwm2m

import (
	"context"
	"io"
	"net"

	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/dgram"
)

// remote is what the device opens a session with: a server, or one for bootstrap
// or packages.
type remote struct {
	source
	cred credentials
	doze *sleeper        // nil listens all the time
	life context.Context // ends the session
}

// link is a session with the platform.
type link struct {
	*coap.Conn
	pc io.Closer
}

// abort ends the session without a word to the peer.
func (l *link) abort() {
	_ = l.pc.Close()
	_ = l.Conn.Close()
}

// leave ends the session with a DTLS close_notify, unless the device is off.
func (l *link) leave(on context.Context) {
	if on.Err() != nil {
		l.abort()
		return
	}
	_ = l.Conn.Close()
}

// dial opens a session over UDP, DTLS, TCP or TLS.
func (d *device) dial(ctx context.Context, r remote, h coap.Handler) (*link, error) {
	if r.stream() {
		return d.dialStream(ctx, r, h)
	}
	conn, pc, err := d.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return d.converse(r, coap.NewConn(conn, d.nextConfig(), h), pc), nil
}

// nextConfig is the configuration of a new session, with its own generator.
func (d *device) nextConfig() coap.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialled++
	cfg := d.opt.CoAP.Device
	cfg.Rand = generator(d.env.Seed, streamDeviceCoAP, d.dialled)
	return cfg
}

// dials counts the sessions that were begun, in earlier lives of the device, too.
func (d *device) dials() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dialled
}

// converse serves a session until it ends or its time is over.
func (d *device) converse(r remote, conn *coap.Conn, pc io.Closer) *link {
	l := &link{conn, pc}
	stop := context.AfterFunc(r.life, l.abort)
	d.tasks.Go(func() {
		_ = l.Serve() // who uses the session sees its end
		stop()
	})
	return l
}

func (d *device) open(ctx context.Context, r remote) (net.Conn, io.Closer, error) {
	if !r.secure() {
		conn, err := d.env.Device.DialContext(ctx, "udp", r.addr.String())
		if err != nil {
			return nil, nil, err
		}
		conn = r.doze.datagrams(d.traffic.datagrams(conn))
		return conn, conn, nil
	}
	pc, err := d.env.Device.ListenPacket("udp", hostPort(d.env.Device, 0))
	if err != nil {
		return nil, nil, err
	}
	pc = r.doze.packets(d.traffic.packets(pc))
	conn, err := dgram.Dial(ctx, pc, net.UDPAddrFromAddrPort(r.addr), d.env.ServerName(), r.cred, d.opt.DTLS.Device, d.opt.ConnectionID, d.env.KeyLog)
	return conn, pc, err
}
