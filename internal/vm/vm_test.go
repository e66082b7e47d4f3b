package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// readCPIO is a reader of the "newc" format for the tests.
func readCPIO(t *testing.T, b []byte) (names []string, content map[string]string, modes map[string]uint64) {
	t.Helper()
	content, modes = map[string]string{}, map[string]uint64{}
	for at := 0; ; {
		header := string(b[at : at+110])
		if !strings.HasPrefix(header, "070701") {
			t.Fatalf("at %d: %q is no header", at, header[:6])
		}
		field := func(i int) uint64 {
			v, err := strconv.ParseUint(header[6+8*i:14+8*i], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		size, length := int(field(6)), int(field(11))
		name := string(b[at+110 : at+110+length-1])
		at = (at + 110 + length + 3) &^ 3
		if name == "TRAILER!!!" {
			if at != len(b) {
				t.Errorf("%d bytes after the trailer", len(b)-at)
			}
			return names, content, modes
		}
		names = append(names, name)
		content[name], modes[name] = string(b[at:at+size]), field(1)
		at = (at + size + 3) &^ 3
	}
}

func TestCPIO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	err := writeCPIO(&buf, []File{
		{Name: "init", Mode: 0o755, Path: path}, {Name: "a/b/c", Mode: 0o644, Data: []byte("x")}, {Name: "a/d", Mode: 0o600},
	})
	if err != nil {
		t.Fatal(err)
	}
	names, content, modes := readCPIO(t, buf.Bytes())
	if want := []string{"init", "a", "a/b", "a/b/c", "a/d"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if content["init"] != "12345" || content["a/b/c"] != "x" || modes["init"] != 0o100755 || modes["a/b"] != 0o40755 {
		t.Errorf("content %q, modes %v", content, modes)
	}
	if err := writeCPIO(&buf, []File{{Name: "x", Path: filepath.Join(t.TempDir(), "missing")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestSerial(t *testing.T) {
	var console bytes.Buffer
	var lines []string
	s := &serial{m: &Machine{Console: &console, Line: func(b []byte) error {
		lines = append(lines, string(b))
		return nil
	}}}
	err := s.read(strings.NewReader("boot\r\nhello" + Mark + "line {\"a\": 1}\n" + Mark + "status 3\r\nbye\n" + Mark + "done \n"))
	if err != nil {
		t.Fatal(err)
	}
	if console.String() != "boot\nhellobye\n" || !slices.Equal(lines, []string{`{"a": 1}`}) || !slices.Equal(s.statuses, []int{3}) || !s.done {
		t.Errorf("console %q, lines %q, statuses %v, done %v", console.String(), lines, s.statuses, s.done)
	}
	if err := s.read(strings.NewReader(Mark + "failed no module\n")); err != nil || s.failed != "no module" {
		t.Errorf("failed %q, %v", s.failed, err)
	}
}

// fakeMachine is a machine whose QEMU is a shell script.
func fakeMachine(t *testing.T, script string) *Machine {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "qemu-system-fake")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return &Machine{Init: path, Kernel: &Kernel{Arch: &Architecture{program: "qemu-system-fake"}, Modules: dir}}
}

func TestRun(t *testing.T) {
	m := fakeMachine(t, `printf '\001thinlink-vm:status 0\n\001thinlink-vm:status 1\n\001thinlink-vm:done \n'`)
	statuses, err := m.Run(t.Context())
	if err != nil || !slices.Equal(statuses, []int{0, 1}) {
		t.Errorf("got %v, %v", statuses, err)
	}
	for script, want := range map[string]string{
		"echo oops":     "ended without a result: oops",
		"echo bad >&2":  "ended without a result: bad",
		"exec sleep 60": "too long",
		`printf '\001thinlink-vm:failed no module\n'`: "guest: no module",
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("never"))
		if strings.Contains(script, "sleep") {
			cancel()
			ctx, cancel = context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("too long"))
		}
		_, err := fakeMachine(t, script).Run(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	var missing *MissingError
	for name := range architectures {
		arch, err := ArchitectureOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := arch.Check(); !errors.As(err, &missing) || !strings.Contains(err.Error(), "apt-get install --no-install-recommends qemu-system-") {
			t.Errorf("%s without QEMU: %v", name, err)
		}
		for _, fetch := range []bool{false, true} {
			if _, err := FindKernel(t.Context(), arch, fetch); !errors.As(err, &missing) || !strings.Contains(err.Error(), "thinlink doctor --fix") {
				t.Errorf("%s without a kernel: %v", name, err)
			}
		}
	}
	if _, err := ArchitectureOf("mips"); !errors.As(err, &missing) {
		t.Errorf("mips: %v", err)
	}
}

func TestCached(t *testing.T) {
	dir := t.TempDir()
	arch := architectures["amd64"]
	if k := cached(arch, dir); k != nil {
		t.Errorf("an empty cache has %+v", k)
	}
	for i, name := range []string{"6.1.0-56-cloud-amd64", "6.1.0-9-cloud-amd64", "6.12.1-cloud-arm64"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1e9-int64(i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if k := cached(arch, dir); k == nil || k.Release != "6.1.0-56-cloud-amd64" {
		t.Errorf("got %+v", k)
	}
}

// The name of the kernel's package is what a metapackage depends on.
func TestImageName(t *testing.T) {
	for text, want := range map[string]string{
		"linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n":      "6.1.0-56-cloud-amd64",
		"linux-image-cloud-arm64\n  Depends: linux-image-6.12.48+deb13-cloud-arm64\n": "6.12.48+deb13-cloud-arm64",
	} {
		if m := imageName.FindStringSubmatch(text); m == nil || m[1] != want {
			t.Errorf("%q: %q, want %q", text, m, want)
		}
	}
}

func TestDepends(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := depends(self); err == nil || !strings.Contains(fmt.Sprint(err), ".modinfo") {
		t.Errorf("a program that is no module: %v", err)
	}
}
