// Package plain measures a link with plain sockets, as ping and iperf3 would,
// for people who want to know the link before they judge a protocol.
//
// Ping sends trains of echo requests over UDP or ICMP; TCP and UDP transfer
// bytes in one direction. All of it works on any clients.Host.
package plain

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/thinlink/thinlink/clients"
)

// echoPort is the Echo Protocol's port (RFC 862).
const echoPort = 7

// PingConfig is a series of trains of pings.
type PingConfig struct {
	ICMP     bool          // ICMP echo instead of UDP
	Payload  int           // bytes behind the UDP or ICMP header, at least 8
	Trains   int           // number of trains
	Count    int           // pings of a train
	Interval time.Duration // from one ping to the next, or from the reply if that is later
	Gap      time.Duration // silence before a train, so that the radio goes idle
	Timeout  time.Duration // after this a reply counts as lost
}

// Echo is the fate of one ping.
type Echo struct {
	Train, Index int // Index 0 found the link idle
	RTT          time.Duration
	Lost         bool
}

// Ping sends the trains from device to platform and returns every echo. It
// needs no radio and no shaping to work; losses are results, not errors.
func Ping(ctx context.Context, env *clients.Env, cfg PingConfig) ([]Echo, error) {
	p, err := newPinger(ctx, env, cfg)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var echoes []Echo
	for train := range cfg.Trains {
		if err := clients.Sleep(ctx, cfg.Gap); err != nil {
			return echoes, err
		}
		for i := range cfg.Count {
			sent := env.Now()
			rtt, err := p.echo(sent, uint32(train*cfg.Count+i))
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return echoes, fmt.Errorf("ping: %w", err)
			}
			echoes = append(echoes, Echo{Train: train, Index: i, RTT: rtt, Lost: err != nil})
			if i+1 < cfg.Count {
				if err := clients.Sleep(ctx, sent.Add(cfg.Interval).Sub(env.Now())); err != nil {
					return echoes, err
				}
			}
		}
	}
	return echoes, nil
}

// A pinger sends one request at a time and waits for its reply.
type pinger struct {
	cfg    PingConfig
	env    *clients.Env
	conn   net.PacketConn
	to     net.Addr
	buf    []byte
	close  func()
	header int // bytes before the payload that the socket shows
}

func newPinger(ctx context.Context, env *clients.Env, cfg PingConfig) (*pinger, error) {
	if cfg.Payload < 8 {
		return nil, fmt.Errorf("ping: payload of %d bytes: want at least 8", cfg.Payload)
	}
	p := &pinger{cfg: cfg, env: env, buf: make([]byte, 2048)}
	dst := env.Platform.Addr()
	var err error
	if cfg.ICMP {
		p.header = icmpHeader
		p.to = &net.IPAddr{IP: dst.AsSlice()}
		p.conn, err = env.Device.ListenPacket(icmpNetwork(dst), env.Device.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("ping: %w", err)
		}
		p.close = func() { p.conn.Close() }
		return p, nil
	}
	server, err := env.Platform.ListenPacket("udp", hostPort(dst, echoPort))
	if err != nil {
		return nil, fmt.Errorf("ping: echo server: %w", err)
	}
	p.conn, err = env.Device.ListenPacket("udp", hostPort(env.Device.Addr(), 0))
	if err != nil {
		server.Close()
		return nil, fmt.Errorf("ping: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		echoServer(server)
	}()
	p.to = net.UDPAddrFromAddrPort(netip.AddrPortFrom(dst, echoPort))
	p.close = func() {
		p.conn.Close()
		server.Close()
		<-done
	}
	return p, nil
}

// echo sends request seq and returns its round trip; late replies to earlier
// requests are ignored.
func (p *pinger) echo(sent time.Time, seq uint32) (time.Duration, error) {
	if _, err := p.conn.WriteTo(p.request(seq), p.to); err != nil {
		return 0, err
	}
	if err := p.conn.SetReadDeadline(sent.Add(p.cfg.Timeout)); err != nil {
		return 0, err
	}
	for {
		n, _, err := p.conn.ReadFrom(p.buf)
		if err != nil {
			return 0, err
		}
		if p.isReply(p.buf[:n], seq) {
			return p.env.Now().Sub(sent), nil
		}
	}
}

func (p *pinger) request(seq uint32) []byte {
	b := make([]byte, p.header+p.cfg.Payload)
	binary.BigEndian.PutUint32(b[p.header:], seq)
	if p.cfg.ICMP {
		putEchoRequest(b, p.env.Device.Addr(), p.env.Platform.Addr(), uint16(seq))
	}
	return b
}

func (p *pinger) isReply(b []byte, seq uint32) bool {
	if p.cfg.ICMP && !isEchoReply(b, p.env.Platform.Addr()) {
		return false
	}
	return len(b) >= p.header+4 && binary.BigEndian.Uint32(b[p.header:]) == seq
}

// echoServer sends every datagram back until its socket closes.
func echoServer(c net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if _, err := c.WriteTo(buf[:n], from); err != nil {
			return
		}
	}
}

func hostPort(a netip.Addr, port int) string {
	return net.JoinHostPort(a.String(), strconv.Itoa(port))
}
