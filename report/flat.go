package report

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/measure"
)

// A column is one flat column of results: text, int64, float64, or bool.
type column struct {
	name string
	typ  reflect.Type
	of   func(*Record) any // nil: the result has none
}

// flatColumns are what tells runs apart, with a column "set.PATH" for every
// path that was set, then all of measure.Result: nested names joined by "_",
// units last. The header depends on the paths alone.
func flatColumns(records []*Record) []column {
	text, result := reflect.TypeFor[string](), resultColumns(reflect.TypeFor[measure.Result](), "", func(r *Record) reflect.Value {
		return reflect.ValueOf(r.Result)
	})
	const labels = 4 // profile, scenario, stack, engine
	columns := slices.Clone(result[:labels])
	for _, path := range setPaths(records) {
		columns = append(columns, column{"set." + path, text, func(r *Record) any {
			if v, ok := r.Set[path]; ok {
				return v
			}
			return nil
		}})
	}
	columns = append(columns, column{"interrupt", text, func(r *Record) any { return r.Interrupt }})
	columns = append(columns, result[labels:]...)
	return append(columns,
		column{"key", text, func(r *Record) any { return r.Key }},
		column{"version", text, func(r *Record) any { return r.Version }})
}

// setPaths are the paths that any of the runs had set.
func setPaths(records []*Record) []string {
	paths := map[string]bool{}
	for _, r := range records {
		for path := range r.Set {
			paths[path] = true
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

// resultColumns flattens a struct by its JSON names. of finds the struct in a
// record; the zero Value says that there is none.
func resultColumns(t reflect.Type, prefix string, of func(*Record) reflect.Value) (columns []column) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path := strings.TrimPrefix(prefix+"_"+name, "_")
		field := func(r *Record) reflect.Value {
			if s := of(r); s.IsValid() {
				return s.Field(i)
			}
			return reflect.Value{}
		}
		switch f.Type.Kind() {
		case reflect.Pointer:
			columns = append(columns, resultColumns(f.Type.Elem(), path, func(r *Record) reflect.Value {
				if p := field(r); p.IsValid() {
					return p.Elem()
				}
				return reflect.Value{}
			})...)
		case reflect.Struct:
			if f.Type != reflect.TypeFor[measure.Files]() {
				columns = append(columns, resultColumns(f.Type, path, field)...)
			}
		default:
			if f.Type != reflect.TypeFor[[]measure.PortCounts]() { // how many differs from run to run
				columns = append(columns, leafColumn(path, f.Type, field))
			}
		}
	}
	return columns
}

// leafColumn widens integers, sums up lists of numbers and joins lists of
// texts.
func leafColumn(path string, t reflect.Type, of func(*Record) reflect.Value) column {
	flat := func(v reflect.Value) any { return v.Interface() }
	switch {
	case t == reflect.TypeFor[[]string]():
		t = reflect.TypeFor[string]()
		flat = func(v reflect.Value) any { return strings.Join(v.Interface().([]string), "; ") }
	case t == reflect.TypeFor[[]float64]():
		t = reflect.TypeFor[float64]()
		flat = func(v reflect.Value) any {
			sum := 0.
			for _, x := range v.Interface().([]float64) {
				sum += x
			}
			return sum
		}
	case t.Kind() == reflect.Uint64:
		t = reflect.TypeFor[int64]()
		flat = func(v reflect.Value) any { return int64(v.Uint()) }
	case t.Kind() == reflect.Int:
		t = reflect.TypeFor[int64]()
		flat = func(v reflect.Value) any { return v.Int() }
	}
	return column{unitLast(path), t, func(r *Record) any {
		if v := of(r); v.IsValid() {
			return flat(v)
		}
		return nil
	}}
}

// unitLast moves or adds the unit of what JSON groups by unit (radio_s.tx) or
// leaves to the documentation.
func unitLast(path string) string {
	for _, unit := range []string{"_s", "_j"} {
		if group, name, ok := strings.Cut(path, unit+"_"); ok {
			return group + "_" + name + unit
		}
	}
	if strings.HasPrefix(path, "layers_") {
		return path + "_bytes"
	}
	return path
}

// sorted are the records in an order that does not depend on which run ended
// first.
func sorted(records []*Record) []*Record {
	paths := setPaths(records)
	return slices.SortedStableFunc(slices.Values(records), func(a, b *Record) int {
		c := cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Profile, b.Profile), cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Engine, b.Engine))
		for _, path := range paths {
			c = cmp.Or(c, compareValues(a.Set[path], b.Set[path]))
		}
		return cmp.Or(c, cmp.Compare(a.Interrupt, b.Interrupt), cmp.Compare(a.Seed, b.Seed))
	})
}

// compareValues orders values as people do: 2% before 10%, 512KiB before
// 1MiB, and what is no quantity at the end.
func compareValues(a, b string) int {
	x, noX := quantity(a)
	y, noY := quantity(b)
	switch {
	case noX == nil && noY == nil:
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	case noX == nil:
		return -1
	case noY == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

// quantity is a value in base units; no value is before all.
func quantity(text string) (float64, error) {
	if text == "" {
		return -1, nil
	}
	if v, err := units.ParseBytes(text); err == nil {
		return float64(v), nil
	}
	if v, err := units.ParseFraction(text); err == nil {
		return float64(v), nil
	}
	if v, err := units.ParseBitRate(text); err == nil {
		return float64(v), nil
	}
	v, err := units.ParseDuration(text)
	return v.Seconds(), err
}
