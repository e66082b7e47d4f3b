package tc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Shaping is a plan in force on a real interface, and what has to be put
// back when it ends. It is kept in a file below StateDir from before the first
// change on, so that a shaping that was cut short is found again; a reboot
// ends both.
type Shaping struct {
	Device  string    `json:"device"`
	Profile string    `json:"profile"`
	Since   time.Time `json:"since"`
	// Out and In are the disciplines as tc would say them.
	Out string `json:"out"`
	In  string `json:"in"`
	// IFB is the device through which what comes in is sent.
	IFB string `json:"ifb"`
	// Offloads were on before.
	Offloads []string `json:"offloads"`
	// Whole is false until everything is set: such a one is a leftover.
	Whole bool `json:"whole"`
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
