package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/azure"
)

// provisionScope is the identifier of the scope at the provisioning service, of
// the form that the service gives.
const provisionScope = "0ne00000000"

// provisioned asks the Device Provisioning Service for the device's hub, unless
// it has been told. The hub that is assigned is at the service's address: there
// is one platform.
func (d *device) provisioned(ctx context.Context) error {
	if !d.opt.Provisioning || d.state.Hub != "" {
		return nil
	}
	d.record(clients.EventState, "asking for a hub")
	hub, err := d.provision(ctx)
	if err != nil {
		return fmt.Errorf("provisioning: %w", err)
	}
	d.record(clients.EventState, "assigned to "+hub)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Hub = hub
	return d.state.save(d.env.Flash)
}

// provision is one connection to the service: register, and ask until a hub is
// assigned.
func (d *device) provision(ctx context.Context) (hub string, err error) {
	s := &provisioning{device: d, answers: make(chan paho.Message, 4), lost: make(chan error, 1)}
	client := paho.NewClient(s.options())
	defer client.Disconnect(0)
	t := client.Connect()
	if <-t.Done(); t.Error() != nil {
		return "", t.Error()
	}
	if err := s.wait(ctx, client.Subscribe(azure.RegistrationResults, 1, nil)); err != nil {
		return "", err
	}
	body := encode(struct {
		ID string `json:"registrationId"`
	}{d.name}, 0)
	r, pause, err := s.ask(ctx, client, azure.RegisterTopic("1"), body)
	for n := 2; err == nil; n++ {
		if hub, _, ok := r.Assigned(); ok {
			return hub, nil
		}
		if err := clients.Sleep(ctx, pause); err != nil {
			return "", err
		}
		r, pause, err = s.ask(ctx, client, azure.StatusTopic(fmt.Sprint(n), r.OperationID), nil)
	}
	return "", err
}

// provisioning is a connection to the service.
type provisioning struct {
	*device
	answers chan paho.Message
	lost    chan error
}

func (s *provisioning) options() *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.AddBroker("tls://" + s.env.ServerName()) // a name only: open knows the address
	o.SetClientID(s.name)
	o.SetUsername(azure.RegistrationUser(provisionScope, s.name))
	if s.opt.Auth == "password" {
		o.SetPassword(s.token(azure.RegistrationResource(provisionScope, s.name), "registration"))
	}
	o.SetProtocolVersion(4)
	o.SetAutoReconnect(false)
	o.SetKeepAlive(s.opt.KeepAlive)
	o.SetConnectTimeout(s.opt.ConnectTimeout)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		_, conn, err := s.open()
		return conn, err
	})
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		select {
		case s.answers <- m:
		default: // more than were asked for
		}
	})
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { s.lost <- err })
	return o
}

// minRetry is the pause where the service gives none.
const minRetry = time.Second

// ask publishes a request and returns what the service says, and after what time
// to ask again.
func (s *provisioning) ask(ctx context.Context, c paho.Client, topic string, body []byte) (r azure.Registration, retry time.Duration, err error) {
	if err := s.wait(ctx, c.Publish(topic, 1, false, body)); err != nil {
		return r, 0, err
	}
	select {
	case m := <-s.answers:
		result, ok := azure.ParseResult(m.Topic())
		if !ok || result.Status/100 != 2 || json.Unmarshal(m.Payload(), &r) != nil || r.Status == "failed" || r.Status == "disabled" {
			return r, 0, fmt.Errorf("the service answers %s: %s", m.Topic(), m.Payload())
		}
		return r, max(result.RetryAfter, minRetry), nil
	case err := <-s.lost:
		return r, 0, err
	case <-ctx.Done():
		return r, 0, ctx.Err()
	}
}

// wait waits for a token.
func (s *provisioning) wait(ctx context.Context, t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case err := <-s.lost:
		s.lost <- err
		return errors.Join(errLost, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}
