package confyaml

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxBytes = 1 << 20
	maxDepth = 32
)

// Document is one YAML file, read but not yet understood.
type Document struct {
	file string
	root *yaml.Node // a mapping
}

// Parse reads a file of one document, a mapping. file is for messages.
func Parse(file string, data []byte) (*Document, error) {
	fail := func(line, column int, problem string) error {
		return Errors{{File: file, Line: line, Column: column, Problem: problem}}
	}
	if len(data) > maxBytes {
		return nil, fail(1, 1, "larger than 1 MiB")
	}
	if at := notText(data); at >= 0 {
		line := 1 + bytes.Count(data[:at], []byte("\n"))
		return nil, fail(line, at-bytes.LastIndexByte(data[:at], '\n'), "not a text file: want YAML in UTF-8")
	}
	if line := tooDeep(data); line > 0 {
		return nil, fail(line, 1, "nested too deeply")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, fail(1, 1, "empty: want a mapping of fields")
	} else if err != nil {
		return nil, syntaxError(file, data, err)
	}
	root := doc.Content[0]
	var next yaml.Node
	if err := dec.Decode(&next); err == nil {
		return nil, fail(next.Line, max(next.Column, 1), "a second document: want one")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(file, data, err)
	}
	if bad, problem := unsupported(root, 0); bad != nil {
		return nil, fail(bad.Line, bad.Column, problem)
	}
	if root.Tag == "!!null" {
		return nil, fail(1, 1, "empty: want a mapping of fields")
	}
	if root.Kind != yaml.MappingNode {
		return nil, fail(root.Line, root.Column, describe(root)+": want a mapping of fields")
	}
	return &Document{file, root}, nil
}

// ParseFile reads the file at a path, as Parse does.
func ParseFile(path string) (*Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// IsPath tells a file's path from the name of something built in: it has a
// slash or ends in .yaml or .yml.
func IsPath(nameOrPath string) bool {
	return strings.Contains(nameOrPath, "/") || strings.HasSuffix(nameOrPath, ".yaml") || strings.HasSuffix(nameOrPath, ".yml")
}

// Get is the plain value of a top-level field, and where it stands.
func (d *Document) Get(name string) (value string, pos Pos, ok bool) {
	for i := 0; i < len(d.root.Content); i += 2 {
		if k, v := d.root.Content[i], d.root.Content[i+1]; k.Value == name && v.Kind == yaml.ScalarNode {
			return v.Value, Pos{File: d.file, Line: v.Line, Column: v.Column}, true
		}
	}
	return "", Pos{}, false
}

// notText is the offset of the first byte that no text file has, or -1.
func notText(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) && !strings.ContainsRune("\t\r\n\u0085", r) {
			return i
		}
		i += n
	}
	return -1
}

// tooDeep is the line where brackets or indentation nest beyond what any of
// our files needs, or 0. It counts brackets in texts and comments too: its
// limit is generous, and keeps the YAML parser from work that grows with the
// square of the depth.
func tooDeep(data []byte) int {
	const limit = 1000
	line, depth, sequences := 1, 0, 0
	for i, c := range data {
		switch c {
		case '\n':
			line, sequences = line+1, 0
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		case '-', '?', ':':
			if i+1 < len(data) && data[i+1] == ' ' {
				sequences++
			}
		}
		if depth > limit || sequences > limit {
			return line
		}
	}
	return 0
}

// unsupported finds what we refuse of YAML: aliases, because they can grow a
// small file without bound, tags, and deep nesting.
func unsupported(n *yaml.Node, depth int) (*yaml.Node, string) {
	switch {
	case n.Kind == yaml.AliasNode:
		return n, "alias " + strconv.Quote(shorten("*"+n.Value)) + ": aliases are not supported"
	case n.Style&yaml.TaggedStyle != 0:
		return n, "tag " + strconv.Quote(shorten(n.Tag)) + ": tags are not supported"
	case depth > maxDepth:
		return n, "nested too deeply"
	}
	for _, c := range n.Content {
		if bad, problem := unsupported(c, depth+1); bad != nil {
			return bad, problem
		}
	}
	return nil, ""
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntaxError(file string, data []byte, err error) error {
	message := err.Error()
	line := 1
	if m := yamlError.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	lines := strings.Split(string(data), "\n")
	line = min(max(line, 1), len(lines))
	text := lines[line-1]
	column := 1 + len(text) - len(strings.TrimLeft(text, " \t"))
	return Errors{{File: file, Line: line, Column: column, Problem: "not YAML: " + strings.ReplaceAll(message, "\n", " ")}}
}

// describe names a node that is not what it should be.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "no value"
	}
	return strconv.Quote(shorten(n.Value))
}
