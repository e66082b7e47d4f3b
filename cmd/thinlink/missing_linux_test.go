package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/thinlink/thinlink/netem/tc"
)

// TestMissing: what the machine lacks for the kernel's engines, privileges
// included, is one clear message and status 3, and nothing changes.
func TestMissing(t *testing.T) {
	before := inventory(t)
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for the other user
		t.Fatal(err)
	}
	program := filepath.Join(dir, "thinlink") // under this name it is the command
	copyFile(t, program)
	var missing *tc.MissingError
	lacks := errors.As(tc.Check(), &missing)
	for _, user := range []uint32{0, 65534} {
		if user == 0 && !lacks || user > 0 && os.Geteuid() != 0 {
			continue // it works here, or the user is nobody already
		}
		for _, args := range []string{
			"run ping -p ltem --engine tc -o " + filepath.Join(dir, "out"),
			"shape apply ltem --dev lo --yes",
			"shape try ltem --dev lo",
			"doctor --engine tc",
		} {
			cmd := exec.Command(program, strings.Fields(args)...)
			cmd.Env = append(os.Environ(), "THINLINK_TEST_BUILT=1", "HOME="+dir)
			cmd.Dir = dir
			if os.Geteuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
			}
			var said strings.Builder
			cmd.Stderr = &said
			err := cmd.Run()
			if status := cmd.ProcessState.ExitCode(); status != 3 {
				t.Errorf("user %d, thinlink %s: status %d, %v: %s", user, args, status, err, &said)
			}
			if lines := strings.Count(strings.TrimSpace(stripWarnings(said.String())), "\n"); lines > 0 || said.Len() == 0 {
				t.Errorf("user %d, thinlink %s: want one message: %s", user, args, &said)
			}
			if after := inventory(t); after != before {
				t.Fatalf("user %d, thinlink %s changed the machine, before:\n%s\nafter:\n%s", user, args, before, after)
			}
			t.Logf("user %d, thinlink %s: %s", user, strings.Fields(args)[0], strings.TrimSpace(stripWarnings(said.String())))
		}
		if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
			t.Error("results were written")
		}
	}
}

// stripWarnings leaves the messages.
func stripWarnings(text string) string {
	var rest strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "warning:") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// copyFile makes a copy of this program that everybody may run.
func copyFile(t *testing.T, to string) {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, self); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
