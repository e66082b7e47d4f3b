// Package confyaml decodes YAML that people write into Go structs, strictly:
// what is not known, not allowed or given twice is an Error that names the
// file, line, column and field, the value, what is allowed, and the nearest
// valid name. All mistakes of a file are reported at once.
//
//	type link struct {
//		Rate units.BitRate `conf:"rate" doc:"bit rate" above:"0" required:"true"`
//		Mode string        `conf:"mode" doc:"duplex" enum:"half,full"`
//	}
//	var l link
//	err := confyaml.Decode("link.yaml", data, &l)
//	err = confyaml.Set(&l, "rate", "26kbit")
//	schema, err := confyaml.Schema(l)
//
// Struct tags drive decoding, messages and the schema alike; a field without
// a conf tag is not configuration:
//
//	conf      name of the field; an embedded struct without it is inlined
//	doc       what the field means
//	min, max  inclusive bounds, in the field's own notation ("1s", "16KiB")
//	above     exclusive lower bound
//	enum      allowed values, separated by commas
//	pattern   regular expression that a string matches as a whole
//	required  "true": some layer must give the field
//	scalar    "true": a plain value in place of the struct sets this field
//	list      "true": a list in place of the struct sets this field
//	share     "true": the struct's fields may also stand beside this field and
//	          then hold for all shared fields (link.rate for link.up.rate and
//	          link.down.rate), except where these say otherwise
//	merge     "replace": a layer that gives the field replaces it as a whole;
//	          otherwise structs merge field by field. "own", at the top: no
//	          layer inherits it from the one below (a name)
//
// On a slice, bounds and enum hold for each element. Fields are of a kind
// bool, string, integer or float, time.Duration (with days), an
// encoding.TextUnmarshaler, or structs, pointers, slices and string-keyed maps
// of these. A type with a TextForm method says in messages and schemas what it
// looks like. null removes what a pointer holds and is refused elsewhere.
//
// A Decoder applies several layers (a parent's file, the file itself, values
// from the command line) onto one struct and remembers where each value came
// from, with the comment on its line.
//
// Limitations: aliases, merge keys and tags of YAML are refused, as are files
// above 1 MiB and nesting deeper than 32. A syntax error's line is the YAML
// scanner's, which may be one off; its column is the start of that line.
package confyaml
