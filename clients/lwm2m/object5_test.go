package lwm2m

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// A package that the device cannot use ends every delivery with the result that
// says why, and does not stand in the way of the next one.
func TestWrongPackages(t *testing.T) {
	for name, test := range map[string]struct {
		set    func(*Options)
		spoil  func(*clients.Image)
		expect FirmwareResult
		most   int64 // image bytes that arrive before it is noticed
	}{
		"too large": {func(o *Options) { o.Storage = 39_999 }, func(*clients.Image) {}, ResultNoFlash, 8192},
		"for another device": {
			func(o *Options) { o.Package = "firmware" }, func(i *clients.Image) { i.Name = "other" },
			ResultUnsupportedPackage, 0,
		},
		"wrong digest": {func(*Options) {}, func(i *clients.Image) { i.SHA256[31]++ }, ResultIntegrity, 40_000},
	} {
		t.Run(name, func(t *testing.T) {
			deliveries(t, func(t *testing.T, opt Options) {
				test.set(&opt)
				inWorld(t, narrowband(2), opt, func(w *world) {
					w.connect()
					img := image(40_000)
					test.spoil(&img)
					err := w.session.Update(w.t.Context(), img)
					if err == nil || !strings.Contains(err.Error(), "the device reports: "+test.expect.String()) {
						t.Errorf("%v, want %v", err, test.expect)
					}
					var arrived int64
					for _, e := range w.recorded(clients.EventOTAData) {
						arrived += e.Length
					}
					if arrived > test.most {
						t.Errorf("%d bytes arrived, want at most %d", arrived, test.most)
					}
					w.update(5000)
				})
			})
		})
	}
}

// A server that stops pushing leaves the device waiting for as long as it has
// patience, and it asks by registration updates ever less often.
func TestPushAbandoned(t *testing.T) {
	opt := DefaultOptions()
	opt.Delivery, opt.DownloadPatience = CoAPPush, time.Hour
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		img := image(3000)
		w.check("description", w.device().update.expect(img))
		reg := w.known().reg
		upload := must(reg.session().Upload(
			coap.NewRequest(codes.PUT, packagePath.String()).WithPayload(coap.Octets, img.Data), coap.UploadOptions{}))
		must(upload.Next(w.t.Context()))
		c := w.cost(func() { pass(time.Hour - time.Second) })
		if got := w.states(); got != "downloading" {
			t.Error(got)
		}
		// 93 s and then twice as long each time, beside one in 10 minutes.
		if c.packetsUp > 14 {
			t.Errorf("%d packets while waiting", c.packetsUp)
		}
		pass(time.Minute)
		if got := w.states(); got != "downloading, idle: connection lost" {
			t.Error(got)
		}
		if got := must(reg.ReadInteger(w.t.Context(), firmwarePath(objects.FirmwareResult))); FirmwareResult(got) != ResultConnectionLost {
			t.Errorf("result %v", FirmwareResult(got))
		}
	})
}

// What the device answers to blocks that do not fit what it has.
func TestPushBlocks(t *testing.T) {
	opt := DefaultOptions()
	opt.Delivery = CoAPPush
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		img := image(3000)
		w.check("description", w.device().update.expect(img))
		conn := w.known().reg.session()
		begin := func(tag string, offset int64) *coap.Upload {
			req := coap.NewRequest(codes.PUT, packagePath.String()).WithPayload(coap.Octets, img.Data)
			req.Set(coap.RequestTag, []byte(tag))
			return must(conn.Upload(req, coap.UploadOptions{Offset: offset}))
		}
		wanted := func(u *coap.Upload, offset int64) {
			t.Helper()
			var gap *coap.IncompleteError
			if _, err := u.Next(w.t.Context()); !errors.As(err, &gap) || gap.Wanted != offset {
				t.Errorf("%v, want 4.08 that asks for %d", err, offset)
			}
		}
		wanted(begin("one", 1024), 0) // nothing is there
		one := begin("one", 0)
		must(one.Next(w.t.Context()))
		wanted(begin("one", 2048), 1024)                // a gap
		wanted(begin("two", 1024), 0)                   // another package
		must(begin("one", 0).Next(w.t.Context()))       // repeated
		if b := must(one.Next(w.t.Context())); b.Last { // the second of three
			t.Error("last")
		}
		must(one.Next(w.t.Context()))
		must(begin("one", 2048).Next(w.t.Context())) // the last again: its response was lost
		var status *coap.StatusError
		if _, err := begin("two", 0).Next(w.t.Context()); !errors.As(err, &status) || status.Code != codes.MethodNotAllowed {
			t.Errorf("%v, want 4.05 in state downloaded", err)
		}
		if got := w.states(); got != "downloading, downloaded" {
			t.Error(got)
		}
	})
}

