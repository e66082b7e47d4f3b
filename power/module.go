package power

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/thinlink/thinlink/internal/confyaml"
	"github.com/thinlink/thinlink/internal/units"
)

//go:embed modules/*.yaml
var embedded embed.FS

var library = confyaml.Library{FS: embedded, Dir: "modules", Noun: "module"}

// Module is a modem's currents. Make one with Load or Parse.
type Module struct {
	Version     int    `conf:"version" doc:"version of this schema" min:"1" max:"1" required:"true"`
	Name        string `conf:"name" doc:"name in results" pattern:"[A-Za-z0-9][A-Za-z0-9._-]{0,63}" required:"true"`
	Title       string `conf:"title" doc:"one line for people"`
	Description string `conf:"description" doc:"what the numbers stand for"`

	// Voltage turns currents into powers.
	Voltage units.Voltage `conf:"voltage" doc:"supply at which the currents hold" above:"0V" max:"50V" required:"true"`
	PSM     Draw          `conf:"psm" doc:"power saving mode" required:"true"`
	// Modes are the technologies the modem speaks, by the name that profiles
	// give in technology.
	Modes map[string]Mode `conf:"modes" doc:"draws by technology: nbiot, ltem" required:"true"`

	dec *confyaml.Decoder
}

// Mode is a modem's draw in one technology.
type Mode struct {
	// TX is a table by transmit power, ascending.
	TX []Transmit `conf:"tx" doc:"sending, by transmit power in ascending order" required:"true"`
	RX Draw       `conf:"rx" doc:"receiving" required:"true"`
	// Connected is the mean of listening to the control channel in a
	// connection without traffic.
	Connected Draw `conf:"connected" doc:"connected, listening to the control channel" required:"true"`
	// CDRXSleep is between the on-durations of connected DRX.
	CDRXSleep Draw `conf:"cdrx_sleep" doc:"connected, between on-durations of cDRX" required:"true"`
	// Setup is the mean of cell search, random access and connection set-up.
	Setup Draw     `conf:"setup" doc:"mean of random access and connection set-up" required:"true"`
	Idle  IdleDraw `conf:"idle" doc:"idle" required:"true"`
	// TAU is a published tracking area update; its mean power holds for every
	// update. Without it an update draws Setup.
	TAU *Update `conf:"tau" doc:"a published tracking area update; its mean power is used"`
}

// Transmit is a row of the table by transmit power.
type Transmit struct {
	DBM  float64 `conf:"dbm" doc:"transmit power, dBm" min:"-50" max:"40" required:"true"`
	Draw Draw    `conf:"draw" doc:"draw of the whole modem while sending" required:"true"`
}

// IdleDraw is the draw in RRC_IDLE.
type IdleDraw struct {
	Sleep Draw         `conf:"sleep" doc:"between paging occasions" required:"true"`
	Page  units.Energy `conf:"page" doc:"one paging occasion, on top" required:"true"`
	Wake  units.Energy `conf:"wake" doc:"waking up for a paging time window of eDRX, on top"`
}

// Update is a tracking area update as published, from deep sleep back to it.
type Update struct {
	Energy   units.Energy  `conf:"energy" doc:"energy of one update" above:"0J" required:"true"`
	Duration time.Duration `conf:"duration" doc:"how long it takes" above:"0s" max:"1h" required:"true"`
}

// Draw is a current at the module's voltage, or a power. Text: "167mA",
// "500mW".
type Draw struct {
	Current units.Current
	Power   units.Power
}

// UnmarshalText reads a current or a power.
func (d *Draw) UnmarshalText(text []byte) (err error) {
	if strings.HasSuffix(string(text), "W") {
		*d = Draw{}
		d.Power, err = units.ParsePower(string(text))
		return err
	}
	*d = Draw{}
	d.Current, err = units.ParseCurrent(string(text))
	return err
}

func (d Draw) String() string {
	if d.Power != 0 {
		return d.Power.String()
	}
	return d.Current.String()
}

