package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// wantedModules are what engine tc and thinlink shape use of the kernel, with
// the option that builds each and a function that it has.
var wantedModules = []struct{ name, option, function, why string }{
	{"sch_netem", "NET_SCH_NETEM", "netem_enqueue", "engine tc, shape"},
	{"veth", "VETH", "veth_xmit", "engine tc"},
	{"ifb", "IFB", "ifb_xmit", "shape"},
	{"act_mirred", "NET_ACT_MIRRED", "tcf_mirred_act", "shape"},
	{"sch_ingress", "NET_SCH_INGRESS", "ingress_init", "shape"},
	{"cls_matchall", "NET_CLS_MATCHALL", "mall_classify", "shape"},
	{"sch_prio", "NET_SCH_PRIO", "prio_enqueue", "shape --to, --uid, --from"},
	{"cls_u32", "NET_CLS_U32", "u32_classify", "shape --to, --from"},
	{"cls_flow", "NET_CLS_FLOW", "flow_classify", "shape --uid"},
}

// modules says which of the wanted modules the running kernel has and lacks.
func modules() []finding {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil
	}
	return modulesOf(os.DirFS("/"), unix.ByteSliceToString(u.Release[:]))
}

// modulesOf looks below a root directory.
func modulesOf(root fs.FS, release string) (list []finding) {
	k := kernelTree{root: root, dir: "lib/modules/" + release, release: release}
	for _, name := range []string{"modules.builtin", "modules.dep"} {
		b, _ := fs.ReadFile(root, k.dir+"/"+name) // a kernel may have none
		k.files = append(k.files, b...)
	}
	k.symbols, _ = fs.ReadFile(root, "proc/kallsyms") // of what is built in or loaded
	var there, lacking, names, options []string
	for _, m := range wantedModules {
		if k.has(m.name, m.function) {
			there = append(there, m.name)
			continue
		}
		lacking = append(lacking, fmt.Sprintf("%s (%s)", m.name, m.why))
		names, options = append(names, m.name), append(options, "CONFIG_"+m.option)
	}
	if len(there) > 0 {
		list = append(list, finding{thing: "modules", state: strings.Join(there, " ")})
	}
	if len(lacking) > 0 {
		list = append(list, finding{"modules", "without " + strings.Join(lacking, ", "), k.fix(names, options)})
	}
	return list
}

// A kernelTree is what a machine has of its kernel.
type kernelTree struct {
	root           fs.FS
	dir, release   string
	files, symbols []byte
}

// has reports a module that is loaded, built in or can be loaded.
func (k *kernelTree) has(name, function string) bool {
	_, err := fs.Stat(k.root, "sys/module/"+name)
	return err == nil || bytes.Contains(k.symbols, []byte(" "+function+"\n")) || bytes.Contains(k.symbols, []byte(" "+function+"\t")) ||
		bytes.Contains(k.files, []byte("/"+name+".ko")) || bytes.Contains(k.files, []byte("/"+strings.ReplaceAll(name, "_", "-")+".ko"))
}

// fix is what gets modules.
func (k *kernelTree) fix(names, options []string) string {
	if _, err := fs.Stat(k.root, k.dir); err != nil {
		if others, err := fs.ReadDir(k.root, "lib/modules"); err == nil && len(others) > 0 {
			return fmt.Sprintf("the kernel was upgraded and the modules of the running one (%s) are gone: sudo reboot", k.release)
		}
		return fmt.Sprintf("this kernel loads no modules: it has to be built with %s; or use --engine vm or sim", strings.Join(options, ", "))
	}
	if _, err := fs.Stat(k.root, "etc/rpi-issue"); err == nil {
		return "Raspberry Pi OS: sudo apt-get update && sudo apt-get full-upgrade && sudo reboot"
	}
	switch distribution(k.root) {
	case "ubuntu":
		return fmt.Sprintf("Ubuntu: sudo apt-get install linux-modules-extra-%s && sudo modprobe -a %s", k.release, strings.Join(names, " "))
	case "debian":
		return "Debian: sudo apt-get install linux-image-$(dpkg --print-architecture) && sudo reboot"
	}
	return fmt.Sprintf("a kernel with %s; or use --engine vm or sim", strings.Join(options, ", "))
}

// distribution is the ID of os-release(5), "ubuntu" or "debian", or that of
// what it is like.
func distribution(root fs.FS) string {
	b, err := fs.ReadFile(root, "etc/os-release")
	if err != nil {
		return ""
	}
	found := ""
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key != "ID" && key != "ID_LIKE" {
			continue
		}
		for _, id := range strings.Fields(strings.Trim(value, `"'`)) {
			if id == "ubuntu" || id == "debian" && found == "" {
				found = id
			}
		}
	}
	return found
}
