package guest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/internal/vm"
)

// Main does /init's work and never returns, if this program is the first one
// of a machine of package vm; else it returns at once.
func Main() {
	if os.Getpid() != 1 {
		return
	}
	if _, err := os.Stat("/" + vm.TaskFile); err != nil {
		return
	}
	c := &console{}
	if err := run(c); err != nil {
		c.mark(vm.WordFailed, err.Error())
	} else {
		c.mark(vm.WordDone, "")
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // with -no-reboot QEMU ends
	select {}
}

func run(c *console) error {
	if err := mount(); err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return fmt.Errorf("console: %w", err)
	}
	data, err := os.ReadFile("/" + vm.TaskFile)
	if err != nil {
		return err
	}
	// A command may start this program as the first of another PID namespace.
	if err := os.Remove("/" + vm.TaskFile); err != nil {
		return err
	}
	var task vm.Task
	if err := json.Unmarshal(data, &task); err != nil {
		return fmt.Errorf("task: %w", err)
	}
	for _, m := range task.Modules {
		if err := load(m); err != nil {
			return fmt.Errorf("module %s: %w", m.Name, err)
		}
	}
	for _, args := range task.Commands {
		status, err := command(c, args, task.Env)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		c.mark(vm.WordStatus, fmt.Sprint(status))
	}
	return nil
}

func mount() error {
	for _, m := range []struct{ fs, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fs, m.at, m.fs, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

func load(m vm.Module) error {
	f, err := os.Open("/modules/" + m.Name + ".ko")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), m.Options, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// command runs one program and passes on what it writes to descriptor 3.
func command(c *console, args, env []string) (status int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir = env, "/tmp"
	cmd.Stdout, cmd.Stderr = c, c
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, err
	}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			c.mark(vm.WordLine, strings.TrimSuffix(line, "\n"))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	} else if err != nil {
		return 0, err
	}
	return 0, nil
}

// console is the serial line, which commands and marks share.
type console struct {
	mu   sync.Mutex
	file *os.File
}

// open takes the console and stops it from changing bytes.
func (c *console) open() (err error) {
	if c.file, err = os.OpenFile("/dev/console", os.O_RDWR, 0); err != nil {
		return err
	}
	fd := int(c.file.Fd())
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.OPOST
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Write(b)
}

// mark writes a line for the machine outside.
func (c *console) mark(word, content string) {
	line := vm.Mark + word + " " + strings.ReplaceAll(content, "\n", "; ") + "\n"
	if c.file == nil {
		os.Stdout.WriteString(line)
		return
	}
	c.Write([]byte(line))
}
