package vm

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wanted are the modules that shaping needs. One that a kernel does not have
// may be built in: the guest goes on without it.
var wanted = []string{
	"sch_netem", "sch_tbf", "sch_htb", "sch_prio", "sch_ingress", "cls_u32", "cls_matchall", "cls_flower", "cls_flow",
	"act_mirred", "ifb", "veth", "tun", "dummy",
}

// A Module is loaded into the guest's kernel.
type Module struct {
	Name    string `json:"name"` // with underscores
	Options string `json:"options,omitempty"`
}

// modules finds the wanted modules and those they depend on: their files for
// the guest, in the order of loading. The ones in extra must be there.
func (k *Kernel) modules(extra []Module) (order []Module, files []File, err error) {
	have, err := k.index()
	if err != nil {
		return nil, nil, err
	}
	options := map[string]string{}
	var add func(name string) error
	add = func(name string) error {
		path, ok := have[name]
		if !ok || slices.ContainsFunc(order, func(m Module) bool { return m.Name == name }) {
			return nil
		}
		needs, err := depends(path)
		if err != nil {
			return fmt.Errorf("vm: module %s: %w", name, err)
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return err
			}
		}
		order = append(order, Module{Name: name, Options: options[name]})
		files = append(files, File{Name: "modules/" + name + ".ko", Mode: 0o644, Path: path})
		return nil
	}
	names := slices.Clone(wanted)
	for _, m := range extra {
		if _, ok := have[m.Name]; !ok {
			return nil, nil, fmt.Errorf("vm: Linux %s has no module %s", k.Release, m.Name)
		}
		options[m.Name] = m.Options
		names = append(names, m.Name)
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, nil, err
		}
	}
	return order, files, nil
}

// index maps modules' names to their files.
func (k *Kernel) index() (map[string]string, error) {
	have := map[string]string{}
	err := filepath.WalkDir(k.Modules, func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(d.Name(), ".ko"); ok && err == nil {
			have[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("vm: modules: %w", err)
	}
	return have, nil
}

// depends reads what a module says of itself in its section .modinfo; the
// package has no modules.dep before it is installed.
func depends(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	module, err := elf.NewFile(f)
	if err != nil {
		return nil, err
	}
	section := module.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
