//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// requirePeers makes a missing peer a failure.
var requirePeers = os.Getenv("THINLINK_REQUIRE_PEERS") == "1"

// missing skips the test of a peer that is not there, or fails it.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if requirePeers {
		t.Fatalf("THINLINK_REQUIRE_PEERS=1: "+format, args...)
	}
	t.Skipf(format, args...)
}

// pinned is the version that peers.env gives a peer.
func pinned(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("peers.env")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + `=(\S+)$`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("peers.env has no %s", name)
	}
	return string(m[1])
}

// program finds a program of a Debian package by one of its names, and holds
// its version to the pin: what the program prints with args must contain it.
func program(t *testing.T, pin, pkg string, args []string, names ...string) string {
	t.Helper()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			path = filepath.Join("/usr/sbin", name) // not in everybody's PATH
			if _, err := os.Stat(path); err != nil {
				continue
			}
		}
		out, _ := exec.Command(path, args...).CombinedOutput() // some fail when asked for help
		first, _, _ := strings.Cut(string(out), "\n")
		if want := pinned(t, pin); !strings.Contains(string(out), want) {
			missing(t, "%s is %q, want version %s", name, first, want)
		}
		return path
	}
	missing(t, "%s: not installed: apt-get install %s", strings.Join(names, ", "), pkg)
	return ""
}

// cache is where make interop installs peers that are no system packages.
func cache(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("THINLINK_PEERS"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "thinlink", "peers")
}

// python is the interpreter of the environment that has a package of PyPI.
func python(t *testing.T, pin, pkg string) string {
	t.Helper()
	path := filepath.Join(cache(t), pkg+"-"+pinned(t, pin), "bin", "python")
	if _, err := os.Stat(path); err != nil {
		missing(t, "%s %s: not installed: make interop does", pkg, pinned(t, pin))
	}
	return path
}

// process is a peer that runs in a process group of its own.
type process struct {
	name   string
	cmd    *exec.Cmd
	within func(func() error) error // runs it elsewhere, if not nil
	done   chan struct{}            // closed when it has ended
	err    error                    // then

	mu   sync.Mutex
	out  bytes.Buffer
	more chan struct{} // closed by new output
}

// start runs a peer until it ends or the test does.
func start(t *testing.T, path string, args ...string) *process {
	t.Helper()
	return startWith(t, func(*process) {}, path, args...)
}

// startWith is start with something to prepare.
func startWith(t *testing.T, prepare func(*process), path string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(path), cmd: exec.Command(path, args...), done: make(chan struct{}), more: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	prepare(p)
	if err := p.launch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %q printed:\n%s", p.name, args, tail(p.output(), 60))
		}
	})
	return p
}

// launch starts the program and waits for it, both on one thread, which has to
// live as long: the program ends with it.
func (p *process) launch() error {
	if p.within == nil {
		p.within = func(f func() error) error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			return f()
		}
	}
	started := make(chan error, 2)
	go func() {
		p.err = p.within(func() error {
			err := p.cmd.Start()
			if started <- err; err != nil {
				return err
			}
			return p.cmd.Wait()
		})
		started <- p.err // of within itself
		close(p.done)
	}()
	return <-started
}

// startC is start for a program in C, whose output a pipe would hold back.
func startC(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := start(t, "stdbuf", append([]string{"-oL", "-eL", path}, args...)...)
	p.name = filepath.Base(path)
	return p
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kill ends the peer and its children.
func (p *process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Write takes what the peer prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.more)
	p.more = make(chan struct{})
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// expect waits until the peer has printed what matches and returns the groups.
func (p *process) expect(t *testing.T, pattern string, patience time.Duration) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for ended := false; ; {
		p.mu.Lock()
		m, more := re.FindStringSubmatch(p.out.String()), p.more
		p.mu.Unlock()
		if m != nil {
			return m
		}
		if ended {
			t.Fatalf("%s ended (%v) without %q:\n%s", p.name, p.err, pattern, p.output())
		}
		select {
		case <-more:
		case <-p.done:
			ended = true
		case <-timeout:
			t.Fatalf("%s did not print %q within %v:\n%s", p.name, pattern, patience, p.output())
		}
	}
}

// wait waits for the peer's end, which must be a success, and returns what it
// printed.
func (p *process) wait(t *testing.T, patience time.Duration) string {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s did not end within %v:\n%s", p.name, patience, p.output())
	}
	if p.err != nil {
		t.Fatalf("%s: %v:\n%s", p.name, p.err, p.output())
	}
	return p.output()
}

// run is start and wait.
func run(t *testing.T, patience time.Duration, path string, args ...string) string {
	t.Helper()
	return start(t, path, args...).wait(t, patience)
}

// lines reads what a peer prints line by line.
func lines(s string) (all []string) {
	for sc := bufio.NewScanner(strings.NewReader(s)); sc.Scan(); {
		all = append(all, sc.Text())
	}
	return all
}

// within is a context for one exchange.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("%s: not within %v", t.Name(), d))
	t.Cleanup(cancel)
	return ctx
}

// file writes a file of the test and returns its path.
func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
