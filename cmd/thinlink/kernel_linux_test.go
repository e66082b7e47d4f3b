package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The tests in this file run the program itself as root where the kernel has
// netem: make test-kernel runs them in a virtual machine.

// machineUnderTest makes an interface shaped0, 192.0.2.1, with a host behind
// it, 192.0.2.2, in which inside runs a function.
func machineUnderTest(t *testing.T) (inside func(func() error) error) {
	t.Helper()
	if os.Getenv("THINLINK_VM") == "" {
		t.Skip("needs a machine of its own: make test-kernel")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := netns.New() // and enters it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close(); own.Close() })
	if err := netns.Set(own); err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "shaped0"
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = "eth0", netlink.NsFd(int(peer))
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.LinkDel(veth) })
	inside = func(f func() error) error {
		done := make(chan error, 1)
		go func() {
			runtime.LockOSThread() // the thread ends with it
			if err := netns.Set(peer); err != nil {
				done <- err
				return
			}
			done <- f()
		}()
		return <-done
	}
	up := func(name, address string) error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		return errors.Join(netlink.AddrAdd(link, addr), netlink.LinkSetUp(link))
	}
	if err := errors.Join(up("shaped0", "192.0.2.1/24"), inside(func() error { return up("eth0", "192.0.2.2/24") })); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // addresses of IPv6 settle
	return inside
}

// inventory is what ip and tc would print of this machine.
func inventory(t *testing.T) string {
	t.Helper()
	var lines []string
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		a := l.Attrs()
		lines = append(lines, fmt.Sprintf("%s %s mtu %d qlen %d flags %v", l.Type(), a.Name, a.MTU, a.TxQLen, a.Flags))
		qdiscs, err := netlink.QdiscList(l)
		if err != nil {
			t.Fatal(err)
		}
		addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		routes, err := netlink.RouteList(l, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range qdiscs {
			lines = append(lines, fmt.Sprintf("  %s %+v", q.Type(), q.Attrs()))
		}
		for _, x := range addrs {
			lines = append(lines, "  "+x.IPNet.String())
		}
		for _, r := range routes {
			lines = append(lines, "  "+r.String())
		}
	}
	return strings.Join(lines, "\n")
}

