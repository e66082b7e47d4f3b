package coap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/tcp/coder"
)

// maxFrameHeader is the size of length, extended length and code, in bytes
// (RFC 8323 section 3.2).
const maxFrameHeader = 1 + 4 + 1

// errFrameTooLarge is a message longer than the Max-Message-Size we announced.
var errFrameTooLarge = errors.New("coap: message is larger than max_message_size")

// readFrame reads one message of a stream (RFC 8323 section 3.2). Errors: io.EOF
// between messages, io.ErrUnexpectedEOF within one; errFormat and
// errFrameTooLarge, after which the stream cannot be used.
//
// go-coap's decoder is not used: its lengths overflow, it accepts tokens of 15
// bytes, and it drops options as decode tells.
func readFrame(r io.Reader, limit int) (message.Message, error) {
	var m message.Message
	var header [maxFrameHeader]byte
	if _, err := io.ReadFull(r, header[:1]); err != nil {
		return m, err
	}
	tokenLen, extension := int(header[0]&0xf), extensionLen(header[0]>>4)
	if tokenLen > message.MaxTokenSize {
		return m, errFormat
	}
	rest := header[1 : 1+extension+1]
	if err := readRest(r, rest); err != nil {
		return m, err
	}
	n := frameLength(header[0]>>4, rest[:extension])
	if 1+uint64(len(rest))+uint64(tokenLen)+n > uint64(limit) {
		return m, errFrameTooLarge
	}
	body := make([]byte, tokenLen+int(n))
	if err := readRest(r, body); err != nil {
		return m, err
	}
	m.Code = codes.Code(rest[extension])
	m.Token = body[:tokenLen]
	return m, decodeContent(&m, body[tokenLen:])
}

// readRest reads what must follow.
func readRest(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// extensionLen is the length of the Extended Length field.
func extensionLen(nibble byte) int {
	if nibble < 13 {
		return 0
	}
	return 1 << (nibble - 13)
}

// frameLength is the length of options and payload, in bytes.
func frameLength(nibble byte, extension []byte) uint64 {
	switch len(extension) {
	case 1:
		return uint64(extension[0]) + coder.MessageLength13Base
	case 2:
		return uint64(binary.BigEndian.Uint16(extension)) + coder.MessageLength14Base
	case 4:
		return uint64(binary.BigEndian.Uint32(extension)) + coder.MessageLength15Base
	}
	return uint64(nibble)
}

// encodeFrame encodes a message for a stream whose peer takes messages of
// limit bytes. Type and MessageID have no meaning there.
func encodeFrame(m message.Message, limit int) ([]byte, error) {
	size := maxFrameHeader + len(m.Token) + 1 + len(m.Payload)
	for _, o := range m.Options {
		if len(o.Value) > maxOptionLen {
			return nil, fmt.Errorf("coap: encode: option %d of %d bytes", o.ID, len(o.Value))
		}
		size += optionLen(o)
	}
	buf := make([]byte, size)
	n, err := coder.DefaultCoder.Encode(m, buf)
	if err != nil {
		return nil, fmt.Errorf("coap: encode: %w", err)
	}
	if n > limit {
		return nil, fmt.Errorf("%w: %d bytes, it takes %d", ErrMessageSize, n, limit)
	}
	return buf[:n], nil
}
