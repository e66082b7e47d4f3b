package confyaml

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of the files that decode into a
// struct of this type. Bounds of values with units stand in descriptions:
// JSON Schema cannot compare "800ms" with "1s". Where files may extend others
// (the struct has a field "extends"), required are the fields that no layer
// inherits, and those of list elements.
func Schema(of any) ([]byte, error) {
	t := reflect.TypeOf(of)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := schemaOf(t, rule{}, len(lookup(t, "extends")) > 0)
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = strings.ToLower(t.Name())
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	return append(out, '\n'), nil
}

type object = map[string]any

func schemaOf(t reflect.Type, r rule, layered bool) object {
	switch {
	case t.Kind() == reflect.Pointer:
		return object{"anyOf": []object{schemaOf(t.Elem(), r, layered), {"type": "null"}}}
	case isScalar(t):
		return scalarSchema(t, r)
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), r, false)}
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem(), r, layered)}
	}
	s := structSchema(t, layered)
	var forms []object
	for _, f := range standIns(t) {
		forms = append(forms, schemaOf(f.typ, f.rule, layered))
	}
	if forms == nil {
		return s
	}
	return object{"anyOf": append(forms, s)}
}

func structSchema(t reflect.Type, layered bool) object {
	properties := object{}
	var required []string
	for _, name := range namesOf(t) {
		path := lookup(t, name)[0]
		f := path[len(path)-1]
		s := schemaOf(f.typ, f.rule, layered)
		s["description"] = f.doc
		if isScalar(f.typ) {
			s["description"] = f.doc + "; " + f.rule.want(f.typ)
		}
		properties[name] = s
		if f.required && len(path) == 1 && (f.own || !layered) {
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
	if isText(t) || t == durationType {
		return textSchema(t)
	}
	s := object{}
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

// textSchema is that of a type with a notation of its own. YAML reads what
// looks like a number as one, so numbers are allowed as the notation allows
// them: all, or a bare 0.
func textSchema(t reflect.Type) object {
	_, _, pattern := form(t)
	s := object{"type": "string"}
	if pattern == "" {
		return s
	}
	s["pattern"] = pattern
	switch bare := regexp.MustCompile(pattern); {
	case bare.MatchString("5"):
		s["type"] = []string{"string", "number"}
	case bare.MatchString("0"):
		return object{"anyOf": []object{s, {"const": 0}}}
	}
	return s
}
