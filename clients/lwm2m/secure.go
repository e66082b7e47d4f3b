package lwm2m

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/pion/dtls/v3"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/dgram"
)

type (
	// DTLSConfig are the DTLS parameters of one end.
	DTLSConfig = dgram.Config

	credentials = dgram.Credentials
	mux         = dgram.Mux
	peer        = dgram.Peer
)

// Values of Options.Resumption.
const (
	ResumeNone   = "none"
	ResumeMemory = "memory"
	ResumeFlash  = "flash"
)

// secure reports DTLS.
func (o *Options) secure() bool { return o.Security != NoSec }

// badKey reports a key that no hexadecimal digits make.
func (o *Options) badKey() bool {
	key, err := hex.DecodeString(o.PSKKey)
	return err != nil || len(key) > 64 // transport section 5.2.8.1 has up to 64 bytes
}

// identity is that of a device's pre-shared key.
func (o *Options) identity(name string) string {
	if o.PSKIdentity != "" {
		return o.PSKIdentity
	}
	return name
}

// endpoint is the name of the device whose identity it is: the run's, if
// PSKIdentity names its key, else the identity itself.
func (o *Options) endpoint(identity, device string) string {
	if o.PSKIdentity != "" && identity == o.PSKIdentity {
		return device
	}
	return identity
}

// pskLength is that of a derived key, bytes (RFC 7925 section 4.2).
const pskLength = 16

// key finds the pre-shared key of an identity.
func (o *Options) key(env *clients.Env, identity string) ([]byte, error) {
	switch {
	case o.PSKKey != "" && (o.PSKIdentity == "" || o.PSKIdentity == identity):
		return hex.DecodeString(o.PSKKey)
	case o.PSKKey != "":
		return nil, errors.New("lwm2m: no key for this identity")
	}
	use := "lwm2m"
	if o.id > 1 {
		use = fmt.Sprintf("lwm2m server %d", o.id)
	}
	key, err := env.PKI.DeviceKey(use, identity)
	if err != nil {
		return nil, err
	}
	return key[:pskLength], nil
}

// deviceCredentials are what the device has for its server and for packages.
func (o *Options) deviceCredentials(env *clients.Env) (c credentials, err error) {
	if env.PKI != nil {
		if c, err = dgram.NewCredentials(env.PKI, env.PKI.Device); err != nil {
			return c, err
		}
	}
	if o.Security != PSK {
		return c, nil
	}
	c.Identity = o.identity(env.DeviceName())
	c.Key = func(identity string) ([]byte, error) { return o.key(env, identity) }
	switch o.Resumption {
	case ResumeMemory:
		c.Sessions = new(dgram.Sessions)
	case ResumeFlash:
		c.Sessions = &dgram.Sessions{Flash: env.Flash}
	}
	_, err = c.Key(c.Identity) // before anything depends on it
	return c, err
}

// platformCredentials are what the server has; sessions are its memory of them.
func (o *Options) platformCredentials(env *clients.Env, sessions dtls.SessionStore) (c credentials, err error) {
	switch o.Security {
	case Certificate:
		c, err = dgram.NewCredentials(env.PKI, env.PKI.Server)
	case PSK:
		c.Key = func(identity string) ([]byte, error) { return o.key(env, identity) }
		if o.Resumption != ResumeNone {
			c.Sessions = sessions
		}
	}
	if env.Device == nil {
		c.KeyLog = env.KeyLog // a device of others has no key log
	}
	return c, err
}
