package profiles

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/netem"
)

// Provenance is where a value comes from.
type Provenance struct {
	// Flag is V (read in a published source), D (derived from such), G
	// (general engineering knowledge, unverified), "set" (by Set), or "" for
	// a value in a file without a flag.
	Flag string `json:"flag"`
	// Source is what the value's comment says.
	Source string `json:"source,omitempty"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
}

func (p Provenance) comment() string { return strings.TrimSpace(p.Flag + " " + p.Source) }

// Provenance tells where the value at a dotted path comes from; false if it
// is a default.
func (p *Profile) Provenance(path string) (Provenance, bool) {
	pos, ok := p.dec.Pos(path)
	switch flag, source, _ := strings.Cut(pos.Comment, " "); {
	case !ok:
		return Provenance{}, false
	case pos.File == "":
		return Provenance{Flag: "set"}, true
	case flag == "V" || flag == "D" || flag == "G":
		return Provenance{flag, source, pos.File, pos.Line}, true
	}
	return Provenance{"", pos.Comment, pos.File, pos.Line}, true
}

// WriteShow prints the profile with all it inherits and where each value
// comes from, as "text" for people, "yaml" that loads to the same profile, or
// "json" with the provenance by path.
func (p *Profile) WriteShow(w io.Writer, format string) error {
	switch format {
	case "text":
		return p.writeText(w)
	case "yaml":
		return p.writeYAML(w)
	case "json":
		return p.writeJSON(w)
	}
	return fmt.Errorf("unknown format %q: want text, yaml or json", format)
}

// flat is the profile without what it inherits from: that is already in it.
func (p *Profile) flat() *Profile {
	flat := *p
	flat.Extends = ""
	return &flat
}

func (p *Profile) writeYAML(w io.Writer) error {
	out, err := confyaml.Encode(p.flat(), func(path string) string {
		from, _ := p.Provenance(path)
		return from.comment()
	})
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

func (p *Profile) writeJSON(w io.Writer) error {
	object := confyaml.Object(p.flat())
	from := map[string]Provenance{}
	for _, leaf := range p.values() {
		from[leaf.Path], _ = p.Provenance(leaf.Path)
	}
	object["provenance"] = from
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(object)
}

// values are the leaves of link, radio and power.
func (p *Profile) values() []confyaml.Leaf {
	model := p.flat()
	model.Version, model.Name, model.Title, model.Description, model.Technology = 0, "", "", "", ""
	return confyaml.Leaves(model)
}

func (p *Profile) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", p.Name, p.Title)
	if p.Description != "" {
		fmt.Fprintf(&b, "%s\n", strings.TrimSpace(p.Description))
	}
	b.WriteString("\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, leaf := range p.values() {
		from, _ := p.Provenance(leaf.Path)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", leaf.Path, leaf.Value, from.Flag, from.Source)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	cfg := p.Netem()
	for _, dir := range []netem.Direction{netem.Up, netem.Down} {
		if rate := cfg.Rate(dir); rate > 0 {
			fmt.Fprintf(&b, "\nsustained rate %s: %s", dir, rate.Human())
		}
	}
	b.WriteString("\n\nV: read in a published source; D: derived from such; G: general engineering knowledge, unverified; set: by --set\n")
	for _, s := range sources {
		if strings.Contains(b.String(), s.short) {
			fmt.Fprintf(&b, "%s: %s\n", s.short, s.title)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
