package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine looks at what engines depend on.
func machine() []finding {
	return slices.Concat([]finding{kernelVersion()}, modules(),
		[]finding{capabilities(), clockSource(), timerResolution(), tunDevice(), writable()})
}

func kernelVersion() finding {
	f := finding{thing: "kernel", state: "unknown"}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		f.state = fmt.Sprintf("Linux %s on %s", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]))
	}
	return f
}

// needed are the capabilities of engine tc.
var needed = []struct {
	bit  int
	name string
}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}}

func capabilities() finding {
	f := finding{thing: "privileges"}
	held, err := effectiveCapabilities()
	if err != nil {
		f.state, f.fix = err.Error(), "engine tc: sudo thinlink ..."
		return f
	}
	var have, lack []string
	for _, c := range needed {
		if held&(1<<c.bit) != 0 {
			have = append(have, c.name)
		} else {
			lack = append(lack, c.name)
		}
	}
	f.state = strings.Join(have, ", ")
	if len(lack) > 0 {
		f.state = "without " + strings.Join(lack, ", ")
		f.fix = "engine tc: sudo thinlink ..., or sudo setcap cap_net_admin,cap_sys_admin,cap_net_raw+ep $(command -v thinlink)"
	}
	return f
}

// effectiveCapabilities reads proc(5)'s CapEff.
func effectiveCapabilities() (uint64, error) {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if hex, ok := strings.CutPrefix(lines.Text(), "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no CapEff")
}

func clockSource() finding {
	f := finding{thing: "clock source", state: "unknown"}
	b, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if err != nil {
		return f
	}
	f.state = strings.TrimSpace(string(b))
	if f.state == "jiffies" || f.state == "acpi_pm" {
		f.fix = "engine tc measures coarsely with it: boot with another clock source (clocksource=tsc, arch_sys_counter)"
	}
	return f
}

func timerResolution() finding {
	f := finding{thing: "timers", state: "unknown"}
	var r unix.Timespec
	if unix.ClockGetres(unix.CLOCK_MONOTONIC, &r) != nil {
		return f
	}
	d := time.Duration(r.Nano())
	f.state = fmt.Sprintf("resolution %v", d)
	if d > time.Microsecond {
		f.fix = "engine tc delays packets by whole ticks: the kernel has no high-resolution timers (CONFIG_HIGH_RES_TIMERS)"
	}
	return f
}

func tunDevice() finding {
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return finding{"TUN", "no /dev/net/tun", "sudo modprobe tun; in a container: start it with --device /dev/net/tun"}
	}
	return finding{thing: "TUN", state: "/dev/net/tun is there"}
}

func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
