//go:build interop

package interop

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/thinlink/thinlink/measure"
)

// entry is one exchange with a peer and what it cost.
type entry struct {
	peer, name string
	result     measure.Result
	published  float64 // bytes on Ethernet in the reference experiment, 0 is none
}

// reference is what the reference experiment published.
func (e entry) reference() string {
	if e.published == 0 {
		return ""
	}
	ethernet := float64(e.result.Up.BytesEthernet + e.result.Down.BytesEthernet)
	return fmt.Sprintf("%.0f, %+.1f %%", e.published, 100*(ethernet/e.published-1))
}

// book collects the exchanges of a run.
type book struct {
	mu      sync.Mutex
	entries []entry
}

var ledger book

func (b *book) add(e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, e)
}

// page is the documentation that lists what was exercised.
const page = "../docs/interop.md"

const (
	pageBegin = "<!-- exchanges: written by make interop UPDATE=1 -->\n"
	pageEnd   = "<!-- end of exchanges -->\n"
)

// tables lists the exchanges, one table for each peer.
func (b *book) tables() string {
	var out strings.Builder
	peer := ""
	for _, e := range b.entries {
		if e.peer != peer {
			peer = e.peer
			fmt.Fprintf(&out, "\n### %s\n\n", peer)
			out.WriteString("| exchange | packets up | down | bytes up | down | on Ethernet | published | IP, TCP, UDP | security | protocol | payload |\n")
			out.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
		}
		r := e.result
		fmt.Fprintf(&out, "| %s | %d | %d | %d | %d | %d | %s | %d | %d | %d | %d |\n", e.name, r.Up.Packets, r.Down.Packets, r.Up.Bytes, r.Down.Bytes,
			r.Up.BytesEthernet+r.Down.BytesEthernet, e.reference(),
			r.Layers.IP+r.Layers.Transport, r.Layers.Security, r.Layers.Protocol, r.Layers.Payload)
	}
	return out.String()
}

// checkPage holds the page to what was exercised, if all of it was, or writes
// anew the tables of the peers that were.
func checkPage() error {
	if flag.Lookup("test.list").Value.String() != "" {
		return nil
	}
	update := os.Getenv("THINLINK_INTEROP_UPDATE") == "1"
	partial := flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.skip").Value.String() != ""
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text := string(b)
	listed, err := between(text, pageBegin, pageEnd)
	if err != nil {
		return err
	}
	beside, err := between(text, besideBegin, besideEnd)
	if err != nil {
		return err
	}
	if update {
		tables := ledger.tables() + "\n"
		if partial {
			tables = merge(listed, ledger.tables()) + "\n"
		}
		text = strings.Replace(text, listed+pageEnd, tables+pageEnd, 1)
		text = strings.Replace(text, beside+besideEnd, sideBySide(rows(tables))+besideEnd, 1)
		return os.WriteFile(page, []byte(text), 0o644)
	}
	if beside != sideBySide(rows(listed)) {
		return fmt.Errorf("%s: side by side is not what the tables say (make interop UPDATE=1 writes it)", page)
	}
	if partial {
		return nil
	}
	return compare(costs(listed), costs(ledger.tables()))
}

// between is the part of the page between two marks.
func between(text, begin, end string) (string, error) {
	_, rest, ok := strings.Cut(text, begin)
	part, _, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return "", fmt.Errorf("%s lacks %q or %q", page, begin, end)
	}
	return part, nil
}

const peerHeading = "\n### "

// merge puts the tables of the peers that were exercised in place of those
// listed, or after them.
func merge(listed, done string) string {
	tables := strings.Split(strings.TrimSuffix(listed, "\n"), peerHeading)
	for _, table := range strings.Split(done, peerHeading)[1:] {
		peer, _, _ := strings.Cut(table, "\n")
		i := slices.IndexFunc(tables, func(t string) bool { return strings.HasPrefix(t, peer+"\n") })
		if table = strings.TrimSuffix(table, "\n") + "\n"; i < 0 {
			tables = append(tables, table)
		} else {
			tables[i] = table
		}
	}
	return strings.Join(tables, peerHeading)
}

// costs are the bytes up and down of each exchange, by peer and name.
func costs(tables string) map[string][2]float64 {
	all := make(map[string][2]float64)
	for _, r := range rows(tables) {
		all[r.peer+": "+r.name] = [2]float64{float64(r.bytesUp), float64(r.bytesDown)}
	}
	return all
}

// tolerance is how far the bytes of an exchange, of both directions together,
// may be from what the page says: how many acknowledgements there are depends on
// when the kernel runs whom.
const tolerance = 0.25

func compare(listed, done map[string][2]float64) error {
	var wrong []string
	for name, b := range done {
		want, ok := listed[name]
		switch {
		case !ok:
			wrong = append(wrong, name+": not listed")
		case !near(b[0]+b[1], want[0]+want[1]):
			wrong = append(wrong, fmt.Sprintf("%s: %.0f bytes, listed %.0f", name, b, want))
		}
	}
	for name := range listed {
		if _, ok := done[name]; !ok && requirePeers {
			wrong = append(wrong, name+": listed, but not exercised")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%s differs from this run (make interop UPDATE=1 writes it):\n%s", page, strings.Join(wrong, "\n"))
}

func near(got, want float64) bool { return math.Abs(got-want) <= tolerance*want+200 }
