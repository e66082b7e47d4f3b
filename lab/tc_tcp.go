package lab

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"

	"github.com/thinlink/thinlink/netem/tc"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// kernelHost configures a host of engines tc and vm as a stack's YAML says.
func kernelHost(addr netip.Addr, t TCPHost) tc.HostConfig {
	return tc.HostConfig{
		Addr: addr, Sysctls: tcpSysctls(t.Config),
		KeepAlive: net.KeepAliveConfig{
			Enable: t.KeepAlive > 0, Idle: t.KeepAlive, Interval: t.KeepAliveInterval, Count: t.KeepAliveProbes,
		},
	}
}

// tcpSysctls are the settings of Linux's TCP (Documentation/networking/
// ip-sysctl.rst) that differ from the kernel's own. A kernel's own are left
// alone: they are what is to be measured.
func tcpSysctls(c tcp.Config) map[string]string {
	own := sysctlsOf(tcp.Linux())
	values := sysctlsOf(c)
	maps.DeleteFunc(values, func(name, value string) bool { return own[name] == value })
	return values
}

func sysctlsOf(c tcp.Config) map[string]string {
	flag := func(on bool) string {
		if on {
			return "1"
		}
		return "0"
	}
	// Half of a socket's memory is window (tcp_adv_win_scale), and payload.
	receive, receiveMax := c.ReceiveBuffer, c.MaxReceiveBuffer
	if receiveMax == 0 {
		receive *= 2
		receiveMax = receive
	}
	send := 16 << 10
	if c.SendBuffer > 0 {
		send = 2 * c.SendBuffer
	}
	values := map[string]string{
		"tcp_congestion_control":    c.Congestion,
		"tcp_sack":                  flag(c.SACK),
		"tcp_dsack":                 flag(c.DSACK),
		"tcp_timestamps":            flag(c.Timestamps),
		"tcp_window_scaling":        flag(c.WindowScaling),
		"tcp_slow_start_after_idle": flag(c.SlowStartAfterIdle),
		"tcp_syn_retries":           strconv.Itoa(c.SYNRetries),
		"tcp_synack_retries":        strconv.Itoa(c.SYNACKRetries),
		"tcp_retries2":              strconv.Itoa(c.Retries),
		"tcp_rmem":                  fmt.Sprintf("4096 %d %d", receive, receiveMax),
		"tcp_wmem":                  fmt.Sprintf("4096 %d %d", send, max(send, c.MaxSendBuffer)),
	}
	// Linux names other mechanisms by numbers: off, or its default.
	for name, m := range map[string]struct {
		on  bool
		std string
	}{"tcp_recovery": {c.RACK, "1"}, "tcp_early_retrans": {c.TLP, "3"}, "tcp_frto": {c.FRTO, "2"}} {
		values[name] = "0"
		if m.on {
			values[name] = m.std
		}
	}
	full := map[string]string{}
	for name, value := range values {
		full["ipv4/"+name] = value
	}
	return full
}
