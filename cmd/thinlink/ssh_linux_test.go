package main

import "testing"

func TestParseConnection(t *testing.T) {
	const rest = " 00000000:00000000 02:000A 00000000     0        0 4711 2 0000000000000000 20 4 30 10 -1"
	for line, want := range map[string]string{
		"   1: 0A01A8C0:0016 0B01A8C0:C350 01" + rest:                                                      "192.168.1.10:22",
		"   1: 0A01A8C0:08AE 0B01A8C0:C350 01" + rest:                                                      "192.168.1.10:2222",
		"   1: 0A01A8C0:0016 00000000:0000 0A" + rest:                                                      "", // listening
		"   0: 0000000000000000FFFF00000A01A8C0:0016 0000000000000000FFFF00000B01A8C0:C350 01" + rest:      "192.168.1.10:22",
		"   0: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:C350 01" + rest:      "[2001:db8::1]:22",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode": "",
		"   1: zz:0016 0B01A8C0:C350 01" + rest:                                                            "",
		"   1: 0A01A8C0:0016 0B01A8C0:C350 01":                                                             "",
	} {
		c, ok := parseConnection(line)
		if ok != (want != "") || ok && (c.local.String() != want || c.inode != "4711") {
			t.Errorf("%s: %+v, want %q", line, c, want)
		}
	}
}
