package measure

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/thinlink/thinlink/measure/internal/capfile"
	"github.com/thinlink/thinlink/measure/internal/tlsdec"
	"github.com/thinlink/thinlink/netem"
)

// About says whose trace a capture is. Empty fields are left out.
type About struct {
	// Version is thinlink's.
	Version                          string
	Profile, Scenario, Stack, Engine string
	Seed                             uint64
	// Hardware and OS are the machine's, for engines on which they matter.
	Hardware, OS string
}

func (a *About) comment() string {
	var parts []string
	for _, f := range []struct{ name, value string }{
		{"profile", a.Profile}, {"scenario", a.Scenario}, {"stack", a.Stack}, {"engine", a.Engine},
		{"seed", fmt.Sprint(a.Seed)},
	} {
		if f.value != "" {
			parts = append(parts, f.name+" "+f.value)
		}
	}
	return strings.Join(parts, ", ") +
		`. Interface "window" holds the packets of the measured window, "setup" all others: frame.interface_name == "window"`
}

// Names of the interfaces in our captures.
const (
	ifaceSetup  = "setup"
	ifaceWindow = "window"
)

// captureMeta is what a capture of ours needs beyond packets to become a Trace
// again, in a custom option of the section.
type captureMeta struct {
	Device      netip.Addr   `json:"device"`
	Start       time.Time    `json:"start"`
	WindowStart time.Time    `json:"window_start"`
	WindowEnd   time.Time    `json:"window_end"`
	FatesKnown  bool         `json:"fates_known"`
	Bearer      netem.Bearer `json:"bearer,omitempty"`
}

// WritePCAPNG writes a trace as a capture that Wireshark and ReadTrace
// understand: packets on two interfaces, inside and outside the measured
// window (on one, if the window holds them all), the keys, a comment on each
// packet the link dropped and on the window's first, and every packet's fate
// in a custom option. Because dropped packets are there as well as their
// retransmissions, Wireshark reassembles streams best with its preference
// tcp.reassemble_out_of_order.
func WritePCAPNG(w io.Writer, t *Trace, about About) error {
	meta, err := json.Marshal(captureMeta{t.Device, t.Start, t.WindowStart, t.WindowEnd, t.FatesKnown, t.Bearer})
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	c := capfile.NewWriter(w, capfile.Section{
		Application: strings.TrimSpace("thinlink " + about.Version),
		Hardware:    about.Hardware, OS: about.OS,
		Comment: about.comment(), Custom: string(meta),
	})
	link := uint16(capfile.LinkRaw)
	if t.Bearer != netem.BearerIP {
		link = capfile.LinkUpperPDU
	}
	window := 0
	for i := range t.Packets {
		if !t.inWindow(t.Packets[i].Time) {
			c.Interface(ifaceSetup, "packets outside the measured window", link)
			window = 1
			break
		}
	}
	c.Interface(ifaceWindow, "packets inside the measured window", link)
	if len(t.KeyLog) > 0 {
		c.Secrets(t.KeyLog)
	}
	opened := false
	var fate []byte
	for i := range t.Packets {
		p := &t.Packets[i]
		iface := 0
		var comments []string
		if t.inWindow(p.Time) {
			iface = window
			if !opened && window > 0 {
				comments = append(comments, "the measured window starts")
			}
			opened = true
		}
		if p.Lost != "" {
			comments = append(comments, "dropped by the link: "+string(p.Lost))
		}
		var custom []byte
		if t.FatesKnown {
			fate = appendFate(fate[:0], p)
			custom = fate
		}
		data := p.Data
		if t.Bearer != netem.BearerIP {
			name, port := t.dissector(data)
			data = capfile.AppendPDU(nil, capfile.PDU{Dissector: name, Port: port, Down: p.Dir == netem.Down, Data: data})
		}
		c.Packet(iface, p.Time, data, comments, custom)
	}
	return c.Flush()
}

// dissector is Wireshark's name of what a packet without IP is, and its usual
// port.
func (t *Trace) dissector(b []byte) (name string, port uint16) {
	if t.Bearer == netem.BearerSMS {
		return "gsm_a_dtap", 0 // the layer-3 protocols between device and network
	}
	if tlsdec.IsDTLS(b) {
		return "dtls", portCoAPS
	}
	return "coap", portCoAP
}

// appendFate encodes a packet's fate: Done in nanoseconds since 1970, 0 if
// unknown, big endian, and the reason for its loss.
func appendFate(b []byte, p *Packet) []byte {
	done := int64(0)
	if !p.Done.IsZero() {
		done = p.Done.UnixNano()
	}
	return append(binary.BigEndian.AppendUint64(b, uint64(done)), p.Lost...)
}

func (p *Packet) setFate(b []byte) {
	if len(b) < 8 {
		return
	}
	if done := int64(binary.BigEndian.Uint64(b)); done != 0 {
		p.Done = time.Unix(0, done)
	}
	p.Lost = netem.Drop(b[8:])
}

// WriteFiles writes a trace as base.pcapng, base.keys (if there are any) and
// base.events.jsonl into dir, and returns their names. The packets and keys
// are in the capture; the key log is for other tools.
func WriteFiles(dir, base string, t *Trace, about About) (Files, error) {
	var files Files
	write := func(name *string, suffix string, f func(io.Writer) error) error {
		file, err := os.Create(filepath.Join(dir, base+suffix))
		if err != nil {
			return err
		}
		b := bufio.NewWriter(file)
		err = f(b)
		if err == nil {
			err = b.Flush()
		}
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", base+suffix, err)
		}
		*name = base + suffix
		return nil
	}
	if err := write(&files.PCAPNG, ".pcapng", func(w io.Writer) error { return WritePCAPNG(w, t, about) }); err != nil {
		return files, err
	}
	if err := write(&files.Events, ".events.jsonl", func(w io.Writer) error { return WriteEvents(w, t) }); err != nil {
		return files, err
	}
	if len(t.KeyLog) == 0 {
		return files, nil
	}
	return files, write(&files.KeyLog, ".keys", func(w io.Writer) error {
		_, err := w.Write(t.KeyLog)
		return err
	})
}

// ReadTrace reads a trace of ours back: a capture and, unless events is "",
// the events beside it. Judge makes the same result of it as of the original.
func ReadTrace(capture, events string) (*Trace, error) {
	t, err := Open(capture, OpenOptions{})
	if err != nil || events == "" {
		return t, err
	}
	f, err := os.Open(events)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t.Events, err = ReadEvents(f, t.Start)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", events, err)
	}
	return t, nil
}
