package vm

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"strings"
	"testing"
)

// lz4Legacy frames blocks as the kernel's image has them.
func lz4Legacy(blocks ...[]byte) []byte {
	b := []byte{0x02, 0x21, 0x4c, 0x18}
	for _, block := range blocks {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(block)))
		b = append(b, block...)
	}
	return b
}

func TestUnlz4(t *testing.T) {
	long := append([]byte{0xf0, 255, 3}, bytes.Repeat([]byte("x"), 15+255+3)...)
	for _, test := range []struct {
		name   string
		blocks [][]byte
		want   string
	}{
		{"literals", [][]byte{{0x30, 'a', 'b', 'c'}}, "abc"},
		{"a copy that overlaps itself", [][]byte{{0x14, 'a', 1, 0, 0x10, 'b'}}, "aaaaaaaaab"},
		{"a long copy", [][]byte{{0x1f, 'a', 1, 0, 2, 0x10, 'b'}}, strings.Repeat("a", 1+15+2+4) + "b"},
		{"long literals", [][]byte{long}, strings.Repeat("x", 273)},
		{"two blocks", [][]byte{{0x10, 'a'}, {0x10, 'b'}}, "ab"},
	} {
		got, err := unlz4(lz4Legacy(test.blocks...)[4:])
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %q, %v; want %q", test.name, got, err, test.want)
		}
	}
}

func bzImage(payload []byte) []byte {
	b := make([]byte, 1024)
	b[0x1f1] = 1
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(payload)))
	return append(b, payload...)
}

func TestUnpackImage(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte("\x7fELF kernel"))
	w.Close()
	size := []byte{11, 0, 0, 0}
	for name, payload := range map[string][]byte{
		"gzip": append(packed.Bytes(), size...),
		"lz4":  append(lz4Legacy([]byte{0xb0, 0x7f, 'E', 'L', 'F', ' ', 'k', 'e', 'r', 'n', 'e', 'l'}), size...),
	} {
		got, err := unpackImage(t.Context(), bzImage(payload))
		if err != nil || string(got) != "\x7fELF kernel" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, b := range map[string][]byte{
		"no header":    make([]byte, 2000),
		"short":        bzImage(size)[:900],
		"unknown":      bzImage([]byte("something else")),
		"not a kernel": bzImage(append(lz4Legacy([]byte{0x10, 'a'}), size...)),
	} {
		if _, err := unpackImage(t.Context(), b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzUnlz4(f *testing.F) {
	f.Add([]byte{0x14, 'a', 1, 0, 0x10, 'b'})
	f.Add(bytes.Repeat([]byte{0xff}, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := unlz4Block(nil, b)
		if err == nil && len(out) > 256*len(b) {
			t.Errorf("%d bytes from %d", len(out), len(b))
		}
	})
}
