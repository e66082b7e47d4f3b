package confyaml

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Library is a set of built-in files, NAME.yaml each, that users' own files
// stand beside.
type Library struct {
	FS   fs.FS
	Dir  string // within FS
	Noun string // what a file is, for messages: "profile"
}

// Names lists the built-in files in alphabetical order.
func (l Library) Names() []string {
	files, err := fs.Glob(l.FS, path.Join(l.Dir, "*.yaml"))
	if err != nil {
		panic(err) // a malformed pattern
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	slices.Sort(names)
	return names
}

// Open reads a built-in file by its name, or any by its path (IsPath). also
// are names that the caller knows besides, for the hint of a wrong one.
func (l Library) Open(nameOrPath string, also ...string) (*Document, error) {
	if IsPath(nameOrPath) {
		doc, err := ParseFile(nameOrPath)
		if _, wrong := err.(Errors); err != nil && !wrong {
			return nil, fmt.Errorf("%s: %w", l.Noun, err)
		}
		return doc, err
	}
	data, err := l.File(nameOrPath, also...)
	if err != nil {
		return nil, err
	}
	return Parse(nameOrPath+".yaml", data)
}

// File is a built-in file as it is.
func (l Library) File(name string, also ...string) ([]byte, error) {
	if !slices.Contains(l.Names(), name) {
		names := append(l.Names(), also...)
		slices.Sort(names)
		hint := ""
		if near := Nearest(name, names); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, fmt.Errorf("unknown %s %q%s (known: %s; or a file that ends in .yaml)", l.Noun, name, hint, strings.Join(names, ", "))
	}
	return fs.ReadFile(l.FS, path.Join(l.Dir, name+".yaml"))
}
