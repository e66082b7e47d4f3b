package mqtt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
)

func TestBitmap(t *testing.T) {
	var b bitmap
	for _, n := range []int{0, 3, 8, 17} {
		b.set(n)
	}
	if !bytes.Equal(b, []byte{0b1001, 1, 0b10}) || b.len() != 18 || b.count() != 4 {
		t.Errorf("%08b: length %d, count %d", b, b.len(), b.count())
	}
	var got []int
	for i := 0; len(b) > 0; i++ {
		if b.shift() {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, []int{0, 3, 8, 17}) || b.len() != 0 || b.get(5) {
		t.Errorf("shifted out %v", got)
	}
}

func stateOf(img clients.Image, block int64) imageState {
	return imageState{Job: "j", ETag: "e", Size: int64(len(img.Data)), SHA256: hex.EncodeToString(img.SHA256[:]), Block: block}
}

// orders in which the pieces of an image may come: start and length of each.
func orders(size, block int) map[string][][2]int {
	var inOrder, pairs, backwards, pieces [][2]int
	for at := 0; at < size; at += block {
		inOrder = append(inOrder, [2]int{at, min(block, size-at)})
	}
	pairs = slices.Clone(inOrder)
	for i := 0; i+1 < len(pairs); i += 2 {
		pairs[i], pairs[i+1] = pairs[i+1], pairs[i]
	}
	backwards = slices.Clone(inOrder)
	slices.Reverse(backwards)
	for at, n := 0, 700; at < size; at, n = at+n, n*2 {
		pieces = append(pieces, [2]int{at, min(n, size-at)})
	}
	return map[string][][2]int{"in order": inOrder, "in pairs": pairs, "backwards": backwards, "pieces": pieces}
}

// fill writes what is missing in an order and returns how much that was.
func fill(s *storage, img clients.Image, order [][2]int) (written int, err error) {
	for _, p := range order {
		from, to := int64(p[0]), int64(p[0]+p[1])
		if s.state.Block == 1 { // what follows without a gap
			from = max(from, s.done())
		}
		if from >= to || s.state.Block > 1 && s.hasBlock(from/s.state.Block) {
			continue
		}
		if err := s.write(from, img.Data[from:to]); err != nil {
			return written, err
		}
		written += int(to - from)
	}
	return written, s.verify()
}

// Power cut at every byte and between all operations, twice: what the record
// claims is there, and only what it had not claimed is fetched again.
func TestPowerCutAtEveryByte(t *testing.T) {
	img := newImage(6_000)
	for name, order := range orders(len(img.Data), 512) {
		t.Run(name, func(t *testing.T) {
			block := int64(512)
			if name == "pieces" {
				block = 1
			}
			for budget := 0; ; budget++ {
				f := newFragile(budget)
				had := 0
				s, err := openStorage(f, stateOf(img, block), true)
				if err == nil {
					had, err = fill(s, img, order)
				}
				if err == nil {
					if budget < len(img.Data) {
						t.Errorf("%d bytes written to flash", budget)
					}
					return // the power lasted
				}
				if !errors.Is(err, errPower) {
					t.Fatalf("cut after %d: %v", budget, err)
				}
				f.revive(f.rnd.IntN(9_000))
				for cuts := 1; ; cuts++ {
					s, err = openStorage(f, stateOf(img, block), true)
					if err == nil {
						if lost := had - int(s.held); lost >= noteEvery+2048 && cuts == 1 {
							t.Fatalf("cut after %d: lost %d bytes", budget, lost)
						}
						_, err = fill(s, img, order)
					}
					if err == nil {
						break
					}
					if !errors.Is(err, errPower) {
						t.Fatalf("cut after %d: after %d reboots: %v", budget, cuts, err)
					}
					f.revive(math.MaxInt)
				}
				if !bytes.Equal(f.data[:len(img.Data)], img.Data) {
					t.Fatalf("cut after %d: the image differs", budget)
				}
			}
		})
	}
}

// Flash is written little more than the image itself.
func TestFlashWear(t *testing.T) {
	img := newImage(256 << 10)
	for _, block := range []int{256, 4096} {
		f := newFragile(math.MaxInt)
		s, err := openStorage(f, stateOf(img, int64(block)), true)
		must(t, err)
		if _, err := fill(s, img, orders(len(img.Data), block)["in order"]); err != nil {
			t.Fatal(err)
		}
		if more := float64(f.written)/float64(len(img.Data)) - 1; more > .06 {
			t.Errorf("blocks of %d: %.1f %% more written than the image", block, 100*more)
		}
	}
}

func TestStorageOfAnotherImage(t *testing.T) {
	img := newImage(10_000)
	want := stateOf(img, 1000)
	half := func(t *testing.T) *flash.Memory {
		store := new(flash.Memory)
		s, err := openStorage(store, want, true)
		must(t, err)
		for n := range int64(5) {
			must(t, s.write(n*1000, img.Data[n*1000:(n+1)*1000]))
		}
		must(t, s.close())
		return store
	}
	s, err := openStorage(half(t), want, true)
	must(t, err)
	if s.done() != 5000 {
		t.Errorf("%d bytes kept, want 5000", s.done())
	}
	for name, edit := range map[string]func(*imageState){
		"job": func(s *imageState) { s.Job = "k" }, "etag": func(s *imageState) { s.ETag = "" },
		"size": func(s *imageState) { s.Size++ }, "sha256": func(s *imageState) { s.SHA256 = "" },
		"block": func(s *imageState) { s.Block = 500 },
	} {
		other := want
		edit(&other)
		s, err := openStorage(half(t), other, true)
		must(t, err)
		if s.done() != 0 {
			t.Errorf("another %s: %d bytes kept", name, s.done())
		}
	}
	s, err = openStorage(half(t), want, false)
	must(t, err)
	if s.done() != 0 {
		t.Errorf("%d bytes kept that were not to be", s.done())
	}
	for _, bad := range []string{"", "{", `{"job":"j","etag":"e","size":10000,"block":1000,"done":9000}`} {
		store := half(t)
		must(t, store.Save(imageRecord, []byte(bad)))
		s, err := openStorage(store, want, true)
		must(t, err)
		if s.done() != 0 {
			t.Errorf("record %q: %d bytes kept", bad, s.done())
		}
	}
}

// A wrong image is thrown away, so that it cannot be resumed.
func TestVerify(t *testing.T) {
	img := newImage(3000)
	store := new(flash.Memory)
	s, err := openStorage(store, stateOf(img, 1000), true)
	must(t, err)
	must(t, s.write(0, img.Data[:1000]))
	must(t, s.write(1000, img.Data[:1000])) // the wrong one
	must(t, s.write(2000, img.Data[2000:]))
	if err := s.verify(); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("verify: %v", err)
	}
	if s.complete() || len(s.missing(10, nil)) != 3 {
		t.Error("a wrong image was kept")
	}
	if err := s.write(0, make([]byte, 3001)); !errors.Is(err, errTooLong) {
		t.Errorf("write beyond the end: %v", err)
	}
	must(t, s.close())
	if s.write(0, img.Data[:1000]) == nil || s.verify() == nil || s.reset() == nil {
		t.Error("a closed storage works")
	}
}

