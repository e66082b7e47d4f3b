// Package vm runs programs under a stock Debian kernel in QEMU, with a clock
// that counts instructions: no root and no KVM, idle time is skipped, and the
// host's load does not change what the guest measures.
//
// Its nouns: a Kernel is an unpacked kernel package; a Machine boots it with
// an initramfs made for the occasion and runs Commands in it one after the
// other; what they print is copied, what they write to descriptor 3 comes back
// line by line. /init is any static program that calls guest.Main first.
//
//	kernel, err := vm.FindKernel(ctx, vm.Arch(), fetch)
//	m := &vm.Machine{Kernel: kernel, Init: executable, Files: files, Commands: commands, Console: os.Stdout}
//	status, err := m.Run(ctx)
//
// Limitations: one virtual processor, as instruction counting wants; two runs
// are nearly, not always, identical; time-outs inside the guest count its own
// time, so bound Run with a context.
package vm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A File is put into the guest's root file system.
type File struct {
	Name string // from the root on, without leading slash
	Mode os.FileMode
	Path string // the host's file; or
	Data []byte
}

// Machine is one boot.
type Machine struct {
	Kernel *Kernel
	// Init is the path of a static Linux program that calls guest.Main.
	Init     string
	Files    []File
	Commands [][]string
	// Modules are loaded after those that shaping needs.
	Modules []Module
	// Seed is of the processor's random numbers, from which the kernel seeds
	// its own: losses that netem draws differ from seed to seed and repeat.
	Seed uint64
	// MemoryMB is the guest's memory; 0 is 512.
	MemoryMB int
	// Console receives what the commands print; nil discards it.
	Console io.Writer
	// Line receives each line that a command writes to descriptor 3.
	Line func(line []byte) error
}

// Task is what the guest's /init reads from TaskFile.
type Task struct {
	Modules  []Module   `json:"modules"` // in order of loading
	Commands [][]string `json:"commands"`
	Env      []string   `json:"env"`
}

// TaskFile is where /init finds its Task.
const TaskFile = "thinlink-vm.json"

// Lines on the serial console that begin with Mark are /init's: Mark, a word,
// a blank, its content.
const (
	Mark       = "\x01thinlink-vm:"
	WordStatus = "status" // of a command, in order
	WordLine   = "line"   // from a command's descriptor 3
	WordDone   = "done"   // after all commands
	WordFailed = "failed" // /init could not do its work
)

// Run boots the machine, runs the commands and returns their exit statuses.
// The error is a *MissingError if QEMU is not there; a guest that ends without
// saying that it is done is an error with its last words.
func (m *Machine) Run(ctx context.Context) (statuses []int, err error) {
	qemu, err := m.Kernel.Arch.qemu()
	if err != nil {
		return nil, err
	}
	initrd, err := m.initramfs()
	if err != nil {
		return nil, err
	}
	defer os.Remove(initrd)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, qemu, m.arguments(initrd)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("vm: %w", err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("vm: %w", err)
	}
	s := &serial{m: m}
	readErr := s.read(out)
	if readErr != nil {
		cancel(readErr)
	}
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return s.statuses, fmt.Errorf("vm: %w", context.Cause(ctx))
	case s.failed != "":
		return s.statuses, fmt.Errorf("vm: guest: %s", s.failed)
	case !s.done:
		return s.statuses, fmt.Errorf("vm: the guest ended without a result: %s", lastWords(stderr.String()+s.tail.String(), waitErr))
	}
	return s.statuses, nil
}

// lastWords are the end of what a machine said.
func lastWords(text string, err error) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	words := strings.Join(lines[max(0, len(lines)-5):], "; ")
	if words == "" && err != nil {
		return err.Error()
	}
	return words
}

func (m *Machine) arguments(initrd string) []string {
	memory := m.MemoryMB
	if memory == 0 {
		memory = 512
	}
	a := m.Kernel.Arch
	args := append([]string{}, a.machine...)
	return append(args,
		"-accel", "tcg", "-icount", "shift=0,align=off,sleep=off",
		"-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", strconv.FormatUint(m.Seed, 10), "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", m.Kernel.Image, "-initrd", initrd,
		"-append", "console="+a.console+" nokaslr mitigations=off nolapic panic=-1 quiet loglevel=1")
}

// initramfs writes the root file system into a temporary file.
func (m *Machine) initramfs() (name string, err error) {
	modules, files, err := m.Kernel.modules(m.Modules)
	if err != nil {
		return "", err
	}
	task, err := json.Marshal(Task{Modules: modules, Commands: m.Commands, Env: []string{
		"PATH=/bin", "HOME=/", "TMPDIR=/tmp", "THINLINK_VM=1",
	}})
	if err != nil {
		return "", fmt.Errorf("vm: %w", err)
	}
	f, err := os.CreateTemp("", "thinlink-vm-")
	if err != nil {
		return "", fmt.Errorf("vm: %w", err)
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("vm: initramfs: %w", err)
		}
	}()
	all := append([]File{{Name: "init", Mode: 0o755, Path: m.Init}, {Name: TaskFile, Mode: 0o644, Data: task}}, files...)
	w := bufio.NewWriterSize(f, 1<<20)
	if err := writeCPIO(w, append(all, m.Files...)); err != nil {
		return "", err
	}
	return f.Name(), w.Flush()
}

// serial reads the console.
type serial struct {
	m        *Machine
	statuses []int
	done     bool
	failed   string
	tail     tail
}

func (s *serial) read(r io.Reader) error {
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := s.line(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *serial) line(line []byte) error {
	at := bytes.Index(line, []byte(Mark))
	text := line
	if at >= 0 {
		text = line[:at] // what a command printed without ending its line
	}
	if len(text) > 0 {
		s.tail.Write(text)
		if s.m.Console != nil {
			if _, err := s.m.Console.Write(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))); err != nil {
				return err
			}
		}
	}
	if at < 0 {
		return nil
	}
	word, content, _ := strings.Cut(string(bytes.TrimRight(line[at+len(Mark):], "\r\n")), " ")
	switch word {
	case WordStatus:
		n, err := strconv.Atoi(content)
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		s.statuses = append(s.statuses, n)
	case WordLine:
		if s.m.Line != nil {
			return s.m.Line([]byte(content))
		}
	case WordDone:
		s.done = true
	case WordFailed:
		s.failed = content
	}
	return nil
}

// tail keeps the last that was said.
type tail struct{ bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	const keep = 1 << 13
	n, err := t.Buffer.Write(b)
	if t.Len() > 2*keep {
		t.Next(t.Len() - keep)
	}
	return n, err
}

// CacheDir is where kernels are kept, below the user's cache directory.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("vm: %w", err)
	}
	return filepath.Join(dir, "thinlink", "kernel"), nil
}
