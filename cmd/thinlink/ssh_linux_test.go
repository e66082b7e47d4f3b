package main

import (
	"net/netip"
	"testing"
)

func TestSSHPeer(t *testing.T) {
	for line, want := range map[string]string{
		"   1: 0A01A8C0:0016 0B01A8C0:C350 01 00000000:00000000 02:000A":                         "192.168.1.10",
		"   1: 0A01A8C0:0016 00000000:0000 0A 00000000:00000000 02:000A":                         "", // listening
		"   1: 0A01A8C0:C350 0B01A8C0:0016 01 00000000:00000000 02:000A":                         "", // to another machine
		"   0: 0000000000000000FFFF00000A01A8C0:0016 0000000000000000FFFF00000B01A8C0:C350 01 0": "192.168.1.10",
		"   0: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:C350 01 0": "2001:db8::1",
		"  sl  local_address rem_address   st tx_queue":                                          "",
		"   1: zz:0016 0B01A8C0:C350 01":                                                         "",
	} {
		got, ok := sshPeer(line)
		if ok != (want != "") || ok && got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v, want %q", line, got, want)
		}
	}
}
