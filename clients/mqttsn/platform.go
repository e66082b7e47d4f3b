package mqttsn

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/dgram"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
	"github.com/thinlink/thinlink/clients/reading"
)

var _ clients.Platform = (*Platform)(nil)

// Platform implements clients.Platform: a broker with a gateway before it, and
// the application behind it. Predefined and short topics are those of the
// device that Env names.
type Platform struct {
	opt      Options
	env      *clients.Env
	arrivals clients.Arrivals
	broker   *broker.Broker
	server   *dgram.Server
}

func (p *Platform) warn(text string) {
	p.env.Record(clients.Event{Kind: clients.EventWarning, Detail: text})
}

func (p *Platform) start() error {
	var cred *dgram.Credentials
	if p.opt.Security == "certificate" {
		if p.env.PKI == nil {
			return errors.New("security certificate needs certificates")
		}
		c, err := dgram.NewCredentials(p.env.PKI, p.env.PKI.Server)
		if err != nil {
			return err
		}
		cred = &c
	}
	next := broker.New(broker.Options{Log: p.warn})
	if p.broker != nil {
		next.Inherit(p.broker)
	}
	p.broker = next
	report, _ := p.opt.names("+")
	if _, err := next.Subscribe(report, p.reported); err != nil {
		return err
	}
	pc, err := p.env.Platform.ListenPacket("udp", p.env.At(p.opt.port()).String())
	if err != nil {
		return err
	}
	g := NewGateway(next, GatewayOptions{
		Timers: p.opt.Timers, Predefined: p.opt.predefined(p.env.DeviceName()), Warn: p.warn,
	})
	p.server = dgram.NewServer(pc, cred, p.opt.DTLS, func(c net.Conn, _ string) error { return g.Serve(c) }, p.warn)
	return nil
}

func (p *Platform) reported(m broker.Message) {
	r, err := reading.Format(p.opt.Encoding).ParseReading(m.Payload)
	if err != nil {
		p.warn(fmt.Sprintf("report: %v", err))
		return
	}
	p.env.Record(clients.Event{Kind: clients.EventReport, Detail: m.Topic})
	device := p.env.DeviceName()
	if p.opt.Topics != "short" {
		_, err := fmt.Sscanf(m.Topic, "thinlink/%s", &device)
		if err != nil {
			return
		}
		device = device[:len(device)-len("/report")]
	}
	p.arrivals.Arrived(device, r)
}

// Connected implements clients.Platform: whoever has reported has connected.
func (p *Platform) Connected(context.Context, string) error { return nil }

// Await implements clients.Platform.
func (p *Platform) Await(device string, r clients.Reading) (<-chan struct{}, error) {
	return p.arrivals.Await(device, r), nil
}

// Command implements clients.Platform.
func (p *Platform) Command(_ context.Context, device string, value int64) error {
	if p.opt.QoS == qosNone {
		return errors.New("mqttsn: command: a device at qos -1 never connects")
	}
	_, topic := p.opt.names(device)
	return p.broker.Publish(broker.Message{
		Topic: topic, Payload: reading.Format(p.opt.Encoding).Command(value), QoS: byte(p.opt.QoS),
	})
}

// Update implements clients.Platform: there is none.
func (p *Platform) Update(context.Context, string, clients.Image) error {
	return fmt.Errorf("mqttsn: update: %w", errors.ErrUnsupported)
}

// Restart implements clients.Platform. What clients have subscribed to is gone
// with the gateway; they connect again when it does not know them.
func (p *Platform) Restart(ctx context.Context) error {
	if err := errors.Join(p.Close(), p.start()); err != nil {
		return fmt.Errorf("mqttsn: restart platform: %w", err)
	}
	return ctx.Err()
}

// Close implements clients.Platform.
func (p *Platform) Close() error {
	var errs []error
	if p.server != nil {
		if err := p.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if p.broker != nil {
		errs = append(errs, p.broker.Close())
	}
	return errors.Join(errs...)
}