// namespaces are the network namespaces that a process is in or holds; of every
// process if it is "*".
func namespaces(t *testing.T, pid string) (found []string) {
	t.Helper()
	for _, of := range []string{"/task/*/ns/net", "/fd/*"} {
		files, err := filepath.Glob("/proc/" + pid + of)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if to, _ := os.Readlink(file); strings.HasPrefix(to, "net:[") { // it may have ended
				found = append(found, to)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// theProgram runs it and wants its exit status.
func theProgram(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command("thinlink", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("thinlink %s: status %d, want %d: %v\n%s%s", strings.Join(args, " "), got, status, err, &out, &errs)
	}
	return out.String(), errs.String()
}

func unchanged(t *testing.T, before, when string) {
	t.Helper()
	if after := inventory(t); after != before {
		t.Fatalf("%s, before:\n%s\nafter:\n%s", when, before, after)
	}
}

func TestKernelShapeCommands(t *testing.T) {
	machineUnderTest(t)
	before := inventory(t)
	_, stderr := theProgram(t, 0, "shape", "apply", "nbiot", "--dev", "shaped0", "--to", "192.0.2.2:8883")
	if !strings.Contains(stderr, "radio.rrc") {
		t.Errorf("no warning of what netem cannot do: %s", stderr)
	}
	out, _ := theProgram(t, 0, "shape", "show")
	for _, want := range []string{"shaped0 behaves like nbiot since ", "to or from 192.0.2.2 port 8883", "56.248 kbit/s, 125ms late", "tc qdisc add dev shaped0 parent 7e11:2 handle 7e12: netem limit "} {
		if !strings.Contains(out, want) {
			t.Errorf("show has no %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "changed since") {
		t.Errorf("the kernel has something else:\n%s", out)
	}
	_, stderr = theProgram(t, 3, "shape", "apply", "ltem", "--dev", "shaped0")
	if !strings.Contains(stderr, "clear it first") {
		t.Errorf("shaped twice: %s", stderr)
	}
	theProgram(t, 0, "doctor", "--fix", "--engine", "tc")
	if out, _ = theProgram(t, 0, "shape", "show"); !strings.Contains(out, "shaped0") {
		t.Errorf("doctor --fix removed what is no leftover: %s", out)
	}
	theProgram(t, 0, "shape", "clear")
	unchanged(t, before, "cleared")
	if out, _ = theProgram(t, 0, "shape", "show"); !strings.Contains(out, "no interface is shaped") {
		t.Errorf("show after clear: %s", out)
	}
	theProgram(t, 2, "shape", "clear", "--dev", "shaped0")
	for _, wrong := range [][]string{
		{"--to", "192.0.2.2:0"}, {"--uid", "nobody-of-this-name"}, {"--from", "shaped0"}, {"--uid", "0", "--to", "192.0.2.2"},
	} {
		theProgram(t, 2, append([]string{"shape", "apply", "ltem", "--dev", "shaped0"}, wrong...)...)
		unchanged(t, before, strings.Join(wrong, " "))
	}
	theProgram(t, 3, "shape", "apply", "ltem", "--dev", "shaped0", "--from", "none0")
	unchanged(t, before, "an interface that is not there")
}

// TestKernelShapeSSH holds connections as an SSH server does.
func TestKernelShapeSSH(t *testing.T) {
	inside := machineUnderTest(t)
	before := inventory(t)
	refuses := func() {
		t.Helper()
		_, stderr := theProgram(t, 2, "shape", "apply", "ltem", "--dev", "shaped0")
		if !strings.Contains(stderr, "carries an SSH connection") {
			t.Errorf("got %s", stderr)
		}
		unchanged(t, before, "refused")
	}
	dial := func(address string) net.Conn {
		t.Helper()
		var c net.Conn
		err := inside(func() (err error) {
			c, err = net.DialTimeout("tcp", address, 10*time.Second)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ln, err := net.Listen("tcp", "192.0.2.1:22")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := dial("192.0.2.1:22")
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	refuses()
	theProgram(t, 0, "shape", "apply", "ltem", "--dev", "shaped0", "--yes")
	theProgram(t, 0, "shape", "clear")
	unchanged(t, before, "applied with --yes and cleared")
	c.Close()
	server.Close()
	theProgram(t, 0, "shape", "apply", "ltem", "--dev", "shaped0")
	theProgram(t, 0, "shape", "clear")

	// A server on another port is known by its process.
	sshd := exec.Command("/tmp/sshd")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, "/tmp/sshd"); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/tmp/sshd")
	sshd.Env = append(os.Environ(), "THINLINK_TEST_SSHD=192.0.2.1:2222")
	ready, err := sshd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sshd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		sshd.Process.Kill()
		sshd.Wait()
	}()
	io.ReadFull(ready, make([]byte, 1))
	dial("192.0.2.1:2222")
	time.Sleep(time.Second)
	refuses()
}

// TestKernelShapeTry: what is not confirmed reverts by itself, whatever becomes
// of the process.
func TestKernelShapeTry(t *testing.T) {
	machineUnderTest(t)
	before := inventory(t)
	for _, test := range []struct {
		name string
		act  func(p *os.Process, stdin io.WriteCloser)
		kept bool
		ends time.Duration // within
	}{
		{"confirmed", func(_ *os.Process, in io.WriteCloser) { in.Write([]byte("\n")) }, true, 5 * time.Second},
		{"nobody answers", func(*os.Process, io.WriteCloser) {}, false, 62 * time.Second},
		{"the terminal is gone", func(_ *os.Process, in io.WriteCloser) { in.Close() }, false, 5 * time.Second},
		{"hung up", func(p *os.Process, _ io.WriteCloser) { p.Signal(syscall.SIGHUP) }, false, 62 * time.Second},
		{"terminated", func(p *os.Process, _ io.WriteCloser) { p.Signal(syscall.SIGTERM) }, false, 62 * time.Second},
		{"killed", func(p *os.Process, _ io.WriteCloser) { p.Kill() }, false, 62 * time.Second},
	} {
		cmd := exec.Command("thinlink", "shape", "try", "ltem", "--dev", "shaped0")
		cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(io.LimitReader(stdout, 30)) // it is in force
		if err != nil || !strings.HasPrefix(string(said), "shaped0 is shaped as ltem") {
			t.Fatalf("%s: %q, %v", test.name, said, err)
		}
		if inventory(t) == before {
			t.Fatalf("%s: nothing is shaped", test.name)
		}
		start := time.Now()
		test.act(cmd.Process, stdin)
		go io.Copy(io.Discard, stdout)
		cmd.Process.Wait()
		for !test.kept && time.Since(start) < test.ends && inventory(t) != before {
			time.Sleep(100 * time.Millisecond)
		}
		if test.kept {
			time.Sleep(70 * time.Second)
			if inventory(t) == before {
				t.Errorf("%s: reverted all the same", test.name)
			}
			theProgram(t, 0, "shape", "clear")
		}
		unchanged(t, before, test.name)
		if out, _ := theProgram(t, 0, "shape", "show"); !strings.Contains(out, "no interface is shaped") {
			t.Errorf("%s: %s", test.name, out)
		}
	}
}

// TestKernelKilledCommands kills the program at random moments; after doctor
// --fix and, of a shaping that was whole, clear, the machine is what it was.
func TestKernelKilledCommands(t *testing.T) {
	machineUnderTest(t)
	before, inhabited := inventory(t), namespaces(t, "*")
	rng := rand.New(rand.NewPCG(1, 2))
	for _, command := range []struct {
		args   string
		within time.Duration
		kills  int
	}{
		{"run ping -p ltem --stack udp --engine tc --set count=2 --set trains=1", 3 * time.Second, 50},
		{"shape apply ltem --dev shaped0", 250 * time.Millisecond, 50},
		{"shape apply ltem --dev shaped0 --to 192.0.2.2:8883", 250 * time.Millisecond, 25},
		{"shape try ltem --dev shaped0", 250 * time.Millisecond, 25},
	} {
		begun := 0
		for i := range command.kills {
			cmd := exec.Command("thinlink", strings.Fields(command.args)...)
			in, err := cmd.StdinPipe() // never written to
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.Int64N(int64(command.within))))
			inside := len(namespaces(t, strconv.Itoa(cmd.Process.Pid))) > 1 // a run changes only namespaces of its own
			cmd.Process.Kill()
			cmd.Process.Wait()
			in.Close()
			if inside || inventory(t) != before {
				begun++
			}
			theProgram(t, 0, "doctor", "--fix", "--engine", "tc")
			if out, _ := theProgram(t, 0, "shape", "show"); !strings.Contains(out, "no interface") {
				theProgram(t, 0, "shape", "clear") // it was in force
			}
			unchanged(t, before, fmt.Sprintf("%s, kill %d", command.args, i))
			if now := namespaces(t, "*"); !slices.Equal(now, inhabited) {
				t.Errorf("%s, kill %d: processes are in %v, were in %v", command.args, i, now, inhabited)
			}
		}
		t.Logf("%s: killed %d times, %d of them with the machine changed or namespaces of its own", command.args, command.kills, begun)
		if begun < command.kills/2 {
			t.Errorf("%s: the moments do not cover it: %d", command.args, begun)
		}
	}
	time.Sleep(70 * time.Second) // what try left to revert has ended
	unchanged(t, before, "later")
}
