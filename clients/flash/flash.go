// Package flash is a device's persistent storage: what survives a reboot or a
// power cut.
//
// A Store holds small records, each replaced as a whole, and files that grow
// by writes at an offset, such as a partial firmware image. After a power cut
// at any byte a record is either the old or the new one; of a file's writes
// since the last Sync any part may be missing. A device that notes its
// progress in a record therefore calls Sync first.
//
// Memory is storage inside a run; Dir is a directory of the host, for devices
// that outlive the process.
package flash

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Store is persistent storage. Names are plain: no separators, not empty.
type Store interface {
	// Load returns a record; the error of one that was never stored is
	// fs.ErrNotExist.
	Load(name string) ([]byte, error)
	// Save replaces a record as a whole, durably.
	Save(name string, data []byte) error
	// Open opens a file, empty if it is new.
	Open(name string) (File, error)
	// Remove removes a record or file; one that does not exist is no error.
	Remove(name string) error
}

// File is a file that keeps what was written until Sync.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size is the end of what was written, in bytes.
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes all that was written survive a power cut.
	Sync() error
}

func check(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\") || strings.HasSuffix(name, tempSuffix) {
		return fmt.Errorf("flash: name %q: want a plain name", name)
	}
	return nil
}

// Memory is storage that lives as long as the run. The zero value is empty.
type Memory struct {
	mu    sync.Mutex
	files map[string]*memoryFile
}

var _ Store = (*Memory)(nil)

func (m *Memory) file(name string, create bool) (*memoryFile, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	if f == nil && create {
		f = new(memoryFile)
		if m.files == nil {
			m.files = map[string]*memoryFile{}
		}
		m.files[name] = f
	}
	if f == nil {
		return nil, fmt.Errorf("flash: %s: %w", name, fs.ErrNotExist)
	}
	return f, nil
}

// Load implements Store.
func (m *Memory) Load(name string) ([]byte, error) {
	f, err := m.file(name, false)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]byte(nil), f.data...), nil
}

// Save implements Store.
func (m *Memory) Save(name string, data []byte) error {
	f, err := m.file(name, true)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data = append([]byte(nil), data...)
	return nil
}

// Open implements Store.
func (m *Memory) Open(name string) (File, error) {
	f, err := m.file(name, true)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Remove implements Store.
func (m *Memory) Remove(name string) error {
	if err := check(name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	return nil
}

type memoryFile struct {
	mu   sync.Mutex
	data []byte
}

func (f *memoryFile) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 {
		return 0, errors.New("flash: negative offset")
	}
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 {
		return 0, errors.New("flash: negative offset")
	}
	f.grow(off + int64(len(b)))
	return copy(f.data[off:], b), nil
}

// grow lengthens the file with zeros, at amortised constant cost per byte.
func (f *memoryFile) grow(size int64) {
	if missing := size - int64(len(f.data)); missing > 0 {
		f.data = append(f.data, make([]byte, missing)...)
	}
}

func (f *memoryFile) Size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *memoryFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if size < 0 {
		return errors.New("flash: negative size")
	}
	f.grow(size)
	f.data = f.data[:size]
	return nil
}

func (f *memoryFile) Sync() error  { return nil }
func (f *memoryFile) Close() error { return nil }

// Dir is storage in a directory, which must exist.
type Dir string

var _ Store = Dir("")

// tempSuffix marks a record that is being written; after a power cut it is
// garbage and the next Save replaces it.
const tempSuffix = ".new"

// Load implements Store.
func (d Dir) Load(name string) ([]byte, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(string(d), name))
	if err != nil {
		return nil, fmt.Errorf("flash: %w", err)
	}
	return data, nil
}

// Save implements Store: write, sync, rename, sync the directory. rename
// replaces atomically (POSIX.1-2017, rename).
func (d Dir) Save(name string, data []byte) error {
	if err := check(name); err != nil {
		return err
	}
	path := filepath.Join(string(d), name)
	if err := writeSynced(path+tempSuffix, data); err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	if err := os.Rename(path+tempSuffix, path); err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	return d.sync()
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (d Dir) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("flash: %w", err)
	}
	return nil
}

// Open implements Store.
func (d Dir) Open(name string) (File, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("flash: %w", err)
	}
	if err := d.sync(); err != nil { // the name itself must survive
		f.Close()
		return nil, err
	}
	return dirFile{f}, nil
}

// Remove implements Store.
func (d Dir) Remove(name string) error {
	if err := check(name); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(string(d), name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("flash: %w", err)
	}
	return d.sync()
}

type dirFile struct{ *os.File }

func (f dirFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("flash: %w", err)
	}
	return st.Size(), nil
}
