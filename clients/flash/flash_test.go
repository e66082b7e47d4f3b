package flash

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func stores(t *testing.T) map[string]Store {
	return map[string]Store{"memory": new(Memory), "dir": Dir(t.TempDir())}
}

func TestRecords(t *testing.T) {
	for name, s := range stores(t) {
		if _, err := s.Load("state"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: load of nothing: %v", name, err)
		}
		for _, want := range []string{"one", "a longer second", ""} {
			if err := s.Save("state", []byte(want)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, err := s.Load("state"); err != nil || string(got) != want {
				t.Errorf("%s: got %q, %v: want %q", name, got, err, want)
			}
		}
		for range 2 {
			if err := s.Remove("state"); err != nil {
				t.Errorf("%s: remove: %v", name, err)
			}
		}
		if _, err := s.Load("state"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: load after remove: %v", name, err)
		}
		for _, bad := range []string{"", "..", "a/b", "state.new"} {
			if s.Save(bad, nil) == nil {
				t.Errorf("%s: name %q was taken", name, bad)
			}
		}
	}
}

func TestFiles(t *testing.T) {
	for name, s := range stores(t) {
		f, err := s.Open("image")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f.WriteAt([]byte("world"), 6)
		f.WriteAt([]byte("hello "), 0)
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f, err = s.Open("image") // after a reboot
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		size, err := f.Size()
		if err != nil || size != 11 {
			t.Errorf("%s: size %d, %v", name, size, err)
		}
		got, err := io.ReadAll(io.NewSectionReader(f, 0, size))
		if err != nil || string(got) != "hello world" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if n, err := f.ReadAt(make([]byte, 4), 9); n != 2 || err != io.EOF {
			t.Errorf("%s: read at the end: %d, %v", name, n, err)
		}
		if err := f.Truncate(5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if size, _ := f.Size(); size != 5 {
			t.Errorf("%s: size %d after truncating", name, size)
		}
		f.Close()
	}
}

// A power cut while a record is written leaves a temporary file of any length
// beside the old record, or the new one in its place.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	d := Dir(dir)
	old, next := []byte("the old record"), []byte("the new record, which is longer")
	for cut := range len(next) + 1 {
		if err := d.Save("state", old); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "state"+tempSuffix), next[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Load("state"); err != nil || !bytes.Equal(got, old) {
			t.Fatalf("cut at %d: got %q, %v", cut, got, err)
		}
		if err := d.Save("state", next); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Load("state"); err != nil || !bytes.Equal(got, next) {
			t.Fatalf("after cut at %d: got %q, %v", cut, got, err)
		}
	}
}
