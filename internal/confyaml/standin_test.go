package confyaml

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type amounts struct {
	Seeds seeds             `conf:"seeds" doc:"how many, or which"`
	Set   map[string]choice `conf:"set" doc:"values by path"`
}

type seeds struct {
	Count int   `conf:"count" doc:"how many" min:"1" scalar:"true"`
	List  []int `conf:"list" doc:"which" min:"0" list:"true"`
}

type choice struct {
	One  string   `conf:"value" doc:"the only one" scalar:"true"`
	List []string `conf:"values" doc:"several" list:"true"`
}

// TestStandIn: a plain value and a list can each stand in for a mapping.
func TestStandIn(t *testing.T) {
	for text, want := range map[string]amounts{
		"seeds: 5\nset: {a: 1%, b: [2, 3]}": {
			Seeds: seeds{Count: 5},
			Set:   map[string]choice{"a": {One: "1%"}, "b": {List: []string{"2", "3"}}},
		},
		"seeds: [4, 2]":          {Seeds: seeds{List: []int{4, 2}}},
		"seeds: {count: 3}":      {Seeds: seeds{Count: 3}},
		"seeds: {list: [1, 10]}": {Seeds: seeds{List: []int{1, 10}}},
	} {
		var got amounts
		if err := Decode("x.yaml", []byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"seeds: 0":      `x.yaml:1:8: field seeds: "0": want a whole number of at least 1`,
		"seeds: [1, x]": `x.yaml:1:12: field seeds.1: "x": want a whole number of at least 0`,
		"seeds: ":       "field seeds: no value: want a whole number of at least 1",
		"set: {a: {}}":  "",
	} {
		var got amounts
		err := Decode("x.yaml", []byte(text), &got)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v: want %s", text, err, want)
		}
	}
	schema, err := Schema(amounts{})
	if err != nil || strings.Count(string(schema), `"anyOf"`) != 2 {
		t.Errorf("schema %s, %v", schema, err)
	}
}
