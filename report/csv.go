package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// WriteCSV writes one row per run, with a header. What a result does not have
// is empty.
func WriteCSV(w io.Writer, f *Folder) error {
	columns := flatColumns(f.Records)
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.name
	}
	out := csv.NewWriter(w)
	if err := out.Write(header); err != nil {
		return fmt.Errorf("CSV: %w", err)
	}
	row := make([]string, len(columns))
	for _, r := range sorted(f.Records) {
		for i, c := range columns {
			row[i] = csvText(c.of(r))
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("CSV: %w", err)
	}
	return nil
}

// csvText writes a value so that it reads back as the same.
func csvText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
