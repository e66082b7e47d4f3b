package confyaml

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEncode(t *testing.T) {
	c, d := decodeGood(t)
	c.Labels["b"] = "true"
	out, err := Encode(c, func(path string) string {
		p, _ := d.Pos(path)
		return p.Comment
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `version: 1
name: x
mode: half
link:
  mtu: 1358 # G guess
  up:
    rate: 5kbit # V STB: uplink
    delay: 800ms
    loss:
      rate: 2%
  down:
    rate: 26kbit # D both
    delay: 800ms
    loss:
      rate: 2%
radio:
  timer: 20s
windows:
  - start: 1m
  - start: 2m
table:
  - -1
  - 0.5
labels:
  a: b
  b: "true"
`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Error(diff)
	}
	leaves := Leaves(c)
	if len(leaves) != 17 || leaves[4] != (Leaf{"link.up.rate", "5kbit"}) || leaves[11] != (Leaf{"windows.0.start", "1m"}) {
		t.Errorf("%d leaves: %v", len(leaves), leaves)
	}
	object := Object(c)
	if object["version"] != 1 || object["labels"].(map[string]any)["b"] != "true" || object["table"].([]any)[1] != 0.5 {
		t.Errorf("object %v", object)
	}
}

func TestSchema(t *testing.T) {
	out, err := Schema(config{})
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Schema               string `json:"$schema"`
		AdditionalProperties *bool
		Required             []string
		Properties           map[string]struct {
			Type        any
			Enum        []string
			Minimum     int
			Description string
			Properties  map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	if s.Schema != "https://json-schema.org/draft/2020-12/schema" || s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Errorf("%.200s", out)
	}
	if diff := cmp.Diff([]string{"version", "name"}, s.Required); diff != "" {
		t.Error(diff)
	}
	if p := s.Properties["mode"]; !cmp.Equal(p.Enum, []string{"half", "full"}) || p.Description != "duplex; one of half, full" {
		t.Errorf("mode is %+v", p)
	}
	link := s.Properties["link"].Properties
	for _, name := range []string{"mtu", "up", "down", "rate", "delay", "loss"} {
		if link[name] == nil {
			t.Errorf("link has no %s", name)
		}
	}
}

func TestParseFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	if _, err := ParseFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file is %v", err)
	}
	if err := os.WriteFile(path, []byte("extends: y\nlist: [1]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	doc, err := ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if v, pos, ok := doc.Get("extends"); v != "y" || pos != (Pos{path, 1, 10, ""}) || !ok {
		t.Errorf("extends is %q at %v, %v", v, pos, ok)
	}
	if _, _, ok := doc.Get("list"); ok {
		t.Error("a list is a plain value")
	}
	if err := os.WriteFile(path, make([]byte, maxBytes+5), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseFile(path); err == nil || err.Error() != path+":1:1: larger than 1 MiB" {
		t.Errorf("a large file is %v", err)
	}
}
