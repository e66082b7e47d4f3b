package mqtt

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/mqtt/azure"
	"github.com/thinlink/thinlink/clients/mqtt/broker"
)

// tokenLife is how long a shared access signature is valid, as in the vendor's
// device library.
const tokenLife = time.Hour

// keyOf is a device's key: the password that the options give, or one that both
// ends derive from the run's secret.
func keyOf(opt Options, env *clients.Env, device string) ([]byte, error) {
	switch {
	case opt.Password != "" && opt.Topics == "azure":
		key, err := base64.StdEncoding.DecodeString(opt.Password)
		if err != nil {
			return nil, fmt.Errorf("password: want a key in base64: %w", err)
		}
		return key, nil
	case opt.Password != "":
		return []byte(opt.Password), nil
	}
	key, err := env.PKI.DeviceKey("mqtt", device)
	switch {
	case err != nil:
		return nil, fmt.Errorf("auth password: want mqtt.password: %w", err)
	case opt.Topics == "azure":
		return key, nil
	}
	return []byte(hex.EncodeToString(key[:16])), nil
}

// login is the device's user name and password; both are empty if its
// certificate is all it has. An IoT hub wants the user name in any case.
func (d *device) login() (user, password string) {
	hub := d.opt.Topics == "azure"
	if hub {
		user = azure.UserName(d.hubName(), d.name)
	}
	if d.opt.Auth != "password" {
		return user, ""
	}
	if hub {
		return user, d.token(azure.Resource(d.hubName(), d.name), "")
	}
	if user = d.opt.User; user == "" {
		user = d.name
	}
	return user, string(d.key)
}

// hubName is that of the hub that was assigned, or the server's.
func (d *device) hubName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.Hub != "" {
		return d.state.Hub
	}
	return d.env.ServerName()
}

// token is a shared access signature by the device's key. How many characters of a
// signature are escaped is chance; a token that expires some seconds later has
// the usual number, so that equal runs have equal packet sizes.
func (d *device) token(resource, policy string) (token string) {
	expires, usual := d.env.Now().Add(tokenLife), len(resource)+usualToken
	if policy != "" {
		usual += len("&skn=") + len(policy)
	}
	for range 1000 { // each try succeeds with probability 1/3
		if token = azure.Token(resource, d.key, expires, policy); len(token) == usual {
			break
		}
		expires = expires.Add(time.Second)
	}
	return token
}

// usualToken is the commonest length of a token without its resource: one
// character of the signature is escaped, the padding and the resource's two
// slashes always.
const usualToken = len("SharedAccessSignature sr=&sig=&se=") + len("1300000000") + 44 + 2 + 2 + 2*2

// authenticate judges a client of the broker; TLS has judged certificates.
func (p *Platform) authenticate(c broker.Credentials) broker.Reason {
	if p.opt.Auth != "password" {
		return broker.Success
	}
	key, err := keyOf(p.opt, p.env, c.Client)
	if err != nil || !c.HasUser {
		return broker.NotAuthorized
	}
	if p.opt.Topics == "azure" {
		resource := azure.Resource(p.env.ServerName(), c.Client)
		if scope, _, ok := strings.Cut(c.User, "/registrations/"); ok {
			resource = azure.RegistrationResource(scope, c.Client)
		}
		if azure.Verify(string(c.Password), resource, key, p.env.Now()) != nil {
			return broker.NotAuthorized
		}
		return broker.Success
	}
	user := p.opt.User
	if user == "" {
		user = c.Client
	}
	if c.User != user || !hmac.Equal(c.Password, key) {
		return broker.BadUserNameOrPassword
	}
	return broker.Success
}
