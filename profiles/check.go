package profiles

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/netem"
)

// Check reports values that are right by themselves and wrong together. The
// error is confyaml.Errors; each names the place of the value, if it stands
// in a file.
func (p *Profile) Check() error {
	var errs confyaml.Errors
	cfg := p.Netem()
	for _, e := range fieldErrors(cfg.Validate()) {
		value := fmt.Sprint(e.Value)
		if v := reflect.ValueOf(e.Value); v.Kind() == reflect.Pointer && v.IsNil() {
			value = "missing"
		}
		errs = append(errs, p.dec.Errorf(pathOf(e.Field), "%s: want %s", value, e.Want))
	}
	errs = append(errs, p.checkDirection("link.up", cfg.Up)...)
	errs = append(errs, p.checkDirection("link.down", cfg.Down)...)
	return errs.Sorted()
}

// checkDirection finds values that netem accepts and that do nothing.
func (p *Profile) checkDirection(path string, c netem.DirectionConfig) (errs confyaml.Errors) {
	gilbert := c.Loss.P > 0
	if !gilbert && c.Loss.R+c.Loss.BadLoss+c.Loss.GoodLoss > 0 {
		errs = append(errs, p.dec.Errorf(path+".loss", "want p above 0: without it r, bad_loss and good_loss mean nothing"))
	}
	if gilbert && c.Loss.BadLoss+c.Loss.GoodLoss == 0 {
		errs = append(errs, p.dec.Errorf(path+".loss", "want bad_loss above 0: without it the Gilbert-Elliott model loses nothing"))
	}
	if len(c.Table) > 0 && c.Distribution != netem.Table {
		errs = append(errs, p.dec.Errorf(path+".table", "want distribution: table beside it"))
	}
	return errs
}

func fieldErrors(err error) []*netem.FieldError {
	var one *netem.FieldError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*netem.FieldError
		for _, e := range joined.Unwrap() {
			all = append(all, fieldErrors(e)...)
		}
		return all
	}
	if errors.As(err, &one) {
		return []*netem.FieldError{one}
	}
	return nil
}

// pathOf is the profile's path of a netem.Config's Go field: link.up.rate of
// Up.Rate.
func pathOf(field string) string {
	t, path := reflect.TypeFor[netem.Config](), "link"
	for _, name := range strings.Split(field, ".") {
		name, index, _ := strings.Cut(name, "[")
		f, ok := t.FieldByName(name)
		if !ok {
			return path
		}
		if tag := f.Tag.Get("conf"); tag != "-" {
			path += "." + tag
		} else {
			path = strings.ToLower(name) // Radio and SMS stand beside link
		}
		if i, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil {
			path += "." + strconv.Itoa(i)
		}
		for t = f.Type; t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice; {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return path
		}
	}
	return path
}