// FuzzImageState reads any record over any file: what it claims is in the
// file, and the rest can be written.
func FuzzImageState(f *testing.F) {
	img := newImage(2500)
	good := stateOf(img, 1000)
	good.Done, good.Later = 1000, nil
	f.Add(encode(good, 0), 1000)
	good.Done, good.Later = 0, bitmap{1}
	f.Add(encode(good, 0), 2000)
	good.Done, good.Later = 500, bitmap{0, 0, 255}
	f.Add(encode(good, 0), 2500)
	f.Fuzz(func(t *testing.T, record []byte, size int) {
		store := new(flash.Memory)
		must(t, store.Save(imageRecord, record))
		must(t, store.Save(imageFile, img.Data[:max(0, min(size, len(img.Data)))]))
		s, err := openStorage(store, stateOf(img, 1000), true)
		must(t, err)
		for _, b := range s.missing(math.MaxInt, nil) {
			must(t, s.write(b*1000, img.Data[b*1000:min(b*1000+1000, 2500)]))
		}
		must(t, s.verify())
		if !json.Valid(encode(s.state, 0)) {
			t.Error("record")
		}
	})
}

// Blocks in any order, some of them twice, make the image.
func TestAnyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	img := newImage(20_500)
	for range 50 {
		s, err := openStorage(new(flash.Memory), stateOf(img, 1000), true)
		must(t, err)
		for !s.complete() {
			b := rnd.Int64N(21)
			missing := s.missing(100, []int64{b})
			if slices.Contains(missing, b) {
				t.Fatal("a skipped block is listed")
			}
			must(t, s.write(b*1000, img.Data[b*1000:min(b*1000+1000, 20_500)]))
			if !s.hasBlock(b) || slices.Contains(s.missing(100, nil), b) {
				t.Fatalf("block %d is not there", b)
			}
		}
		must(t, s.verify())
	}
}
