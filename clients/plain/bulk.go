package plain

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/thinlink/thinlink/clients"
)

// bulkPort is where the platform serves transfers, iperf3's port.
const bulkPort = 5201

// Transfer is what arrived.
type Transfer struct {
	Bytes int64         // application bytes
	Took  time.Duration // TCP: from accept to end of stream; UDP: from the first to the last datagram
}

// TCP sends size bytes over one connection, to the device (down) or from it,
// and returns when the receiver has seen the end of the stream.
func TCP(ctx context.Context, env *clients.Env, size int64, down bool) (Transfer, error) {
	ln, err := env.Platform.Listen("tcp", hostPort(env.Platform.Addr(), bulkPort))
	if err != nil {
		return Transfer{}, fmt.Errorf("bulk: %w", err)
	}
	defer ln.Close()
	type served struct {
		n   int64
		at  time.Time
		err error
	}
	platform := make(chan served, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			platform <- served{err: err}
			return
		}
		defer c.Close()
		at := env.Now()
		n, err := half(c, size, down)
		platform <- served{n, at, err}
	}()
	c, err := env.Device.DialContext(ctx, "tcp", hostPort(env.Platform.Addr(), bulkPort))
	if err != nil {
		ln.Close()
		<-platform
		return Transfer{}, fmt.Errorf("bulk: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)); ln.Close() })
	defer stop()
	n, err := half(c, size, !down)
	end := env.Now()
	c.Close() // the platform waits for it
	p := <-platform
	if err = errors.Join(err, p.err); err != nil {
		return Transfer{}, fmt.Errorf("bulk: %w", errors.Join(ctx.Err(), err))
	}
	if !down {
		n, end = p.n, env.Now()
	}
	return Transfer{Bytes: n, Took: end.Sub(p.at)}, nil
}

// half is one end of a transfer: it sends size bytes and closes, or discards
// what comes until the end of the stream.
func half(c net.Conn, size int64, sends bool) (int64, error) {
	if !sends {
		return io.Copy(io.Discard, c)
	}
	n, err := io.CopyN(c, zeros{}, size)
	if err != nil {
		return n, err
	}
	if cw, ok := c.(interface{ CloseWrite() error }); ok {
		if err := cw.CloseWrite(); err != nil {
			return n, err
		}
		_, err = io.Copy(io.Discard, c) // until the receiver closes too
	}
	return n, err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// UDPConfig is a paced stream of datagrams.
type UDPConfig struct {
	Size    int64 // application bytes to send
	Payload int   // of one datagram, at least 4
	Down    bool
	// Interval is the time from one datagram to the next.
	Interval time.Duration
	// Quiet ends the reception after the last datagram.
	Quiet time.Duration
}

// UDP sends datagrams at a fixed pace and counts those that arrive. The loss
// is a result, not an error.
func UDP(ctx context.Context, env *clients.Env, cfg UDPConfig) (Transfer, error) {
	if cfg.Payload < 4 {
		return Transfer{}, fmt.Errorf("bulk: datagrams of %d bytes: want at least 4", cfg.Payload)
	}
	from, to := env.Device, env.Platform
	if cfg.Down {
		from, to = to, from
	}
	rx, err := to.ListenPacket("udp", hostPort(to.Addr(), bulkPort))
	if err != nil {
		return Transfer{}, fmt.Errorf("bulk: %w", err)
	}
	defer rx.Close()
	tx, err := from.DialContext(ctx, "udp", hostPort(to.Addr(), bulkPort))
	if err != nil {
		return Transfer{}, fmt.Errorf("bulk: %w", err)
	}
	defer tx.Close()
	received := make(chan Transfer, 1)
	sent := make(chan struct{})
	go func() { received <- receiveUDP(rx, env.Now, sent, cfg.Quiet) }()
	sendErr := sendUDP(ctx, tx, cfg)
	close(sent)
	// Wakes the receiver: from now on silence ends it.
	rx.SetReadDeadline(env.Now().Add(cfg.Quiet))
	t := <-received
	if sendErr != nil {
		return t, fmt.Errorf("bulk: %w", sendErr)
	}
	return t, nil
}

func sendUDP(ctx context.Context, c net.Conn, cfg UDPConfig) error {
	b := make([]byte, cfg.Payload)
	for seq, left := uint32(0), cfg.Size; left > 0; seq++ {
		n := min(left, int64(len(b)))
		binary.BigEndian.PutUint32(b, seq)
		if _, err := c.Write(b[:max(n, 4)]); err != nil {
			return err
		}
		left -= n
		if err := clients.Sleep(ctx, cfg.Interval); err != nil {
			return err
		}
	}
	return nil
}

func receiveUDP(c net.PacketConn, now func() time.Time, sent <-chan struct{}, quiet time.Duration) Transfer {
	var t Transfer
	var first time.Time
	buf := make([]byte, 2048)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return t
		}
		if first.IsZero() {
			first = now()
		} else {
			t.Bytes += int64(n) // the first only starts the clock
		}
		t.Took = now().Sub(first)
		select {
		case <-sent:
			c.SetReadDeadline(now().Add(quiet))
		default:
		}
	}
}
