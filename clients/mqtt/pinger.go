package mqtt

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/log"
)

// pinger keeps a connection of MQTT 5 alive: PINGREQ when nothing was sent for
// the keep-alive interval [MQTT-3.1.2-20], and the end of the connection when
// the answer takes too long. The library's own pings when it has just connected.
type pinger struct {
	timeout  time.Duration
	answered chan struct{}

	mu   sync.Mutex
	sent time.Time
}

var _ paho.Pinger = (*pinger)(nil)

func newPinger(timeout time.Duration) *pinger {
	return &pinger{timeout: timeout, answered: make(chan struct{}, 1)}
}

// Run implements paho.Pinger.
func (p *pinger) Run(ctx context.Context, conn net.Conn, keepAlive uint16) error {
	interval := time.Duration(keepAlive) * time.Second
	if interval == 0 {
		return nil
	}
	p.PacketSent() // CONNECT
	t := time.NewTimer(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if p.idle() >= interval {
			if err := p.ping(ctx, conn); err != nil {
				return err
			}
		}
		t.Reset(interval - p.idle())
	}
}

func (p *pinger) idle() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.sent)
}

// ping sends PINGREQ and waits for the answer.
func (p *pinger) ping(ctx context.Context, conn net.Conn) error {
	select { // of a ping that was answered late
	case <-p.answered:
	default:
	}
	p.PacketSent()
	if _, err := packets.NewControlPacket(packets.PINGREQ).WriteTo(conn); err != nil {
		return err
	}
	late := time.NewTimer(p.timeout)
	defer late.Stop()
	select {
	case <-p.answered:
	case <-ctx.Done():
	case <-late.C:
		return errors.New("no answer to PINGREQ")
	}
	return nil
}

// PacketSent implements paho.Pinger.
func (p *pinger) PacketSent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = time.Now()
}

// PacketReceived implements paho.Pinger.
func (p *pinger) PacketReceived() {}

// PingResp implements paho.Pinger.
func (p *pinger) PingResp() {
	select {
	case p.answered <- struct{}{}:
	default:
	}
}

// SetDebug implements paho.Pinger.
func (p *pinger) SetDebug(log.Logger) {}
