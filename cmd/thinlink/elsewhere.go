package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/lab"
)

// elsewhereFlags are those of runs whose platform is elsewhere.
type elsewhereFlags struct {
	platform, broker, token, device string
	ca, cert, key                   string
}

// tokenVariable has the token where no flag has: flags can be seen by all.
const tokenVariable = "THINLINK_TOKEN"

// tokenOf is the token of a flag, or else the variable's.
func tokenOf(flag string) string {
	if flag == "" {
		return os.Getenv(tokenVariable)
	}
	return flag
}

func (f *elsewhereFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.platform, "platform", "", "platform elsewhere: HOST[:PORT] of thinlink platform, or the URL of a server, for example coaps://192.168.1.30")
	fl.StringVar(&f.broker, "broker", "", "the same for an MQTT broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
	fl.StringVar(&f.token, "token", "", "the token that thinlink platform printed (default: $"+tokenVariable+")")
	fl.StringVar(&f.device, "device", "", "name of the device: MQTT client, LwM2M endpoint")
	fl.StringVar(&f.ca, "ca", "", "certificate of the authority of a server elsewhere (PEM)")
	fl.StringVar(&f.cert, "cert", "", "certificate of the device (PEM)")
	fl.StringVar(&f.key, "key", "", "private key of the device (PEM)")
	cmd.MarkFlagsMutuallyExclusive("platform", "broker")
	cmd.MarkFlagsRequiredTogether("cert", "key")
}

func (f *elsewhereFlags) given() bool { return f.platform != "" || f.broker != "" }

// apply tells the runs where their platform is.
func (f *elsewhereFlags) apply(ctx context.Context, runs []*lab.Run) error {
	where, flag := f.platform, "--platform"
	if f.broker != "" {
		where, flag = f.broker, "--broker"
	}
	switch {
	case where == "" && (f.token != "" || f.device != "" || f.ca != "" || f.cert != ""):
		return errors.New("--token, --device, --ca, --cert and --key belong to --platform or --broker")
	case where == "":
		return nil
	case strings.Contains(where, "://") && f.token != "":
		return fmt.Errorf("--token is for thinlink platform, not for %s", where)
	case strings.Contains(where, "://"):
		m, err := f.material()
		if err != nil {
			return err
		}
		if err := lab.PointAt(ctx, runs, where, f.device, m); err != nil {
			return fmt.Errorf("%s %w", flag, err)
		}
		return nil
	case f.broker != "":
		return fmt.Errorf("--broker %q: want mqtt://HOST[:PORT] or mqtts://HOST[:PORT]", where)
	case f.ca != "" || f.cert != "":
		return errors.New("--ca, --cert and --key are for servers elsewhere: thinlink platform makes its own")
	}
	address, err := lab.ControlAddress(where)
	if err != nil {
		return fmt.Errorf("--platform %w", err)
	}
	if err := lab.Control(runs, address, tokenOf(f.token), f.device); err != nil {
		return fmt.Errorf("--platform %s: %w", where, err)
	}
	return nil
}

// material reads what a device needs to know a server and to prove itself; nil
// is nothing.
func (f *elsewhereFlags) material() (*pki.Material, error) {
	if f.ca == "" && f.cert == "" {
		return nil, nil
	}
	m := new(pki.Material)
	if f.ca != "" {
		chain, err := pki.ReadCertificates(f.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca %w", err)
		}
		m.Root = chain[0]
	}
	if f.cert == "" {
		return m, nil
	}
	var err error
	if m.Device, err = pki.ReadCredential(f.cert, f.key); err != nil {
		return nil, fmt.Errorf("--cert, --key: %w", err)
	}
	return m, nil
}
