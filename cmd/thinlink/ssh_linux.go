package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// carriesSSH reports whether an established SSH connection to this machine
// ends at an address of the interface, or of a bridge, bond or VLAN on it. sudo
// hides $SSH_CONNECTION, so the kernel is asked: a connection to port 22, or
// one that a server's process holds.
func carriesSSH(device string) (bool, error) {
	own, err := addressesOn(device)
	if err != nil {
		return false, err
	}
	servers := serverSockets()
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // no such family
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			c, ok := parseConnection(lines.Text())
			if ok && slices.Contains(own, c.local.Addr()) && (c.local.Port() == 22 || servers[c.inode]) {
				return true, nil
			}
		}
	}
	return false, nil
}

// addressesOn are an interface's and those of the interfaces on top of it
// (sysfs: upper_*).
func addressesOn(device string) (own []netip.Addr, err error) {
	iface, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", device, err)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", device, err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().WithZone(""))
		}
	}
	uppers, err := filepath.Glob(filepath.Join("/sys/class/net", device, "upper_*"))
	if err != nil {
		return nil, err
	}
	for _, path := range uppers {
		more, err := addressesOn(strings.TrimPrefix(filepath.Base(path), "upper_"))
		if err != nil {
			return nil, err
		}
		own = append(own, more...)
	}
	return own, nil
}

// serverSockets are the sockets of SSH servers' processes, by inode.
func serverSockets() map[string]bool {
	sockets := map[string]bool{}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return sockets
	}
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err != nil || !slices.Contains([]string{"sshd", "sshd-session", "dropbear"}, strings.TrimSpace(string(comm))) {
			continue
		}
		fds, err := filepath.Glob(filepath.Join(filepath.Dir(name), "fd", "*"))
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
				sockets[strings.Trim(to, "socket:[]")] = true
			}
		}
	}
	return sockets
}

// A connection is an established one of this machine's.
type connection struct {
	local netip.AddrPort
	inode string
}

// parseConnection reads a line of /proc/net/tcp or tcp6 (proc(5)).
func parseConnection(line string) (c connection, ok bool) {
	const established = "01"
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != established {
		return c, false
	}
	address, port, _ := strings.Cut(fields[1], ":")
	b, err := hex.DecodeString(address)
	p, portErr := hex.DecodeString(port)
	if err != nil || portErr != nil || len(b)%4 != 0 || len(p) != 2 {
		return c, false
	}
	for i := 0; i < len(b); i += 4 { // 32-bit words in the machine's order, little-endian
		slices.Reverse(b[i : i+4])
	}
	a, ok := netip.AddrFromSlice(b)
	return connection{netip.AddrPortFrom(a.Unmap(), uint16(p[0])<<8|uint16(p[1])), fields[9]}, ok
}

// detach makes a process that outlives its terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
