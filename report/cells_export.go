package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// exported are the metrics of cells.csv and cells.jsonl, in their order.
var exported = []*metric{
	completionTime, linkPackets, linkBytes, bytesUp, bytesDown, retransmissions, spurious, handshakes,
	wastedBytes, wastedPerInterruption, lostTime, imageRatio, energy,
}

var (
	linkPackets = &metric{
		name: "packets", title: "packets on the link", per: 1, format: count,
		of: func(r *Record) float64 { return float64(r.Up.Packets + r.Down.Packets) }, has: always,
	}
	bytesUp = &metric{
		name: "bytes_up", title: "IP bytes from device to platform", unit: "kB", per: 1e3, format: kilobytes,
		of: func(r *Record) float64 { return float64(r.Up.Bytes) }, has: always,
	}
	bytesDown = &metric{
		name: "bytes_down", title: "IP bytes from platform to device", unit: "kB", per: 1e3, format: kilobytes,
		of: func(r *Record) float64 { return float64(r.Down.Bytes) }, has: always,
	}
	handshakes = &metric{
		name: "handshakes", title: "TLS and DTLS handshakes", per: 1, format: count,
		of: func(r *Record) float64 { return float64(r.Retransmissions.TLSHandshakes) }, has: always,
	}
	lostTime = &metric{
		name: "lost_s", title: "time lost by interruptions, up to the next new image byte", unit: "s", per: 1, format: compactSeconds,
		of: func(r *Record) float64 {
			sum := 0.
			for _, s := range r.OTA.LostS {
				sum += s
			}
			return sum
		},
		has: func(r *Record) bool { return isOTA(r) && r.OTA.Interruptions > 0 },
	}
	imageRatio = &metric{
		name: "bytes_per_image_byte", title: "IP bytes for each byte of the image", per: 1, format: threeDigits,
		of:  func(r *Record) float64 { return float64(r.Up.Bytes+r.Down.Bytes) / float64(r.OTA.ImageBytes) },
		has: func(r *Record) bool { return isOTA(r) && r.OTA.ImageBytes > 0 },
	}
)

// CellSummary is what the runs of one cell of the matrix came to.
type CellSummary struct {
	Profile   string            `json:"profile"`
	Scenario  string            `json:"scenario"`
	Stack     string            `json:"stack"`
	Engine    string            `json:"engine"`
	Set       map[string]string `json:"set"`
	Interrupt string            `json:"interrupt"`
	Runs      int               `json:"runs"`
	Completed int               `json:"completed"`
	// Doubtful says why the estimates mean little; "" if they are sound.
	Doubtful string `json:"doubtful"`
	// Errors are the distinct errors of the runs that did not complete.
	Errors []string `json:"errors,omitempty"`
	// Estimates are of the completed runs, by metric.
	Estimates map[string]Estimate `json:"estimates"`
}

// Cells sums up the runs that differ in nothing but the seed. A cell of which
// no run completed is there, without estimates.
func (f *Folder) Cells() []CellSummary {
	var all []CellSummary
	for _, c := range newGrid(sorted(f.Records)).cells {
		r := c.runs[0]
		s := CellSummary{
			Profile: r.Profile, Scenario: r.Scenario, Stack: r.Stack, Engine: r.Engine, Set: r.Set, Interrupt: r.Interrupt,
			Runs: len(c.runs), Completed: len(c.completed()), Doubtful: c.doubt(), Estimates: map[string]Estimate{},
		}
		for _, r := range c.runs {
			if !r.Completed && !slices.Contains(s.Errors, r.Error) {
				s.Errors = append(s.Errors, r.Error)
			}
		}
		for _, m := range exported {
			if e := c.estimate(m); e.N > 0 {
				s.Estimates[m.name] = e
			}
		}
		all = append(all, s)
	}
	return all
}

// WriteCellsJSON writes one JSON object per cell and line.
func WriteCellsJSON(w io.Writer, f *Folder) error {
	enc := json.NewEncoder(w)
	for _, c := range f.Cells() {
		if err := enc.Encode(c); err != nil {
			return fmt.Errorf("JSON: %w", err)
		}
	}
	return nil
}

// WriteCellsCSV writes one row per cell: for each metric the median and the
// ends of its 95 % interval, in base units.
func WriteCellsCSV(w io.Writer, f *Folder) error {
	paths := setPaths(f.Records)
	header := []string{"profile", "scenario", "stack", "engine"}
	for _, path := range paths {
		header = append(header, "set."+path)
	}
	header = append(header, "interrupt", "runs", "completed", "doubtful", "errors")
	for _, m := range exported {
		header = append(header, m.name, m.name+"_lo", m.name+"_hi")
	}
	rows := [][]string{header}
	for _, c := range f.Cells() {
		row := []string{c.Profile, c.Scenario, c.Stack, c.Engine}
		for _, path := range paths {
			row = append(row, c.Set[path])
		}
		row = append(row, c.Interrupt, strconv.Itoa(c.Runs), strconv.Itoa(c.Completed), c.Doubtful, strings.Join(c.Errors, "; "))
		for _, m := range exported {
			if e, ok := c.Estimates[m.name]; ok {
				row = append(row, csvText(e.Median), csvText(e.Lo), csvText(e.Hi))
			} else {
				row = append(row, "", "", "")
			}
		}
		rows = append(rows, row)
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("CSV: %w", err)
	}
	return nil
}
