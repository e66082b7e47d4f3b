// Command kerneltest runs packages' tests under a stock Debian kernel, for
// machines whose own kernel has no netem: make test-kernel.
//
// It prints what the tests print and, last, how many passed.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/vm"
	"github.com/thinlink/thinlink/internal/vm/guest"
)

func main() {
	guest.Main() // in the machine this program is /init
	var o options
	flag.StringVar(&o.arch, "arch", runtime.GOARCH, "architecture of the guest")
	flag.BoolVar(&o.generic, "generic", false, "use the kernel for real machines, not the one for clouds")
	flag.Func("module", "module to load, with its options; repeats", func(s string) error {
		name, opts, _ := strings.Cut(s, " ")
		o.modules = append(o.modules, vm.Module{Name: name, Options: opts})
		return nil
	})
	flag.StringVar(&o.run, "run", "", "tests to run, as go test -run")
	flag.DurationVar(&o.limit, "limit", 10*time.Minute, "real time after which the machine is stopped")
	flag.BoolVar(&o.verbose, "v", false, "print what the tests print")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := test(ctx, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "kerneltest:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	arch, run        string
	generic, verbose bool
	modules          []vm.Module
	limit            time.Duration
}

func test(ctx context.Context, o options, pkgs []string) error {
	arch, err := vm.ArchitectureOf(o.arch)
	if err != nil {
		return err
	}
	if o.generic {
		arch = arch.Generic()
	}
	kernel, err := vm.FindKernel(ctx, arch, true)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "thinlink-kerneltest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &vm.Machine{Kernel: kernel, Init: filepath.Join(dir, "init"), Modules: o.modules}
	if err := build(ctx, o.arch, "build", m.Init, "./internal/vm/kerneltest"); err != nil {
		return err
	}
	for i, pkg := range pkgs {
		name := fmt.Sprintf("bin/test%d", i)
		path := filepath.Join(dir, filepath.Base(name))
		if err := build(ctx, o.arch, "test", path, pkg); err != nil {
			return err
		}
		m.Files = append(m.Files, vm.File{Name: name, Mode: 0o755, Path: path})
		m.Commands = append(m.Commands, []string{"/" + name, "-test.v", "-test.run", o.run, "-test.timeout", "0"})
	}
	// Tests of the command find it there.
	program := filepath.Join(dir, "thinlink")
	if err := build(ctx, o.arch, "build", program, "./cmd/thinlink"); err != nil {
		return err
	}
	m.Files = append(m.Files, vm.File{Name: "bin/thinlink", Mode: 0o755, Path: program})
	c := &counter{verbose: o.verbose}
	m.Console = c
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	statuses, err := m.Run(ctx)
	if err != nil {
		c.explain()
		return err
	}
	for i, s := range statuses {
		if s != 0 {
			c.explain()
			return fmt.Errorf("%s: exit status %d", pkgs[i], s)
		}
	}
	if c.passed == 0 || c.skipped > 0 {
		c.explain()
		return fmt.Errorf("%d tests passed, %d were skipped", c.passed, c.skipped)
	}
	fmt.Printf("ok: %d tests passed under Linux %s (%s) in %.0f s\n", c.passed, kernel.Release, o.arch, time.Since(start).Seconds())
	return nil
}

// build compiles a static program for the guest: "build" a command, "test" a
// package's tests.
func build(ctx context.Context, arch, what, to, pkg string) error {
	args := []string{"build", "-o", to, pkg}
	if what == "test" {
		args = []string{"test", "-c", "-o", to, pkg}
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("compile %s: %w", pkg, err)
	}
	return nil
}

// explain prints what the tests printed, unless that was done.
func (c *counter) explain() {
	if !c.verbose {
		io.Copy(os.Stdout, &c.all)
	}
}

// counter counts what the tests print.
type counter struct {
	verbose         bool
	all             bytes.Buffer
	passed, skipped int
}

func (c *counter) Write(b []byte) (int, error) {
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "--- PASS"):
			c.passed++
		case strings.HasPrefix(line, "--- SKIP"):
			c.skipped++
		case !c.verbose:
			continue
		}
		fmt.Println(line)
	}
	return c.all.Write(b)
}
