package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestModules(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	const release = "6.6.31-v8"
	dep := "lib/modules/" + release + "/modules.dep"
	all, functions := "", ""
	for _, m := range wantedModules {
		all += "kernel/net/" + strings.ReplaceAll(m.name, "_", "-") + ".ko.xz:\n"
		functions += "0000000000000000 t " + m.function + "\n"
	}
	for _, test := range []struct {
		name string
		root fstest.MapFS
		want string // of the first fix, "" if nothing is missing
	}{
		{"all there", fstest.MapFS{dep: file(all)}, ""},
		{"loaded", fstest.MapFS{dep: file(strings.ReplaceAll(all, "sch-netem", "x")), "sys/module/sch_netem/refcnt": file("0")}, ""},
		{"built in", fstest.MapFS{dep: file(""), "lib/modules/" + release + "/modules.builtin": file(all)}, ""},
		{"built in, without a list", fstest.MapFS{"proc/kallsyms": file(functions)}, ""},
		{"Ubuntu", fstest.MapFS{dep: file(""), "etc/os-release": file("ID=ubuntu\nID_LIKE=debian\n")}, "linux-modules-extra-6.6.31-v8 && sudo modprobe -a sch_netem"},
		{"like Ubuntu", fstest.MapFS{dep: file(""), "etc/os-release": file("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n")}, "Ubuntu: "},
		{"Debian", fstest.MapFS{dep: file(""), "etc/os-release": file("ID=debian\n")}, "Debian: sudo apt-get install linux-image-"},
		{"Raspberry Pi OS", fstest.MapFS{dep: file(""), "etc/os-release": file("ID=debian\n"), "etc/rpi-issue": file("Raspberry Pi reference 2026\n")}, "full-upgrade && sudo reboot"},
		{"upgraded", fstest.MapFS{"lib/modules/6.6.40-v8/modules.dep": file(all)}, "the running one (6.6.31-v8) are gone: sudo reboot"},
		{"none", fstest.MapFS{}, "CONFIG_NET_SCH_NETEM"},
		{"another", fstest.MapFS{dep: file("")}, "CONFIG_NET_SCH_NETEM"},
	} {
		fix := ""
		for _, f := range modulesOf(test.root, release) {
			if fix == "" {
				fix = f.fix
			}
		}
		if (fix == "") != (test.want == "") || !strings.Contains(fix, test.want) {
			t.Errorf("%s: %q, want %q", test.name, fix, test.want)
		}
	}
}
