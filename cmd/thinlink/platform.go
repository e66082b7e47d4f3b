package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/clients/remote"
	"github.com/thinlink/thinlink/internal/sockets"
	"github.com/thinlink/thinlink/lab"
)

// platformFlags are what thinlink platform takes.
type platformFlags struct {
	stacks, devices []string
	listen, keys    string
	control         uint16
}

func newPlatform() *cobra.Command {
	var f platformFlags
	cmd := &cobra.Command{
		Use:   "platform",
		Short: "serve our platforms to devices of yours",
		Long: `Serve platforms on real sockets until Ctrl-C, and print what devices do.

Runs on other machines (thinlink run --platform) get a fresh platform each, which
they control. With --stack, platforms of these stacks are there for devices of
yours as well: the MQTT broker with shadow and jobs, the LwM2M server, images
over HTTPS at port 8443. Keys are made afresh at each start.`,
		Example: `  thinlink platform --listen 192.168.1.20
  thinlink platform --stack mqtt-plain-topic,lwm2m --device sensor-1,sensor-2
  thinlink platform command sensor-1 42 --token TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.serve(cmd) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.stacks, "stack", nil, "stacks to serve to devices of yours, one of each protocol: names or files")
	fl.StringSliceVar(&f.devices, "device", []string{pki.DeviceName}, "names of devices that get a certificate")
	fl.StringVar(&f.listen, "listen", "127.0.0.1", "address to serve at")
	fl.StringVar(&f.keys, "keys", "", "directory for keys and certificates (default: a new temporary one, removed at the end)")
	fl.Uint16Var(&f.control, "control", lab.DefaultControlPort, "port of the control channel")
	complete(cmd, "stack", lab.StackNames)
	cmd.AddCommand(newPlatformCommand())
	return cmd
}

func (f *platformFlags) serve(cmd *cobra.Command) (err error) {
	addr, err := netip.ParseAddr(f.listen)
	if err != nil || addr.IsUnspecified() {
		return fmt.Errorf("--listen %q: want one IP address of this machine", f.listen)
	}
	var stacks []*lab.Stack
	for _, name := range f.stacks {
		s, err := lab.LoadStack(name)
		if err != nil {
			return err
		}
		if s.Protocol != "mqtt" && s.Protocol != "lwm2m" {
			return fmt.Errorf("--stack %s: protocol %s: want a stack of protocol mqtt or lwm2m", name, s.Protocol)
		}
		stacks = append(stacks, s)
	}
	out := cmd.OutOrStdout()
	if !addr.IsLoopback() {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: whoever reaches %v can connect to these servers\n", addr)
	}
	keys := f.keys
	if keys == "" {
		if keys, err = os.MkdirTemp("", "thinlink-platform-"); err != nil {
			return &exitError{exitMachine, err}
		}
		defer func() { err = errors.Join(err, os.RemoveAll(keys)) }()
	}
	events := &eventLog{w: out}
	site := &lab.Site{Host: &sockets.Host{IP: addr}, Record: events.record}
	defer func() { err = errors.Join(err, site.Close()) }()
	for _, s := range stacks {
		served, err := site.Serve(s)
		if err != nil {
			return &exitError{exitMachine, err}
		}
		dir := filepath.Join(keys, s.Name)
		if err := writeKeys(dir, served, f.devices); err != nil {
			return err
		}
		explain(out, served, dir, f.devices[0])
	}
	server, err := remote.NewServer(site.Open)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", netip.AddrPortFrom(addr, f.control).String())
	if err != nil {
		return &exitError{exitMachine, err}
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	fmt.Fprintf(out, "runs on other machines: THINLINK_TOKEN=%v thinlink run connect -p nbiot --platform %v\n", server.Token(), ln.Addr())
	<-cmd.Context().Done()
	return errors.Join(server.Close(), <-done)
}

// writeKeys writes what devices need, readable for this user only.
func writeKeys(dir string, served *lab.Served, devices []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{"ca.pem": pki.CertificatePEM(served.Authority.Root())}
	for _, name := range devices {
		if name != filepath.Base(name) || name == "." || name == ".." {
			return fmt.Errorf("--device %q: want a name without slashes", name)
		}
		m, err := served.Material(name)
		if err != nil {
			return err
		}
		files[name+".pem"], files[name+".key"] = pki.CertificatePEM(m.Device.Chain...), m.Device.KeyPEM()
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// explain says how a device reaches a platform.
func explain(w io.Writer, served *lab.Served, dir, device string) {
	env, ca, cert, key := served.Env, filepath.Join(dir, "ca.pem"), filepath.Join(dir, device+".pem"), filepath.Join(dir, device+".key")
	if served.Stack.Protocol == "mqtt" {
		security, port := fmt.Sprintf(" --cafile %s --cert %s --key %s", ca, cert, key), uint16(8883)
		if served.Stack.MQTT.TLS == "none" {
			security, port = "", 1883
		}
		at := env.At(port)
		fmt.Fprintf(w, "%s: MQTT at %v, images at https://%s, keys in %s\n", served.Stack.Name, at, env.Authority(443), dir)
		fmt.Fprintf(w, "  mosquitto_pub -h %v -p %d -i %s%s -q 1 -t thinlink/%s/report -m '{\"string_value\":\"hello\",\"integer_value\":1,\"float_value\":0.5,\"boolean_value\":true}'\n",
			at.Addr(), at.Port(), device, security, device)
		return
	}
	scheme, security, port := "coaps", fmt.Sprintf("-R %s -c %s -j %s ", ca, cert, key), uint16(5684)
	if served.Stack.LwM2M.Security == "nosec" {
		scheme, security, port = "coap", "", 5683
	}
	at := env.At(port)
	fmt.Fprintf(w, "%s: LwM2M at %s://%v, keys in %s\n", served.Stack.Name, scheme, at, dir)
	fmt.Fprintf(w, "  coap-client-openssl -m post %s-t 40 -e '</3/0>' '%s://%v/rd?ep=%s&lt=300&lwm2m=1.1&b=U'\n", security, scheme, at, device)
}

// eventLog prints what happens, one line each.
type eventLog struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *eventLog) record(stack string, e clients.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, "%s  %-16s %-9s %s\n", time.Now().Format(time.TimeOnly), stack, e.Kind, strconv.QuoteToGraphic(e.Detail))
}

// newPlatformCommand sends a command through a platform that is served.
func newPlatformCommand() *cobra.Command {
	var stack, at, token string
	cmd := &cobra.Command{
		Use:     "command DEVICE INTEGER",
		Short:   "send a command to a device of a platform that is served",
		Example: "  thinlink platform command thinlink-device-0001 42 --stack mqtt --token TOKEN",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return fmt.Errorf("command %q: want an integer", args[1])
			}
			t, err := remote.ParseToken(tokenOf(token))
			if err != nil {
				return fmt.Errorf("--token: %w", err)
			}
			address, err := lab.ControlAddress(at)
			if err != nil {
				return fmt.Errorf("--platform %w", err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			conn, err := remote.Dial(ctx, address, t)
			if err != nil {
				return &exitError{exitIncomplete, err}
			}
			p, err := conn.Open(ctx, lab.ServedSpec(stack), func(clients.Event) {})
			if err == nil {
				err = p.Command(ctx, args[0], value)
			}
			if err = errors.Join(err, conn.Close()); err != nil {
				return &exitError{exitIncomplete, err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&stack, "stack", "", "stack of the device (default: the only one that is served)")
	cmd.Flags().StringVar(&at, "platform", "127.0.0.1", "HOST[:PORT] of the platform's control channel")
	cmd.Flags().StringVar(&token, "token", "", "the token that thinlink platform printed (default: $"+tokenVariable+")")
	return cmd
}