// MarshalText writes String.
func (d Draw) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// TextForm describes the text for error messages and schemas.
func (Draw) TextForm() (noun, example, pattern string) {
	return "a current or a power", "167mA or 500mW", `^(0|[0-9]+(\.[0-9]+)?[mun]?[AW])$`
}

func (d Draw) watts(v units.Voltage) float64 {
	return float64(d.Power)/1e9 + d.Current.Amperes()*v.Volts()
}

// Names lists the built-in modules in alphabetical order.
func Names() []string { return library.Names() }

// File is the YAML of a built-in module.
func File(name string) ([]byte, error) { return library.File(name) }

// Load reads a built-in module by name, or a file by its path. Mistakes in
// files are confyaml.Errors.
func Load(nameOrPath string) (*Module, error) {
	doc, err := library.Open(nameOrPath)
	if err != nil {
		return nil, err
	}
	return build(doc)
}

// Parse reads a module from memory. file is for messages.
func Parse(file string, data []byte) (*Module, error) {
	doc, err := confyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	return build(doc)
}

func build(doc *confyaml.Document) (*Module, error) {
	m := new(Module)
	m.dec = confyaml.NewDecoder(m)
	if err := m.dec.Apply(doc); err != nil {
		return nil, err
	}
	if err := m.dec.Complete(); err != nil {
		return nil, err
	}
	return m, m.check()
}

// check reports values that are right by themselves and wrong together.
func (m *Module) check() error {
	var errs confyaml.Errors
	if len(m.Modes) == 0 {
		errs = append(errs, m.dec.Errorf("modes", "empty: want at least one technology"))
	}
	for _, name := range m.Technologies() {
		path := "modes." + name
		if !slices.Contains(technologies, name) {
			errs = append(errs, m.dec.Errorf(path, "unknown technology: want one of %s", strings.Join(technologies, ", ")))
		}
		mode := m.Modes[name]
		if len(mode.TX) == 0 {
			errs = append(errs, m.dec.Errorf(path+".tx", "empty: want at least one transmit power"))
		}
		for i := 1; i < len(mode.TX); i++ {
			if mode.TX[i].DBM <= mode.TX[i-1].DBM {
				errs = append(errs, m.dec.Errorf(fmt.Sprintf("%s.tx.%d.dbm", path, i), "%v: want transmit powers in ascending order", mode.TX[i].DBM))
			}
		}
	}
	return errs.Sorted()
}

// technologies are the names modes may have.
var technologies = []string{"nbiot", "ltem", "2g", "3g", "4g"}

// Technologies lists the technologies the module speaks, in order.
func (m *Module) Technologies() []string {
	var names []string
	for name := range m.Modes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Source is where a value comes from: V, D or G and the publication.
func (m *Module) Source(path string) string {
	pos, _ := m.dec.Pos(path)
	return pos.Comment
}

// WriteShow prints the module with the source of every number, as "text" for
// people or "json".
func (m *Module) WriteShow(w io.Writer, format string) error {
	numbers := *m
	numbers.Version, numbers.Name, numbers.Title, numbers.Description = 0, "", "", ""
	leaves := confyaml.Leaves(numbers)
	switch format {
	case "json":
		object, sources := confyaml.Object(*m), map[string]string{}
		for _, leaf := range leaves {
			sources[leaf.Path] = m.Source(leaf.Path)
		}
		object["sources"] = sources
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(object)
	case "text":
	default:
		return fmt.Errorf("unknown format %q: want text or json", format)
	}
	fmt.Fprintf(w, "%s: %s\n", m.Name, m.Title)
	if m.Description != "" {
		fmt.Fprintf(w, "%s\n", strings.TrimSpace(m.Description))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table)
	for _, leaf := range leaves {
		fmt.Fprintf(table, "%s\t%s\t%s\n", leaf.Path, leaf.Value, m.Source(leaf.Path))
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "V: read in a published source; D: derived from such; G: general engineering knowledge, unverified")
	return err
}
