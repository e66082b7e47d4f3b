package profiles

import (
	"embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/internal/confyaml"
)

//go:embed *.yaml
var embedded embed.FS

var library = confyaml.Library{FS: embedded, Dir: ".", Noun: "profile"}

// Names lists the built-in profiles in alphabetical order.
func Names() []string { return library.Names() }

// Load reads a built-in profile by name, or a file by its path: what has a
// slash or ends in .yaml or .yml. Mistakes in files are confyaml.Errors.
func Load(nameOrPath string) (*Profile, error) {
	doc, err := library.Open(nameOrPath)
	if err != nil {
		return nil, err
	}
	return build(doc, nameOrPath)
}

// Parse reads a profile from memory. file is for messages, and what extends
// names is relative to its directory.
func Parse(file string, data []byte) (*Profile, error) {
	doc, err := confyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	return build(doc, file)
}

// build decodes a document on top of those it extends and checks the whole.
func build(doc *confyaml.Document, origin string) (*Profile, error) {
	docs, err := ancestry(doc, origin)
	if err != nil {
		return nil, err
	}
	p := new(Profile)
	p.dec = confyaml.NewDecoder(p)
	for _, doc := range docs {
		if err := p.dec.Apply(doc); err != nil {
			return nil, err
		}
		// Each file is complete as to its name and version.
		if err := p.dec.Complete(); err != nil {
			return nil, err
		}
	}
	return p, p.Check()
}

// ancestry is the document and all it extends, the oldest first.
func ancestry(doc *confyaml.Document, origin string) ([]*confyaml.Document, error) {
	docs, origins := []*confyaml.Document{doc}, []string{origin}
	for {
		name, pos, extends := doc.Get("extends")
		if !extends {
			return docs, nil
		}
		fail := func(problem, allowed, nearest string) error {
			return confyaml.Errors{{
				File: pos.File, Line: pos.Line, Column: pos.Column, Field: "extends",
				Value: name, Problem: problem, Allowed: allowed, Nearest: nearest,
			}}
		}
		if confyaml.IsPath(name) && !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(origin), name)
			if !confyaml.IsPath(name) {
				name = "./" + name
			}
		}
		if slices.Contains(origins, name) {
			return nil, fail("extends itself: "+strings.Join(append(origins, name), ", "), "", "")
		}
		if names := Names(); !confyaml.IsPath(name) && !slices.Contains(names, name) {
			return nil, fail("", "a file that ends in .yaml, or one of "+strings.Join(names, ", "), confyaml.Nearest(name, names))
		}
		var err error
		if doc, err = library.Open(name); err != nil {
			return nil, fmt.Errorf("%s:%d:%d: extends: %w", pos.File, pos.Line, pos.Column, err)
		}
		docs, origins, origin = append([]*confyaml.Document{doc}, docs...), append(origins, name), name
	}
}
