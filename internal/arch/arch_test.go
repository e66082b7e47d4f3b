// Package arch keeps the import directions of ARCHITECTURE.md.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/thinlink/thinlink/"

// A rule forbids packages under From to import packages under Not.
type rule struct {
	from, not, reason string
}

var rules = []rule{
	{"netem", "clients", "the link carries packets and knows no protocol stack"},
	{"netem", "measure", "the link reports to a Tap; who counts is not its business"},
	{"netem", "profiles", "profiles describe links, not the other way round"},
	{"netem", "lab", "an engine does not know the experiments run on it"},
	{"netem", "power", "the link yields a state timeline; power judges it"},
	{"netem/vnet/tcp", "netem", "TCP is a pure state machine below every engine"},
	{"clients", "netem", "a stack sees Hosts only, so that it runs on every engine"},
	{"clients", "measure", "a stack records events; who counts is not its business"},
	{"clients", "profiles", "a stack must not know which link it runs over"},
	{"clients", "lab", "a stack does not know the experiments run with it"},
	{"clients", "power", "a stack must not know what it costs"},
	{"measure", "clients", "a trace of anybody's stack gives the same counts"},
	{"measure", "netem/vnet", "a trace of any engine gives the same counts"},
	{"measure", "lab", "data flows forward only"},
	{"measure", "profiles", "counting must not depend on what the link should have done"},
	{"profiles", "netem/vnet", "a profile serves every engine"},
	{"profiles", "lab", "data flows forward only"},
	{"lab", "report", "data flows forward only"},
	{"lab", "plan", "data flows forward only"},
	{"lab", "cmd", "packages do not know the command"},
	{"report", "netem/vnet", "a report is made from results, without running anything"},
	{"report", "clients", "a report is made from results, without running anything"},
	{"report", "plan", "a plan is a report of its own"},
	{"power", "clients", "energy comes from radio states, whoever caused them"},
	{"power", "lab", "data flows forward only"},
	{"plan", "netem/vnet", "a plan runs stacks through lab"},
	{"internal", "netem", "helpers stand below everything"},
	{"internal", "clients", "helpers stand below everything"},
	{"internal", "lab", "helpers stand below everything"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func under(path, dir string) bool {
	path = strings.TrimPrefix(path, module)
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// TestImports checks direct imports of non-test code: tests may wire anything.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for n := 0; ; n++ {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			if n == 0 {
				t.Fatal("go list named no package")
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for _, imp := range p.Imports {
			for _, r := range rules {
				if under(p.ImportPath, r.from) && under(imp, r.not) && strings.HasPrefix(imp, module) && !under(imp, r.from) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, r.reason)
				}
			}
		}
	}
}
