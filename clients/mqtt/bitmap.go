package mqtt

import "math/bits"

// bitmap is a set of small numbers: bit n%8 of byte n/8, the lowest first, as
// block bitmaps of AWS IoT have it. It grows as needed and has no empty bytes
// at its end.
type bitmap []byte

func (b bitmap) get(n int) bool { return n/8 < len(b) && b[n/8]>>(n%8)&1 == 1 }

func (b *bitmap) set(n int) {
	for len(*b) <= n/8 {
		*b = append(*b, 0)
	}
	(*b)[n/8] |= 1 << (n % 8)
}

// shift takes bit 0 out; all others move down by one.
func (b *bitmap) shift() (zero bool) {
	zero = b.get(0)
	for i := range *b {
		(*b)[i] >>= 1
		if i+1 < len(*b) {
			(*b)[i] |= (*b)[i+1] << 7
		}
	}
	for len(*b) > 0 && (*b)[len(*b)-1] == 0 {
		*b = (*b)[:len(*b)-1]
	}
	return zero
}

// len is the highest number plus one.
func (b bitmap) len() int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			return 8*i + bits.Len8(b[i])
		}
	}
	return 0
}

func (b bitmap) count() (n int) {
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}
