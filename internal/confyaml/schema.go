package confyaml

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of the files that decode into a
// struct of this type. Bounds of values with units stand in descriptions:
// JSON Schema cannot compare "800ms" with "1s".
func Schema(of any) ([]byte, error) {
	t := reflect.TypeOf(of)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := schemaOf(t, rule{})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = strings.ToLower(t.Name())
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	return append(out, '\n'), nil
}

type object = map[string]any

func schemaOf(t reflect.Type, r rule) object {
	switch {
	case t.Kind() == reflect.Pointer:
		return object{"anyOf": []object{schemaOf(t.Elem(), r), {"type": "null"}}}
	case isScalar(t):
		return scalarSchema(t, r)
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), r)}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem(), r)}
	}
	s := structSchema(t)
	if f, ok := scalarField(t); ok {
		return object{"anyOf": []object{schemaOf(f.typ, f.rule), s}}
	}
	return s
}

func structSchema(t reflect.Type) object {
	properties := object{}
	var required []string
	for _, name := range namesOf(t) {
		path := lookup(t, name)[0]
		f := path[len(path)-1]
		s := schemaOf(f.typ, f.rule)
		s["description"] = f.doc
		if isScalar(f.typ) {
			s["description"] = f.doc + "; " + f.rule.want(f.typ)
		}
		properties[name] = s
		if f.required && len(path) == 1 {
			required = append(required, name)
		}
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if required != nil {
		s["required"] = required
	}
	return s
}

func scalarSchema(t reflect.Type, r rule) object {
	if r.enum != nil {
		return object{"enum": r.enum}
	}
	s := object{}
	if _, _, pattern := form(t); isText(t) || t == durationType {
		s["type"] = []string{"string", "number"} // 1358 and 0 are numbers to YAML
		if pattern != "" {
			s["pattern"] = pattern
		}
		return s
	}
	switch t.Kind() {
	case reflect.String:
		s["type"] = "string"
		if r.pattern != "" {
			s["pattern"] = "^(?:" + r.pattern + ")$"
		}
		return s
	case reflect.Bool:
		s["type"] = "boolean"
		return s
	case reflect.Float32, reflect.Float64:
		s["type"] = "number"
	default:
		s["type"] = "integer"
		if strings.HasPrefix(t.Kind().String(), "uint") {
			s["minimum"] = 0
		}
	}
	for keyword, bound := range map[string]string{"minimum": r.min, "maximum": r.max, "exclusiveMinimum": r.above} {
		if bound != "" {
			s[keyword] = json.Number(bound)
		}
	}
	return s
}
