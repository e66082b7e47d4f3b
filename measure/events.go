package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// eventLine is an Event in a file.
type eventLine struct {
	T      json.Number `json:"t"` // since Trace.Start, s, exact to the nanosecond
	Kind   string      `json:"kind"`
	Detail string      `json:"detail,omitempty"`
	Offset int64       `json:"offset,omitempty"`
	Length int64       `json:"length,omitempty"`
}

// WriteEvents writes a trace's events as JSON Lines, with times in seconds
// since the device was switched on.
func WriteEvents(w io.Writer, t *Trace) error {
	enc := json.NewEncoder(w)
	for _, e := range t.Events {
		line := eventLine{exactSeconds(e.Time.Sub(t.Start)), e.Kind, e.Detail, e.Offset, e.Length}
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("events: %w", err)
		}
	}
	return nil
}

func exactSeconds(d time.Duration) json.Number {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	return json.Number(fmt.Sprintf("%s%d.%09d", sign, d/time.Second, d%time.Second))
}

// ReadEvents reads what WriteEvents wrote. start is the trace's.
func ReadEvents(r io.Reader, start time.Time) ([]Event, error) {
	var events []Event
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var line eventLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("events: line %d: %w", n, err)
		}
		d, err := time.ParseDuration(string(line.T) + "s")
		if err != nil {
			return nil, fmt.Errorf("events: line %d: t %q: want seconds", n, line.T)
		}
		events = append(events, Event{start.Add(d), line.Kind, line.Detail, line.Offset, line.Length})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return events, nil
}
