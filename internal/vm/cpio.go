package vm

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
)

// writeCPIO writes an initramfs in the "newc" format
// (Documentation/driver-api/early-userspace/buffer-format.rst of Linux), with
// the directories that the files need. It is not compressed: an emulated
// processor would take longer to unpack it than to copy it.
func writeCPIO(w io.Writer, files []File) error {
	c := &cpio{w: w}
	var made []string
	for _, f := range files {
		for _, dir := range parents(f.Name) {
			if !slices.Contains(made, dir) {
				made = append(made, dir)
				c.entry(dir, 0o40755, 0)
			}
		}
		if err := c.file(f); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	c.entry("TRAILER!!!", 0, 0)
	return c.err
}

// parents are a file's directories, the outermost first.
func parents(name string) (dirs []string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		dirs = append([]string{dir}, dirs...)
	}
	return dirs
}

type cpio struct {
	w   io.Writer
	n   int64 // bytes written
	ino int
	err error // the first
}

func (c *cpio) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.err = err
	return n, err
}

// pad fills up to a multiple of four bytes.
func (c *cpio) pad() { c.Write(make([]byte, -c.n&3)) }

// entry writes a header and a name.
func (c *cpio) entry(name string, mode int, size int64) {
	c.ino++
	fields := []int64{int64(c.ino), int64(mode), 0, 0, 1, 0, size, 0, 0, 0, 0, int64(len(name)) + 1, 0}
	fmt.Fprint(c, "070701")
	for _, v := range fields {
		fmt.Fprintf(c, "%08X", v)
	}
	fmt.Fprintf(c, "%s\x00", name)
	c.pad()
}

func (c *cpio) file(f File) error {
	const regular = 0o100000
	mode := regular | int(f.Mode.Perm())
	if f.Path == "" {
		c.entry(f.Name, mode, int64(len(f.Data)))
		c.Write(f.Data)
		c.pad()
		return c.err
	}
	src, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	c.entry(f.Name, mode, info.Size())
	if _, err := io.CopyN(c, src, info.Size()); err != nil {
		return err
	}
	c.pad()
	return c.err
}
