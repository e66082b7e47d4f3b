package units

import (
	"fmt"
	"math"
	"strings"
)

// Queue is the limit of a queue, in bytes or in packets: at most one is not
// zero. The zero Queue has no limit. Text: "16KiB", "12packets", "unlimited".
type Queue struct {
	Bytes   Bytes
	Packets int
}

// ParseQueue reads a limit. "0packets" is refused: that would be no limit.
func ParseQueue(text string) (Queue, error) {
	if text == "unlimited" {
		return Queue{}, nil
	}
	var q Queue
	var packets int64
	var err error
	if number, isPackets := strings.CutSuffix(text, "packets"); isPackets && number != "" {
		packets, err = digits(number)
	} else {
		q.Bytes, err = ParseBytes(text)
	}
	if q.Packets = int(packets); err != nil || q == (Queue{}) || packets > math.MaxInt32 {
		return Queue{}, fmt.Errorf("queue %q: write a size or a number of packets above 0, for example 16KiB or 12packets, or unlimited", text)
	}
	return q, nil
}

func (q Queue) String() string {
	switch {
	case q.Packets != 0:
		return fmt.Sprintf("%dpackets", q.Packets)
	case q.Bytes != 0:
		return q.Bytes.String()
	}
	return "unlimited"
}

// MarshalText writes String.
func (q Queue) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText is ParseQueue.
func (q *Queue) UnmarshalText(text []byte) (err error) {
	*q, err = ParseQueue(string(text))
	return err
}

// TextForm describes the text for error messages and schemas.
func (Queue) TextForm() (noun, example, pattern string) {
	return "a queue size", "16KiB, 12packets or unlimited", `^([0-9]+(\.[0-9]+)?([kMG]?B|[KMG]iB)?|[0-9]+packets|unlimited)$`
}