// A server without request tags pushes all the same; what it does not finish it
// begins anew.
func TestPushUntagged(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		img := image(3000)
		w.check("description", w.device().update.expect(img))
		conn := w.known().reg.session()
		begin := func() *coap.Upload {
			return must(conn.Upload(coap.NewRequest(codes.PUT, packagePath.String()).WithPayload(coap.Octets, img.Data), coap.UploadOptions{}))
		}
		must(begin().Next(w.t.Context()))
		u := begin()
		for last := false; !last; {
			last = must(u.Next(w.t.Context())).Last
		}
		if got := u.Response().Code; got != codes.Changed {
			t.Errorf("push: %s", coap.CodeString(got))
		}
		if got := w.states(); got != "downloading, downloading, downloaded" {
			t.Error(got)
		}
	})
}

// The server limits for how long the user may put off an update.
func TestDefer(t *testing.T) {
	for _, test := range []struct {
		severity, period int64
		want             time.Duration
	}{
		{severityOptional, 600, 10 * time.Minute},
		{severityMandatory, 7200, time.Hour}, // no longer than the user wants
		{severityMandatory, 0, 0},
		{severityCritical, 600, 0},
	} {
		t.Run(fmt.Sprint(test.severity, " ", test.period), func(t *testing.T) {
			opt := DefaultOptions()
			opt.Apply, opt.Defer = true, time.Hour
			inWorld(t, lan(), opt, func(w *world) {
				w.connect()
				reg := w.known().reg
				w.check("write", writeFirmware(w.t.Context(), reg, model.Values{objects.FirmwareSeverity: test.severity, objects.FirmwareMaxDefer: uint64(test.period)}))
				start := time.Now()
				w.update(10_000)
				if took := time.Since(start); took < test.want || took > test.want+time.Minute {
					t.Errorf("took %v, want %v", took, test.want)
				}
				if deferred := strings.Contains(w.states(), "downloaded: deferred"); deferred != (test.want > 0) {
					t.Error(w.states())
				}
			})
		})
	}
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		reg := w.known().reg
		for _, v := range []model.Values{{objects.FirmwareSeverity: int64(3)}, {objects.FirmwareMaxDefer: uint64(1 << 40)}} {
			var status *model.StatusError
			err := writeFirmware(w.t.Context(), reg, v)
			if !errors.As(err, &status) || status.Code != codes.BadRequest {
				t.Errorf("%v: %v, want 4.00", v, err)
			}
		}
	})
}

// A package that goes wrong between download and update stays, with result 8.
func TestApplyFails(t *testing.T) {
	inWorld(t, lan(), DefaultOptions(), func(w *world) {
		w.connect()
		w.update(10_000)
		f := must(w.env.Flash.Open(packageName))
		must(f.WriteAt(make([]byte, 100), 5000))
		reg := w.known().reg
		w.check("execute", reg.Execute(w.t.Context(), firmwarePath(objects.FirmwareUpdate), ""))
		pass(time.Minute)
		if got := w.states(); got != "downloading, downloaded, updating, downloaded: update failed" {
			t.Error(got)
		}
		tree := w.device().tree
		for id, want := range map[uint16]any{
			objects.FirmwareResult: int64(ResultFailed), objects.FirmwareState: int64(Downloaded), objects.FirmwareDelivery: int64(2),
			objects.FirmwareName: "firmware", objects.FirmwareVersion: "2.0.0",
		} {
			if got := tree.Get(objects.Firmware.ID, 0, id); got != want {
				t.Errorf("resource %d is %v, want %v", id, got, want)
			}
		}
		if got := tree.Get(objects.Firmware.ID, 0, objects.FirmwareChanged).(int64); time.Now().Unix()-got > 60 {
			t.Errorf("last state change %d", got)
		}
	})
}

