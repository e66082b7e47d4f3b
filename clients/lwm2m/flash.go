package lwm2m

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/thinlink/thinlink/clients/flash"
)

// Names in the device's flash memory.
const (
	recordName  = "lwm2m-firmware"
	packageName = "lwm2m-package"
)

// record is what an update has come to, as it survives a reboot.
type record struct {
	Machine Firmware
	// ETag is that of the package in the file.
	ETag []byte `json:",omitempty"`
	// Offset is how much of the package was in the file, and synced, when the
	// record was written.
	Offset int64
	// Wanted, Name and Version are of the package that was announced.
	Wanted  [32]byte
	Name    string
	Version string
	// Severity and MaxDefer are the resources of these names, Changed the time
	// of the last change of state, in seconds since 1970.
	Severity, MaxDefer, Changed int64
	// Running is the version of the firmware that runs.
	Running string
}

// storage is the device's flash memory: a record, and the package so far. Every
// piece is synced before the record claims it, so that a power cut leaves the
// package with the piece or without. Bytes that went wrong all the same are
// found by the digest at the end.
type storage struct {
	store flash.Store
	record
	file flash.File
	size int64
	// resumed: part of the package was there at boot.
	resumed bool
}

// openStorage reads what an earlier life of the device has left.
func openStorage(store flash.Store) (*storage, error) {
	s := &storage{store: store, record: record{Running: "1.0.0", Severity: severityMandatory}}
	data, err := store.Load(recordName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(data, &s.record); err != nil {
			return nil, fmt.Errorf("flash: record %s: %w", recordName, err)
		}
	}
	if s.file, err = store.Open(packageName); err != nil {
		return nil, err
	}
	if s.size, err = s.file.Size(); err != nil {
		return nil, err
	}
	if s.size > s.Offset { // a piece that the record does not claim
		s.size = s.Offset
		err = s.file.Truncate(s.size)
	}
	s.resumed = s.size > 0
	return s, err
}

// save makes the record durable.
func (s *storage) save() error {
	data, err := json.Marshal(s.record)
	if err != nil {
		return err
	}
	return s.store.Save(recordName, data)
}

// append stores a piece of the package, which ends there.
func (s *storage) append(offset int64, data []byte) error {
	if offset > s.size {
		return fmt.Errorf("flash: piece at %d, the package has %d bytes", offset, s.size)
	}
	if _, err := s.file.WriteAt(data, offset); err != nil {
		return err
	}
	if end := offset + int64(len(data)); end < s.size {
		if err := s.file.Truncate(end); err != nil {
			return err
		}
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.size = offset + int64(len(data))
	s.Offset = s.size
	return s.save()
}

// erase forgets the package.
func (s *storage) erase() error {
	s.size, s.Offset, s.ETag, s.resumed = 0, 0, nil, false
	return errors.Join(s.save(), s.file.Truncate(0))
}

// content reads the package.
func (s *storage) content() io.Reader { return io.NewSectionReader(s.file, 0, s.size) }
