package vm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// unpackImage takes the ELF kernel out of a bzImage
// (Documentation/arch/x86/boot.rst of Linux).
func unpackImage(ctx context.Context, b []byte) ([]byte, error) {
	const (
		setupSects    = 0x1f1
		magic         = 0x202 // "HdrS"
		payloadOffset = 0x248
		payloadLength = 0x24c
		sector        = 512
	)
	if len(b) < 0x260 || string(b[magic:magic+4]) != "HdrS" {
		return nil, errors.New("not a bzImage")
	}
	start := (int(b[setupSects])+1)*sector + int(binary.LittleEndian.Uint32(b[payloadOffset:]))
	end := start + int(binary.LittleEndian.Uint32(b[payloadLength:]))
	if end > len(b) || start+8 > end {
		return nil, errors.New("the bzImage is cut short")
	}
	elf, err := unpack(ctx, b[start:end])
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(elf, []byte("\x7fELF")) {
		return nil, errors.New("the bzImage holds no ELF kernel")
	}
	return elf, nil
}

// unpack recognises the compression. The kernel's length follows as four bytes
// where the format has no room for it.
func unpack(ctx context.Context, b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0x02, 0x21, 0x4c, 0x18}):
		return unlz4(b[4 : len(b)-4])
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		r.Multistream(false)
		return io.ReadAll(r)
	case bytes.HasPrefix(b, []byte("\xfd7zXZ")):
		return filter(ctx, b[:len(b)-4], "xz", "-dc", "--single-stream")
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return filter(ctx, b[:len(b)-4], "zstd", "-dc")
	}
	return nil, fmt.Errorf("unknown compression %x", b[:4])
}

func filter(ctx context.Context, b []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(b)
	return cmd.Output()
}

var errLZ4 = errors.New("damaged LZ4 data")

// unlz4 unpacks the blocks of LZ4's legacy frame format
// (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), each behind
// its length.
func unlz4(b []byte) ([]byte, error) {
	var out []byte
	for len(b) >= 4 {
		n := int(binary.LittleEndian.Uint32(b))
		b = b[4:]
		if n > len(b) {
			return nil, errLZ4
		}
		var err error
		if out, err = unlz4Block(out, b[:n]); err != nil {
			return nil, err
		}
		b = b[n:]
	}
	return out, nil
}

// unlz4Block appends an unpacked block: sequences of literals and copies of
// what came before (lz4_Block_format.md).
func unlz4Block(out, b []byte) ([]byte, error) {
	start := len(out)
	length := func(n int) (int, bool) {
		if n != 15 {
			return n, true
		}
		for len(b) > 0 {
			c := b[0]
			b = b[1:]
			n += int(c)
			if c != 255 {
				return n, true
			}
		}
		return 0, false
	}
	for len(b) > 0 {
		token := b[0]
		b = b[1:]
		literals, ok := length(int(token >> 4))
		if !ok || literals > len(b) {
			return nil, errLZ4
		}
		out, b = append(out, b[:literals]...), b[literals:]
		if len(b) == 0 { // the last sequence has no copy
			return out, nil
		}
		if len(b) < 2 {
			return nil, errLZ4
		}
		back := int(binary.LittleEndian.Uint16(b))
		b = b[2:]
		match, ok := length(int(token & 15))
		if !ok || back == 0 || back > len(out)-start {
			return nil, errLZ4
		}
		for range match + 4 { // may overlap itself
			out = append(out, out[len(out)-back])
		}
	}
	return out, nil
}
