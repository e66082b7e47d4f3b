package tun

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reexec prepares a command, which is this program again, to be the first
// process of its own process and mount namespaces: with it ends everything that
// it has started. Without root it also gets a user namespace, in which it has
// the user's own ID and the capabilities that a Bed needs.
func Reexec(cmd *exec.Cmd) {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE}
	}
	cmd.SysProcAttr = attr
}

// Explain turns the error of starting a command of Reexec into a
// *MissingError, if it is one of permissions.
func Explain(err error) error {
	if err == nil || !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if os.Geteuid() == 0 {
		return &MissingError{"root may not make namespaces here (" + err.Error() + ")", "a container needs the capability SYS_ADMIN"}
	}
	for _, s := range []struct{ path, bad, fix string }{
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000"},
	} {
		if value, err := os.ReadFile(s.path); err == nil && strings.TrimSpace(string(value)) == s.bad {
			return &MissingError{"ordinary users may not make user namespaces (" + s.path + " is " + s.bad + ")", s.fix + ", or run thinlink with sudo"}
		}
	}
	return &MissingError{fmt.Sprintf("no user namespace (%v)", err), "run thinlink with sudo; in a container, its security profile forbids user namespaces"}
}