var errPower = errors.New("power cut")

// A store whose power is cut after a number of operations: from then on nothing
// is written, and what the file had not synced is gone.
type cutStore struct {
	flash.Store
	left   int
	file   flash.File
	synced []byte
}

type cutFile struct {
	flash.File
	store *cutStore
}

func (s *cutStore) operate() error {
	if s.left--; s.left >= 0 {
		return nil
	}
	_, err := s.file.WriteAt(s.synced, 0)
	return errors.Join(errPower, err, s.file.Truncate(int64(len(s.synced))))
}

func (s *cutStore) Save(name string, data []byte) error {
	if err := s.operate(); err != nil {
		return err
	}
	return s.Store.Save(name, data)
}

func (s *cutStore) Open(name string) (f flash.File, err error) {
	s.file, err = s.Store.Open(name)
	return cutFile{s.file, s}, err
}

func (f cutFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.store.operate(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f cutFile) Truncate(n int64) error {
	if err := f.store.operate(); err != nil {
		return err
	}
	return f.File.Truncate(n)
}

func (f cutFile) Sync() error {
	if err := f.store.operate(); err != nil {
		return err
	}
	size := must(f.Size())
	f.store.synced = make([]byte, size)
	if size > 0 {
		must(f.ReadAt(f.store.synced, 0))
	}
	return nil
}

// Wherever the power is cut, the storage is as before a step or after it.
func TestPowerCutAnywhere(t *testing.T) {
	steps := []func(*storage) error{
		func(s *storage) error {
			s.Machine = Firmware{State: Downloading, URI: "coaps://10.0.0.1/fw"}
			return s.erase()
		},
		func(s *storage) error { s.ETag = []byte("one"); return s.save() },
		func(s *storage) error { return s.append(0, []byte("first ")) },
		func(s *storage) error { return s.append(6, []byte("second")) },
		func(s *storage) error { s.Machine.State = Downloaded; return s.save() },
		func(s *storage) error { s.Machine = Firmware{}; return s.erase() },
	}
	view := func(s *storage) string {
		data := make([]byte, s.size)
		if s.size > 0 {
			must(s.content().Read(data))
		}
		return fmt.Sprintf("%+v %s %q", s.Machine, s.ETag, data)
	}
	for cut := 0; ; cut++ {
		memory := new(flash.Memory)
		s := must(openStorage(&cutStore{Store: memory, left: cut}))
		allowed := []string{view(s)}
		var err error
		for _, step := range steps {
			if allowed, err = allowed[len(allowed)-1:], step(s); err != nil {
				break
			}
			allowed = append(allowed[:0], view(s))
		}
		if err != nil && !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		got := view(must(openStorage(memory)))
		// The step that was cut is either done or not.
		if want := allowed[0]; got != want && (err == nil || got != view(s)) {
			t.Errorf("cut after %d operations: %s, want %s or %s", cut, got, want, view(s))
		}
		if err == nil {
			return
		}
	}
}

// A record that is no record is no reason to run on.
func TestSpoiledRecord(t *testing.T) {
	memory := new(flash.Memory)
	if _, err := openStorage(memory); err != nil {
		t.Fatal(err)
	}
	if _, err := memory.Load(recordName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v; opening was to write nothing", err)
	}
	if err := memory.Save(recordName, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := openStorage(memory); err == nil || !strings.Contains(err.Error(), recordName) {
		t.Error(err)
	}
}

// writeFirmware writes resources of object 5 as TLV, in addition to the others.
func writeFirmware(ctx context.Context, reg *registration, v model.Values) error {
	path := model.NewPath(objects.Firmware.ID, 0)
	return reg.Write(ctx, path, false, content.TLV, model.Nodes(path, v))
}
