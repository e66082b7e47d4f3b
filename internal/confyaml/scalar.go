package confyaml

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/units"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

var errScalar = errors.New("not a value of this type")

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isScalar reports whether values of t are written as one plain value.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		return isText(t)
	}
	return true
}

// parseScalar reads text into v, whatever the rule.
func parseScalar(text string, v reflect.Value) error {
	switch {
	case v.Type() == durationType:
		d, err := units.ParseDuration(text)
		v.SetInt(int64(d))
		return err
	case isText(v.Type()):
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errScalar
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(i)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(u)
		return err
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return errScalar
		}
		v.SetFloat(f)
	default:
		panic("confyaml: no scalar: " + v.Type().String())
	}
	return nil
}

// allows reports whether v, written as text, keeps the rule.
func (r rule) allows(text string, v reflect.Value) bool {
	if r.enum != nil && !slices.Contains(r.enum, text) {
		return false
	}
	if r.pattern != "" && !regexp.MustCompile("^(?:"+r.pattern+")$").MatchString(text) {
		return false
	}
	return (r.min == "" || compare(v, r.min) >= 0) &&
		(r.max == "" || compare(v, r.max) <= 0) &&
		(r.above == "" || compare(v, r.above) > 0)
}

// compare holds v against a bound in the notation of v's type.
func compare(v reflect.Value, bound string) int {
	b := reflect.New(v.Type()).Elem()
	if err := parseScalar(bound, b); err != nil {
		panic(fmt.Sprintf("confyaml: bound %q of a %s: %v", bound, v.Type(), err))
	}
	switch {
	case v.CanInt():
		return cmpOrdered(v.Int(), b.Int())
	case v.CanUint():
		return cmpOrdered(v.Uint(), b.Uint())
	case v.CanFloat():
		return cmpOrdered(v.Float(), b.Float())
	}
	panic("confyaml: bounds on a " + v.Type().String())
}

func cmpOrdered[T int64 | uint64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// form is what values of a scalar type look like.
func form(t reflect.Type) (noun, example, pattern string) {
	switch {
	case t == durationType:
		return "a duration", "800ms or 1h30m", `^(0|([0-9]+d)?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))*)$`
	case isText(t):
		if f, ok := reflect.Zero(t).Interface().(interface {
			TextForm() (string, string, string)
		}); ok {
			return f.TextForm()
		}
		return "text", "", ""
	}
	switch t.Kind() {
	case reflect.String:
		return "text", "", ""
	case reflect.Bool:
		return "true or false", "", ""
	case reflect.Float32, reflect.Float64:
		return "a number", "", ""
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number of at least 0", "", ""
	}
	return "a whole number", "", ""
}

// want says what a scalar of type t under the rule may be.
func (r rule) want(t reflect.Type) string {
	if r.enum != nil {
		if len(r.enum) == 1 {
			return r.enum[0]
		}
		return "one of " + strings.Join(r.enum, ", ")
	}
	noun, example, _ := form(t)
	if r.min != "" || r.max != "" || r.above != "" {
		noun, _, _ = strings.Cut(noun, " of ") // the bounds say it better
	}
	switch {
	case r.above != "":
		noun += " above " + r.above
		if r.max != "" {
			noun += " and at most " + r.max
		}
	case r.min != "" && r.max != "" && r.min == r.max:
		return r.min
	case r.min != "" && r.max != "":
		noun += " from " + r.min + " to " + r.max
	case r.min != "":
		noun += " of at least " + r.min
	case r.max != "":
		noun += " of at most " + r.max
	}
	if r.pattern != "" {
		noun += " matching " + r.pattern
	}
	if example != "" {
		noun += " (for example " + example + ")"
	}
	return noun
}

// wantType says what any field may be.
func wantType(t reflect.Type, r rule) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return wantType(t.Elem(), r)
	case isScalar(t):
		return r.want(t)
	case t.Kind() == reflect.Slice:
		return "a list, each " + wantType(t.Elem(), r)
	case t.Kind() == reflect.Map:
		return "a mapping, each " + wantType(t.Elem(), r)
	}
	want := ""
	for _, f := range standIns(t) {
		want += wantType(f.typ, f.rule) + ", or "
	}
	return want + "a mapping with fields " + strings.Join(namesOf(t), ", ")
}
