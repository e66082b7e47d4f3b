package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeResults(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ResultsFile), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoad(t *testing.T) {
	dir := writeResults(t, `{"profile":"nbiot","seed":1,"key":"a","set":{"link.loss":"2%"}}

{"profile":"nbiot","seed":2,"key":"b","interrupt":"reboot@70%"}
{"profile":"ltem","seed":1,"key":"a","completed":true}
{"profile":"plain"}
{"profile":"plain"}
{"profile":"torn","se`)
	f, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	// In order of names: ltem has replaced the first line.
	if len(f.Records) != 4 || f.Records[0].Profile != "ltem" || !f.Records[0].Completed || f.Records[1].Interrupt != "reboot@70%" {
		t.Errorf("records: %+v", f.Records)
	}
	if len(f.Warnings) != 1 {
		t.Errorf("warnings: %q", f.Warnings)
	}
}

// TestLoadOrder: the grid is as the sweep has it, and runs again count once.
func TestLoadOrder(t *testing.T) {
	dir := writeResults(t, `{"profile":"a","stack":"x","engine":"sim","seed":1}
{"profile":"b","stack":"x","engine":"sim","seed":1}
{"profile":"a","stack":"y","engine":"sim","seed":1}
{"profile":"a","stack":"x","engine":"sim","seed":1,"completed":true}
{"profile":"a","stack":"x","engine":"tc","seed":1}
{"profile":"a","stack":"x","engine":"tc","seed":1}
`)
	info := `{"title":"a title","profiles":["b","a"],"stacks":["y","x"]}`
	if err := os.WriteFile(filepath.Join(dir, "sweep.json"), []byte(info), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range f.Records {
		got = append(got, r.Profile+r.Stack+r.Engine)
	}
	if want := "axsim axtc axtc aysim bxsim"; strings.Join(got, " ") != want || !f.Records[0].Completed {
		t.Errorf("order %q, want %q", got, want)
	}
	if g := f.grid(); g.profiles[0] != "b" || g.stacks[0] != "y" || f.title() != "a title" {
		t.Errorf("profiles %q, stacks %q, title %q", g.profiles, g.stacks, f.title())
	}
}

func TestLoadErrors(t *testing.T) {
	for content, want := range map[string]string{
		"":                     "holds no results",
		"{\"profile\":\"torn":  "holds no results",
		"{}\n{\"seed\":-1}\n":  "results.jsonl:2: ",
		"{}\nnot JSON\n{}\n{}": "results.jsonl:2: ",
	} {
		if _, err := Load(writeResults(t, content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", content, err, want)
		}
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "thinlink sweep") {
		t.Errorf("empty directory: %v", err)
	}
}

// FuzzParseRecords: what parses is the same after writing and parsing again.
func FuzzParseRecords(f *testing.F) {
	f.Add([]byte("{\"engine\":\"sim\",\"set\":{}}\n{\"engine\":\"sim\"}\n"))
	f.Add([]byte("{\"profile\":\"nbiot\",\"key\":\"a\"}\n{\"key\":\"a\"}\n{\"torn"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, torn, err := parseRecords(data)
		if err != nil {
			if torn || records != nil {
				t.Errorf("error %v with torn %v and %d records", err, torn, len(records))
			}
			return
		}
		var again []byte
		for _, r := range records {
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			again = append(append(again, line...), '\n')
		}
		back, torn, err := parseRecords(again)
		if err != nil || torn || len(back) != len(records) {
			t.Errorf("again: %d records of %d, torn %v, error %v", len(back), len(records), torn, err)
		}
	})
}
