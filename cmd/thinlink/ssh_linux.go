package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// carriesSSH reports whether an established SSH connection to this machine
// ends at an address of the interface. sudo hides $SSH_CONNECTION, so the
// kernel is asked.
func carriesSSH(device string) (bool, error) {
	iface, err := net.InterfaceByName(device)
	if err != nil {
		return false, fmt.Errorf("interface %s: %w", device, err)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return false, fmt.Errorf("interface %s: %w", device, err)
	}
	var own []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().WithZone(""))
		}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // no such family
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if a, ok := sshPeer(lines.Text()); ok && slices.Contains(own, a) {
				return true, nil
			}
		}
	}
	return false, nil
}

// sshPeer is the local address of a line of /proc/net/tcp that is an
// established connection to port 22 (proc(5)).
func sshPeer(line string) (netip.Addr, bool) {
	const established, port = "01", "0016"
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[3] != established {
		return netip.Addr{}, false
	}
	text, local, _ := strings.Cut(fields[1], ":")
	b, err := hex.DecodeString(text)
	if err != nil || local != port || len(b)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 { // 32-bit words in the machine's order, little-endian
		slices.Reverse(b[i : i+4])
	}
	a, ok := netip.AddrFromSlice(b)
	return a.Unmap(), ok
}

// detach makes a process that outlives its terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
