package profiles

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// validate checks a value against the keywords that our schemas use and
// refuses any other, so that no keyword goes unchecked.
func validate(schema map[string]any, v any, path string) error {
	for keyword, arg := range schema {
		var err error
		switch keyword {
		case "$schema", "title", "description":
		case "type":
			err = validateType(arg, v)
		case "enum":
			if !slices.Contains(arg.([]any), v) {
				err = fmt.Errorf("%v is none of %v", v, arg)
			}
		case "const":
			if n, ok := v.(int); !ok || float64(n) != arg {
				err = fmt.Errorf("%v is not %v", v, arg)
			}
		case "pattern":
			if s, ok := v.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(s) {
				err = fmt.Errorf("%q does not match %s", s, arg)
			}
		case "minimum", "maximum", "exclusiveMinimum":
			err = validateBound(keyword, arg.(float64), v)
		case "anyOf":
			err = validateAnyOf(arg.([]any), v, path)
		case "required":
			for _, name := range arg.([]any) {
				if m, ok := v.(map[string]any); ok && m[name.(string)] == nil {
					err = fmt.Errorf("no %s", name)
				}
			}
		case "items":
			list, _ := v.([]any)
			for i, item := range list {
				if err := validate(arg.(map[string]any), item, fmt.Sprintf("%s.%d", path, i)); err != nil {
					return err
				}
			}
		case "properties":
			if err := validateProperties(arg.(map[string]any), v, path); err != nil {
				return err
			}
		case "additionalProperties":
			properties, _ := schema["properties"].(map[string]any)
			m, _ := v.(map[string]any)
			for name := range m {
				if arg != false {
					err = fmt.Errorf("additionalProperties is %v", arg)
				} else if properties[name] == nil {
					err = fmt.Errorf("unknown property %s", name)
				}
			}
		default:
			err = fmt.Errorf("unknown keyword %s", keyword)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func validateType(arg, v any) error {
	types, ok := arg.([]any)
	if !ok {
		types = []any{arg}
	}
	is := map[string]bool{}
	switch v.(type) {
	case nil:
		is["null"] = true
	case string:
		is["string"] = true
	case bool:
		is["boolean"] = true
	case int:
		is["integer"], is["number"] = true, true
	case float64:
		is["number"] = true
	case []any:
		is["array"] = true
	case map[string]any:
		is["object"] = true
	}
	for _, t := range types {
		if is[t.(string)] {
			return nil
		}
	}
	return fmt.Errorf("%v (%T) is not of type %v", v, v, arg)
}

func validateBound(keyword string, bound float64, v any) error {
	var x float64
	switch v := v.(type) {
	case int:
		x = float64(v)
	case float64:
		x = v
	default:
		return nil
	}
	if keyword == "minimum" && x < bound || keyword == "maximum" && x > bound || keyword == "exclusiveMinimum" && x <= bound {
		return fmt.Errorf("%v breaks %s %v", x, keyword, bound)
	}
	return nil
}

func validateAnyOf(schemas []any, v any, path string) (err error) {
	for _, s := range schemas {
		if err = validate(s.(map[string]any), v, path); err == nil {
			return nil
		}
	}
	return err
}

func validateProperties(properties map[string]any, v any, path string) error {
	m, _ := v.(map[string]any)
	for name, s := range properties {
		if value, given := m[name]; given {
			if err := validate(s.(map[string]any), value, path+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestSchema(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	valid := func(data []byte) error {
		var v map[string]any
		if err := yaml.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		return validate(schema, v, "$")
	}
	for _, name := range Names() {
		data, err := embedded.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Schema and decoder agree on files that people write.
	const head = "version: 1\nname: mine\nextends: nbiot\n"
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{head + "link: {rate: 10kbit, up: {loss: 2%}}", true},
		{head + "link: {loss: {p: 1%, r: 0.1, bad_loss: 1}}", true},
		{head + "link: {mtu: 1280, queue: 12packets, delay: 1m30s, table: [-1.5, 0, 2], distribution: table}", true},
		{head + "radio: null", true},
		{head + "radio: {rrc: {setup: 1s, rai: 0}, psm: {t3324: 10s, t3412: 2d, lose: true}}", true},
		{head + "link: {outages: [{start: 1m, duration: 2m}]}", true},
		{head + "power: {tx: 1.5W, psm: 3uW}", true},
		{head + "link: {rate: 10kb}", false},
		{head + "link: {up: {rate: [1]}}", false},
		{head + "link: {loss_place: sky}", false},
		{head + "link: {outages: [{start: 1m}]}", false},
		{head + "link: {half_duplex: half}", false},
		{head + "lnk: {}", false},
		{head + "link: {delay: soon}", false},
		{head + "link: {queue: 12 packets}", false},
		{head + "radio: {up: {tbs: 0}}", false},
		{head + "radio: {up: {tbs: 1.5}}", false},
		{head + "radio: {rrc: {setup: {sigma: 3.5}}}", false},
		{head + "power: {tx: 5}", false},
		{head + "power: {tx: 0}", true},
		{"version: 1", false},
		{"version: 2\nname: x", false},
		{"version: 1\nname: a/b", false},
	} {
		if err := valid([]byte(c.text)); (err == nil) != c.ok {
			t.Errorf("%q: the schema says %v", c.text, err)
		}
		if _, err := Parse("mine.yaml", []byte(c.text)); (err == nil) != c.ok {
			t.Errorf("%q: the decoder says %v", c.text, err)
		}
	}
}
