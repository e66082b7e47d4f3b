//go:build interop

package interop

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/clients/pki"
	"github.com/thinlink/thinlink/internal/sockets"
	"github.com/thinlink/thinlink/netem/tc"
)

// The two ends of every exchange. Each is the other's source address, so that
// a client that binds to nothing comes from the other end.
var (
	platformAddr = netip.MustParseAddr("10.77.0.1")
	deviceAddr   = netip.MustParseAddr("10.77.0.2")
	natAddr      = netip.MustParseAddr("10.77.0.3") // of what may stand between them
)

// insideEnv tells the process in the namespace from the one that made it.
const insideEnv = "THINLINK_INTEROP_INSIDE"

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) == "" {
		os.Exit(inNamespace())
	}
	if err := layWire(); err != nil {
		fmt.Fprintln(os.Stderr, "interop: network namespace:", err)
		os.Exit(1)
	}
	code := m.Run()
	if code == 0 {
		if err := checkPage(); err != nil {
			fmt.Fprintln(os.Stderr, "interop:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// inNamespace runs this program again in namespaces of its own and returns its
// exit status.
func inNamespace() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop: network namespace:", err, "(user namespaces must be allowed, or run as root)")
		return 1
	}
	return 0
}

// layWire makes the loopback device a wire between the two ends.
func layWire() error {
	if err := nameHosts(); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.LinkSetMTU(lo, 1500), netlink.LinkSetUp(lo), tc.OnePacketEach("lo")); err != nil {
		return err
	}
	for _, a := range []netip.Addr{platformAddr, deviceAddr, natAddr} {
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: netlink.NewIPNet(a.AsSlice())}); err != nil {
			return err
		}
	}
	for src, dst := range map[netip.Addr]netip.Addr{platformAddr: deviceAddr, deviceAddr: platformAddr, natAddr: deviceAddr} {
		route := &netlink.Route{
			LinkIndex: lo.Attrs().Index, Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST,
			Protocol: unix.RTPROT_KERNEL, Dst: netlink.NewIPNet(dst.AsSlice()), Src: src.AsSlice(),
		}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("route: %w", err)
		}
	}
	return nil
}

// nameHosts lets the platform's name lead to it, for all peers.
func nameHosts() error {
	names := filepath.Join(os.TempDir(), fmt.Sprintf("thinlink-interop-hosts-%d", os.Getpid()))
	text := fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", platformAddr, pki.ServerName)
	if err := os.WriteFile(names, []byte(text), 0o644); err != nil {
		return err
	}
	defer os.Remove(names) // the mount keeps it
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	return unix.Mount(names, "/etc/hosts", "", unix.MS_BIND, "")
}

// The two ends' sockets.
var (
	platformHost = &sockets.Host{IP: platformAddr}
	deviceHost   = &sockets.Host{IP: deviceAddr}
)
