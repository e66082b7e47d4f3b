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
	// Wanted and Version are of the package that was announced.
	Wanted  [32]byte
	Version string
	// Running is the version of the firmware that runs.
	Running string
}

// storage is the device's flash memory: a record, and the package so far,
// whose size says how far the download is. Every piece is synced. A piece that
// was torn by a power cut all the same is found by the digest at the end.
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
	s := &storage{store: store, record: record{Running: "1.0.0"}}
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
	s.size, err = s.file.Size()
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
	s.size = offset + int64(len(data))
	return s.file.Sync()
}

// erase forgets the package.
func (s *storage) erase() error {
	s.size, s.ETag, s.resumed = 0, nil, false
	return errors.Join(s.file.Truncate(0), s.save())
}

// content reads the package.
func (s *storage) content() io.Reader { return io.NewSectionReader(s.file, 0, s.size) }
