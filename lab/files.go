package lab

import (
	"embed"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/internal/confyaml"
)

func embeddedNames(fs embed.FS, dir string) []string {
	entries, err := fs.ReadDir(dir)
	if err != nil {
		panic(err) // embedded at build time
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(path.Base(e.Name()), ".yaml"))
	}
	return names
}

// document reads a built-in YAML file by name, or any file by its path: what
// contains a slash or ends in .yaml or .yml.
func document(fs embed.FS, dir, noun, nameOrPath string, names []string) (*confyaml.Document, error) {
	if strings.Contains(nameOrPath, "/") || strings.HasSuffix(nameOrPath, ".yaml") || strings.HasSuffix(nameOrPath, ".yml") {
		data, err := os.ReadFile(nameOrPath)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", noun, err)
		}
		return confyaml.Parse(nameOrPath, data)
	}
	data, err := file(fs, dir, noun, nameOrPath, names)
	if err != nil {
		return nil, err
	}
	return confyaml.Parse(nameOrPath+".yaml", data)
}

// file is a built-in file by name.
func file(fs embed.FS, dir, noun, name string, names []string) ([]byte, error) {
	if !slices.Contains(names, name) {
		hint := ""
		if near := confyaml.Nearest(name, names); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, fmt.Errorf("unknown %s %q%s (known: %s; or a file that ends in .yaml)", noun, name, hint, strings.Join(names, ", "))
	}
	return fs.ReadFile(path.Join(dir, name+".yaml"))
}
