package tc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// A Shaping is a plan in force on a real interface, and what has to be put
// back when it ends. It is kept in a file below StateDir from before the first
// change on, so that a shaping that was cut short is found again; a reboot
// ends both.
type Shaping struct {
	Device  string    `json:"device"`
	Profile string    `json:"profile"`
	Since   time.Time `json:"since"`
	// Match selects what is shaped.
	Match Match `json:"match"`
	// Up leaves through Device. Down leaves, on this machine, through IFB,
	// or through Match.From.
	Up   Netem  `json:"up"`
	Down Netem  `json:"down"`
	IFB  string `json:"ifb,omitempty"`
	// Before are the interfaces that change, as they were.
	Before []Before `json:"before"`
	// Whole is false until everything is set: such a one is a leftover.
	Whole bool `json:"whole"`
}

// Before is what an interface was like.
type Before struct {
	Device   string   `json:"device"`
	Offloads []string `json:"offloads"` // that were on
	TxQLen   int      `json:"tx_queue_len"`
}

// owner is the major number of our disciplines' handles, so that they are told
// from others'.
const owner = 0x7e11

// Our disciplines' handles: the one at the root, and below one with filters
// the class that they select and its netem.
const (
	ownRoot   = owner << 16
	ownClass  = ownRoot | 2
	ownNetem  = (owner + 1) << 16
	ingressID = 0xffff << 16
)

// Commands are what tc would have been told.
func (s *Shaping) Commands() []string {
	list := egressCommands(s.Device, s.Match.filters(s.Device, netem.Up), &s.Match, &s.Up)
	filters := s.Match.filters(s.Device, netem.Down)
	switch {
	case s.Match.UID != nil:
	case s.Match.From != "":
		list = append(list, egressCommands(s.Match.From, filters, &s.Match, &s.Down)...)
	default:
		list = append(list, "ip link add "+s.IFB+" type ifb", "ip link set "+s.IFB+" up",
			fmt.Sprintf("tc qdisc add dev %s root handle %x: netem %v", s.IFB, owner, &s.Down),
			fmt.Sprintf("tc qdisc add dev %s handle ffff: ingress", s.Device))
		for i, f := range filters {
			list = append(list, fmt.Sprintf("tc filter add dev %s parent ffff: prio %d %v action mirred egress redirect dev %s", s.Device, 1+i, &f, s.IFB))
		}
	}
	return list
}

func egressCommands(device string, filters []filter, m *Match, n *Netem) []string {
	if m.All() {
		return []string{fmt.Sprintf("tc qdisc add dev %s root handle %x: netem %v", device, owner, n)}
	}
	list := []string{
		fmt.Sprintf("tc qdisc add dev %s root handle %x: prio bands 2 priomap%s", device, owner, strings.Repeat(" 0", 16)),
		fmt.Sprintf("tc qdisc add dev %s parent %x:2 handle %x: netem %v", device, owner, owner+1, n),
	}
	for i, f := range filters {
		class := fmt.Sprintf("flowid %x:2", owner)
		if f.uid != nil {
			class = fmt.Sprintf("baseclass %x:2", owner)
		}
		list = append(list, fmt.Sprintf("tc filter add dev %s parent %x: prio %d %v %s", device, owner, 1+i, &f, class))
	}
	return list
}

// StateDir is where shapings are kept; it does not survive a reboot.
var StateDir = "/run/thinlink"

// ErrNotShaped says that there is no shaping of ours on a device.
var ErrNotShaped = errors.New("thinlink does not shape it")

func stateFile(device string) string { return filepath.Join(StateDir, "shape-"+device+".json") }

// Shapings lists what is in force or was cut short.
func Shapings() ([]Shaping, error) {
	names, err := filepath.Glob(stateFile("*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var list []Shaping
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var s Shaping
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// shapingOf finds a device's.
func shapingOf(device string) (Shaping, error) {
	list, err := Shapings()
	if err != nil {
		return Shaping{}, err
	}
	for _, s := range list {
		if s.Device == device {
			return s, nil
		}
	}
	return Shaping{}, fmt.Errorf("%s: %w", device, ErrNotShaped)
}

// save writes the state at once and whole.
func (s *Shaping) save() error {
	if err := os.MkdirAll(StateDir, 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp := stateFile(s.Device) + ".tmp"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, stateFile(s.Device))
}

func (s *Shaping) forget() error {
	err := os.Remove(stateFile(s.Device))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
