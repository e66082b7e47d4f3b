package confyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Error is one mistake in a file, or in a value given to Set.
type Error struct {
	File         string // "" for Set
	Line, Column int    // from 1; 0 for Set
	Field        string // dotted path as written; "" for the file as a whole
	Value        string // as written, shortened
	Problem      string // "" says that Value is not what Allowed says
	Allowed      string // "a bit rate above 0 (for example 26kbit)"
	Nearest      string // the valid name or value that was probably meant
}

const unknownField = "unknown field"

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
	}
	switch {
	case e.Problem == unknownField:
		b.WriteString(unknownField + " " + strconv.Quote(e.Field))
	case e.Field != "":
		b.WriteString("field " + oneLine(e.Field) + ": ")
		fallthrough
	default:
		b.WriteString(e.Problem)
	}
	if e.Problem == "" {
		b.WriteString(strconv.Quote(e.Value))
	}
	if e.Allowed != "" {
		b.WriteString(": want " + e.Allowed)
	}
	if e.Nearest != "" {
		b.WriteString("; did you mean " + strconv.Quote(e.Nearest) + "?")
	}
	return b.String()
}

// maxErrors bounds what one file reports.
const maxErrors = 20

// Errors are the mistakes of a file in their order, one line each.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, 0, maxErrors+1)
	for i, err := range e {
		if i == maxErrors {
			lines = append(lines, fmt.Sprintf("%s: %d more mistakes", err.File, len(e)-i))
			break
		}
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each mistake.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i := range e {
		errs[i] = e[i]
	}
	return errs
}

// Sorted is e in the order of the file, or nil if e is empty.
func (e Errors) Sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}

// oneLine quotes a path whose names hold control characters.
func oneLine(path string) string {
	if quoted := strconv.Quote(path); len(quoted) != len(path)+2 {
		return quoted
	}
	return path
}

// shorten keeps messages on one readable line.
func shorten(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
