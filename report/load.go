package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/measure"
)

// ResultsFile is the file of a result folder with one JSON object per run.
const ResultsFile = "results.jsonl"

// Record is one line of a results file: a result, and what tells its run from
// others of the same profile, scenario, stack and engine.
type Record struct {
	measure.Result
	// Key identifies all inputs of the run. "" where only thinlink run, which
	// repeats on request, has written.
	Key string `json:"key,omitempty"`
	// Version of thinlink, and the command that ran it.
	Version string `json:"version,omitempty"`
	Command string `json:"command,omitempty"`
	// Set are overrides by path, such as link.loss: 2%.
	Set map[string]string `json:"set,omitempty"`
	// Interrupt is what went wrong on purpose, such as outage@50%:90s.
	Interrupt string `json:"interrupt,omitempty"`
}

// Folder is a folder of results.
type Folder struct {
	Dir      string
	Records  []*Record
	Warnings []string // doubts about the file itself
	// Sweep says what was asked for, if a sweep wrote the folder; else nil.
	Sweep *lab.SweepInfo
}

// Load reads dir's results. Of several lines about one run the last counts. A
// last line that is torn, as after a power cut, is left out with a warning;
// any other damage is an error with the line's number.
func Load(dir string) (*Folder, error) {
	name := filepath.Join(dir, ResultsFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no %s: want a directory that thinlink run -o or thinlink sweep wrote", dir, ResultsFile)
	}
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir}
	records, torn, err := parseRecords(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	if torn {
		f.Warnings = append(f.Warnings, ResultsFile+" ends in the middle of a line: that run is left out")
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s holds no results", name)
	}
	f.Records = sorted(records) // they are in the order in which runs ended
	if f.Sweep, err = loadSweep(dir); err != nil {
		return nil, err
	}
	return f, nil
}

func loadSweep(dir string) (*lab.SweepInfo, error) {
	name := filepath.Join(dir, lab.SweepFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	info := &lab.SweepInfo{}
	if err := json.Unmarshal(data, info); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return info, nil
}

// identity tells a run's repetition in a deterministic engine, which only
// counts once, from another run. "" is like nothing else.
func (r *Record) identity() string {
	if r.Key != "" || r.Engine != "sim" {
		return r.Key
	}
	set := r.Set
	if len(set) == 0 {
		set = nil // {} and nothing are the same
	}
	id, err := json.Marshal([]any{r.Profile, r.Scenario, r.Stack, r.Seed, set, r.Interrupt})
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(id)
}

// parseRecords decodes JSON lines; torn says that the last was incomplete. An
// error begins with the line's number.
func parseRecords(data []byte) (records []*Record, torn bool, err error) {
	at := make(map[string]int) // by key
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		data = rest
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		r := &Record{}
		if err := json.Unmarshal(line, r); err != nil {
			if !whole {
				return records, true, nil
			}
			return nil, false, fmt.Errorf("%d: %w", n, err)
		}
		id := r.identity()
		if i, ok := at[id]; ok && id != "" {
			records[i] = r
			continue
		}
		at[id] = len(records)
		records = append(records, r)
	}
	return records, false, nil
}
