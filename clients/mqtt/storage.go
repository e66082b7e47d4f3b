package mqtt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/thinlink/thinlink/clients/flash"
)

// Names in the device's flash memory.
const (
	imageFile   = "mqtt-image"       // the image as far as it has come
	imageRecord = "mqtt-image-state" // what it is and which bytes are there
)

// noteEvery is how many new bytes of an image make the device write the record
// again: about 5 % more is written to flash than the image, and a power cut
// costs less than this and one block.
const noteEvery = 4096

// imageState is the record: the image of one job, and what of it is surely in
// the file.
type imageState struct {
	Job    string `json:"job"`
	ETag   string `json:"etag,omitempty"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Block is the unit of Later, in bytes; Done is a multiple of it or Size.
	Block int64 `json:"block"`
	// Done counts the bytes from the image's start without a gap.
	Done int64 `json:"done"`
	// Later is a bitmap of blocks behind the gap at Done: bit 0 of its first
	// byte is the block that follows the missing one.
	Later bitmap `json:"later,omitempty"`
}

// sameImage reports whether two records are of one image, in equal blocks.
func (s *imageState) sameImage(o *imageState) bool {
	return s.Job == o.Job && s.ETag == o.ETag && s.Size == o.Size && s.SHA256 == o.SHA256 && s.Block == o.Block
}

func (s *imageState) valid(fileSize int64) bool {
	end := s.Done
	if n := s.Later.len(); n > 0 && s.Block > 0 {
		end = min(s.Size, s.Done+(1+int64(n))*s.Block)
	}
	return s.Block > 0 && s.Done >= 0 && s.Done <= s.Size && (s.Done%s.Block == 0 || s.Done == s.Size) && end <= fileSize
}

// storage keeps an image in flash. It is synced before the record claims it,
// and what the record claims is never written again; so after a power cut at
// any moment all that the record claims is in the file.
type storage struct {
	store flash.Store
	keep  bool // progress is noted, for after a reboot

	mu    sync.Mutex
	state imageState
	file  flash.File
	noted int64 // bytes that were in the file when the record was written
	held  int64 // bytes that are in the file
}

// openStorage finds what of an image is in flash. Without keep, or if it is
// another one, what is there is thrown away.
func openStorage(store flash.Store, want imageState, keep bool) (*storage, error) {
	file, err := store.Open(imageFile)
	if err != nil {
		return nil, err
	}
	s := &storage{store: store, keep: keep, file: file, state: want}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

func (s *storage) begin() error {
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	old, err := loadImageState(s.store)
	if err != nil {
		return err
	}
	if s.keep && old != nil && old.sameImage(&s.state) && old.valid(size) {
		s.state = *old
		s.held = s.state.Done + int64(s.state.Later.count())*s.state.Block
		s.noted = s.held
		return nil
	}
	return s.startOver()
}

// reset throws the image away.
func (s *storage) reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return errOff
	}
	return s.startOver()
}

// startOver throws the image away. The record goes first: it must not claim
// what is no more.
func (s *storage) startOver() error {
	s.state.Done, s.state.Later, s.held, s.noted = 0, nil, 0, 0
	if err := s.store.Remove(imageRecord); err != nil {
		return err
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	return s.note()
}

// loadImageState reads the record; nil if there is none that can be read.
func loadImageState(store flash.Store) (*imageState, error) {
	data, err := store.Load(imageRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s := new(imageState)
	if json.Unmarshal(data, s) != nil {
		return nil, nil
	}
	return s, nil
}

// write stores bytes of the image: any that follow what there is without a gap,
// or whole blocks. Bytes that are there already are left as they are.
func (s *storage) write(offset int64, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return errOff
	}
	if s.has(offset) {
		return nil
	}
	if offset+int64(len(data)) > s.state.Size {
		return errTooLong
	}
	if _, err := s.file.WriteAt(data, offset); err != nil {
		return err
	}
	s.held += int64(len(data))
	if gap := offset - s.state.Done; gap > 0 {
		s.state.Later.set(int(gap/s.state.Block) - 1)
	} else {
		s.state.Done += int64(len(data))
		for s.state.Later.shift() {
			s.state.Done = min(s.state.Done+s.state.Block, s.state.Size)
		}
	}
	if s.held-s.noted >= noteEvery || s.state.Done == s.state.Size {
		return s.note()
	}
	return nil
}

// note makes the record claim what there is.
func (s *storage) note() error {
	if !s.keep {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.noted = s.held
	return s.store.Save(imageRecord, encode(s.state, 0))
}

func (s *storage) has(offset int64) bool {
	gap := offset - s.state.Done
	return gap < 0 || gap > 0 && s.state.Later.get(int(gap/s.state.Block)-1)
}

func (s *storage) hasBlock(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has(n * s.state.Block)
}

// done counts the bytes from the image's start without a gap.
func (s *storage) done() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Done
}

func (s *storage) complete() bool { return s.done() == s.state.Size }

// missing lists the first blocks that are not there and that skip does not
// name.
func (s *storage) missing(n int, skip []int64) (blocks []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	skipped := make(map[int64]bool, len(skip))
	for _, b := range skip {
		skipped[b] = true
	}
	for b := s.state.Done / s.state.Block; len(blocks) < n && b*s.state.Block < s.state.Size; b++ {
		if !skipped[b] && !s.has(b*s.state.Block) {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// verify compares the digest of a complete image. One that is wrong is thrown
// away.
func (s *storage) verify() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return errOff
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(s.file, 0, s.state.Size)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != s.state.SHA256 {
		return errors.Join(fmt.Errorf("SHA-256 does not match: image has %s, want %s", got, s.state.SHA256), s.startOver())
	}
	return nil
}

// forget removes the record: the platform knows how the job ended.
func (s *storage) forget() error { return s.store.Remove(imageRecord) }

// close ends writing; with the power off, in the middle of it.
func (s *storage) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	return file.Close()
}

// errTooLong ends a download that would overrun the space for it.
var errTooLong = errors.New("image is longer than announced")
