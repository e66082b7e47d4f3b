package lab

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/thinlink/thinlink/clients/httpfile"
	"github.com/thinlink/thinlink/clients/lwm2m"
	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/measure"
)

// Program is a program of the user's as the device.
type Program struct {
	Command  []string          `conf:"command" doc:"the program and its arguments, with placeholders"`
	Env      map[string]string `conf:"env" doc:"environment variables beside those of thinlink, with placeholders"`
	Platform string            `conf:"platform" doc:"stack, built in or a file, whose platform answers the program at {host}:{port}; none: only this machine's own services, at {outside}"`
	Image    units.Bytes       `conf:"image" doc:"size of a file of random bytes at the URL {image}; 0 is none" max:"67108864"`
	Internet bool              `conf:"internet" doc:"let the program reach, over the link, whatever this machine reaches"`
}

// Placeholders of commands and environment variables.
const (
	placeHost    = "{host}"    // name of the platform, which is in its certificate
	placePort    = "{port}"    // of the platform's stack
	placeOutside = "{outside}" // address at which this machine's loopback is reached
	placeDevice  = "{device}"  // name of the device: client identifier, thing, endpoint
	placeCA      = "{ca}"      // PEM file of the platform's authority
	placeCert    = "{cert}"    // PEM file of the device's certificate
	placeKey     = "{key}"     // PEM file of its key
	placeImage   = "{image}"   // URL of the image
)

// stack is one of protocol exec, named after the program.
func (p *Program) stack() (*Stack, error) {
	if len(p.Command) == 0 {
		return nil, errors.New("no command: want a program and its arguments")
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(filepath.Base(p.Command[0])))
	text, err := json.Marshal(map[string]any{ // which is YAML, too
		"version": 1, "name": strings.Trim(name, "-."), "protocol": "exec",
		"exec": map[string]any{"command": p.Command, "platform": p.Platform, "internet": p.Internet},
	})
	if err != nil {
		return nil, err
	}
	doc, err := confyaml.Parse("command line", text)
	if err != nil {
		return nil, err
	}
	s := &Stack{docs: []*confyaml.Document{doc}}
	return s, s.decode()
}

// check finds commands that cannot be, and placeholders that stand for nothing.
func (p *Program) check(serves *Stack) error {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return errors.New("exec.command is empty: want a program and its arguments")
	}
	known := []string{placeHost, placeOutside, placeDevice}
	if serves != nil && serves.port() != 0 {
		known = append(known, placePort)
	}
	if serves != nil || p.Image > 0 {
		known = append(known, placeCA, placeCert, placeKey)
	}
	if p.Image > 0 {
		known = append(known, placeImage)
	}
	for _, text := range append(slices.Clone(p.Command), slices.Collect(maps.Values(p.Env))...) {
		for _, name := range []string{placePort, placeCA, placeCert, placeKey, placeImage} {
			if strings.Contains(text, name) && !slices.Contains(known, name) {
				return fmt.Errorf("exec: %q: nothing stands for %s: name a platform, and for %s an image size", text, name, placeImage)
			}
		}
	}
	return nil
}

// port is where the stack's platform listens, 0 if there is no such place.
func (s *Stack) port() int {
	switch {
	case s.Protocol == "mqtt":
		return 8883
	case s.Protocol == "lwm2m" && s.LwM2M.Security == lwm2m.NoSec:
		return 5683
	case s.Protocol == "lwm2m":
		return 5684
	}
	return 0
}

// program runs the user's program from beginning to end, which is the window.
func (p *player) program(ctx context.Context) error {
	if p.w.Program == nil {
		return fmt.Errorf("engine %s runs no programs: use --engine tun", p.run.Engine)
	}
	dir, err := os.MkdirTemp("", "thinlink-exec-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	values, err := p.values(dir)
	if err != nil {
		return err
	}
	closePlatform, err := p.serve()
	if err != nil {
		return err
	}
	defer closePlatform()
	o := &p.run.Stack.Exec
	fill := strings.NewReplacer(values...)
	args := make([]string, len(o.Command))
	for i, a := range o.Command {
		args[i] = fill.Replace(a)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		cmd.Env = append(cmd.Env, name+"="+fill.Replace(o.Env[name]))
	}
	for i := 0; i < len(values); i += 2 { // {outside} is $THINLINK_OUTSIDE
		cmd.Env = append(cmd.Env, "THINLINK_"+strings.ToUpper(strings.Trim(values[i], "{}"))+"="+values[i+1])
	}
	p.open()
	err = p.w.Program(cmd)
	p.stepDone()
	p.out.Exec = &measure.Exec{Command: args, ExitStatus: exitStatus(cmd)}
	if cmd.Process == nil {
		p.out.Exec.ExitStatus = 127 // as shells say that there is no such program
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// exitStatus is a program's, as shells have it: for a signal 128 and its
// number.
func exitStatus(cmd *exec.Cmd) int {
	if cmd.ProcessState == nil {
		return 0
	}
	if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// values are the placeholders with what they stand for, in turn.
func (p *player) values(dir string) ([]string, error) {
	values := []string{placeHost, pki.ServerName, placeOutside, p.w.Outside.String(), placeDevice, pki.DeviceName}
	if s := p.run.Serves; s != nil && s.port() != 0 {
		values = append(values, placePort, strconv.Itoa(s.port()))
	}
	if m := p.run.PKI; m != nil {
		for _, f := range []struct {
			place, name string
			data        []byte
		}{
			{placeCA, "ca.pem", pki.CertificatePEM(m.Root)},
			{placeCert, "cert.pem", pki.CertificatePEM(m.Device.Chain...)},
			{placeKey, "key.pem", m.Device.KeyPEM()},
		} {
			path := filepath.Join(dir, f.name)
			if err := os.WriteFile(path, f.data, 0o600); err != nil {
				return nil, err
			}
			values = append(values, f.place, path)
		}
	}
	if p.run.Stack.Exec.Image > 0 {
		values = append(values, placeImage, "https://"+pki.ServerName+imagePath)
	}
	return values, nil
}

// imagePath is the image's on the platform's file server.
const imagePath = "/image.bin"

// serve starts the platform that the program talks to, and the image's server.
func (p *player) serve() (stop func(), err error) {
	var stops []func() error
	stop = func() {
		for _, s := range stops {
			_ = s()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if s := p.run.Serves; s != nil {
		stack, err := s.new()
		if err != nil {
			return stop, err
		}
		platform, err := stack.NewPlatform(p.env)
		if err != nil {
			return stop, err
		}
		stops = append(stops, platform.Close)
	}
	if size := p.run.Stack.Exec.Image; size > 0 {
		cert, err := p.run.PKI.Server.TLS()
		if err != nil {
			return stop, err
		}
		l, err := p.w.Platform.Listen("tcp", net.JoinHostPort(p.w.Platform.Addr().String(), "443"))
		if err != nil {
			return stop, err
		}
		files := new(httpfile.Files)
		files.Put(imagePath, image(p.run.Seed, size).Data)
		stops = append(stops, httpfile.Serve(l, &tls.Config{Certificates: []tls.Certificate{cert}, KeyLogWriter: p.w.KeyLog}, files))
	}
	return stop, nil
}
