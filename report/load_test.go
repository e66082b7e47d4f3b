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
	if len(f.Records) != 4 || f.Records[0].Profile != "ltem" || !f.Records[0].Completed || f.Records[1].Interrupt != "reboot@70%" {
		t.Errorf("records: %+v", f.Records)
	}
	if len(f.Warnings) != 1 {
		t.Errorf("warnings: %q", f.Warnings)
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
