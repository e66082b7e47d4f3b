package streams

import "fmt"

// Request asks for blocks of a file ("GetStream").
type Request struct {
	Token string // echoed in the answers
	// Version, if not 0, is the one that the stream must still have.
	Version int64
	File    int64 // number of the file in the stream
	Size    int64 // of a block, in bytes
	Offset  int64 // number of the block at which Count and Bitmap begin
	// Count is the number of blocks wanted; with a Bitmap, at most so many of
	// those in it. 0: as many as there are.
	Count int64
	// Bitmap, if not empty, names the wanted blocks: bit n%8 of byte n/8 is
	// block Offset+n.
	Bitmap []byte
}

// Encode gives the request in CBOR.
func (r Request) Encode() []byte {
	pairs := 5
	if r.Version != 0 {
		pairs++
	}
	if len(r.Bitmap) > 0 {
		pairs++
	}
	w := newMap(pairs)
	w.text("c", r.Token)
	if r.Version != 0 {
		w.int("s", r.Version)
	}
	w.int("f", r.File)
	w.int("l", r.Size)
	w.int("o", r.Offset)
	if len(r.Bitmap) > 0 {
		w.bytes("b", r.Bitmap)
	}
	w.int("n", r.Count)
	return w.b
}

// ParseRequest reads a request.
func ParseRequest(data []byte) (r Request, err error) {
	f, err := parseMap(data)
	if err != nil {
		return r, fmt.Errorf("streams: request: %w", err)
	}
	t := reader{f: f}
	r.Token = take[string](&t, "c", false)
	r.Version = take[int64](&t, "s", false)
	r.File = take[int64](&t, "f", true)
	r.Size = take[int64](&t, "l", true)
	r.Offset = take[int64](&t, "o", false)
	r.Count = take[int64](&t, "n", false)
	r.Bitmap = take[[]byte](&t, "b", false)
	if t.err != nil {
		return r, fmt.Errorf("streams: request: %w", t.err)
	}
	return r, nil
}

// Block is one block of a file.
type Block struct {
	Token string
	File  int64
	Index int64 // number of the block
	// Payload is of the wanted size but in the last block.
	Payload []byte
}

// Encode gives the block in CBOR.
func (b Block) Encode() []byte {
	w := newMap(5)
	w.b = append(make([]byte, 0, len(b.Token)+len(b.Payload)+48), w.b...)
	w.text("c", b.Token)
	w.int("f", b.File)
	w.int("l", int64(len(b.Payload)))
	w.int("i", b.Index)
	w.bytes("p", b.Payload)
	return w.b
}

// ParseBlock reads a block; its payload is part of data.
func ParseBlock(data []byte) (b Block, err error) {
	f, err := parseMap(data)
	if err != nil {
		return b, fmt.Errorf("streams: block: %w", err)
	}
	t := reader{f: f}
	b.Token = take[string](&t, "c", false)
	b.File = take[int64](&t, "f", true)
	b.Index = take[int64](&t, "i", true)
	b.Payload = take[[]byte](&t, "p", true)
	if size := take[int64](&t, "l", true); t.err == nil && size != int64(len(b.Payload)) {
		t.err = fmt.Errorf("%d bytes announced, %d there", size, len(b.Payload))
	}
	if t.err == nil && b.Index < 0 {
		t.err = fmt.Errorf("block %d", b.Index)
	}
	if t.err != nil {
		return b, fmt.Errorf("streams: block: %w", t.err)
	}
	return b, nil
}

// Rejection says why a request is not obeyed.
type Rejection struct {
	Code    string // such as ResourceNotFound
	Message string
	Token   string
}

func (r *Rejection) Error() string { return r.Code + ": " + r.Message }

// Encode gives the rejection in CBOR.
func (r *Rejection) Encode() []byte {
	w := newMap(3)
	w.text("o", r.Code)
	w.text("m", r.Message)
	w.text("c", r.Token)
	return w.b
}

// ParseRejection reads a rejection.
func ParseRejection(data []byte) (*Rejection, error) {
	f, err := parseMap(data)
	if err != nil {
		return nil, fmt.Errorf("streams: rejection: %w", err)
	}
	t := reader{f: f}
	r := &Rejection{Code: take[string](&t, "o", true), Message: take[string](&t, "m", false), Token: take[string](&t, "c", false)}
	if t.err != nil {
		return nil, fmt.Errorf("streams: rejection: %w", t.err)
	}
	return r, nil
}
