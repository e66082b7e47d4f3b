package mqtt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/flash"
	"github.com/thinlink/thinlink/clients/httpfile"
)

// httpsPort is where the platform offers images.
const httpsPort = 443

// Names in the device's flash: the image as far as it has come, and a record of
// what it is.
const (
	imageFile    = "mqtt-image"
	imageRecord  = "mqtt-image-state"
	firstPause   = time.Second // between attempts to download; then doubling
	sectionLimit = 1 << 40     // bytes; beyond any image
)

// image is the download of one image to flash.
type image struct {
	device *device
	id     string // of the job
	doc    jobDocument
	file   flash.File
	done   int64 // bytes in the file, from its start
}

// imageState is the record.
type imageState struct {
	ETag string `json:"etag"`
	Done int64  `json:"done"` // bytes known to be in the file
}

// errTooLong ends a download that would overrun the space for it.
var errTooLong = errors.New("image is longer than announced")

// install downloads the image and verifies it. As in the reference experiment
// it is not applied.
func (d *device) install(ctx context.Context, j *job) error {
	file, err := d.env.Flash.Open(imageFile)
	if err != nil {
		return err
	}
	defer file.Close()
	i := &image{device: d, id: j.JobID, doc: j.JobDocument, file: file}
	fetch := i.download
	if d.opt.OTA == "chunks" {
		fetch = i.fetchChunks
	}
	if err := fetch(ctx); err != nil {
		return err
	}
	return i.verify()
}

func (i *image) verify() error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(i.file, 0, sectionLimit)); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != i.doc.SHA256 {
		return errors.Join(errors.New("SHA-256 does not match"), i.device.env.Flash.Remove(imageRecord))
	}
	return nil
}

// download fetches the image. An attempt that is cut short is followed by
// another, from the start or, with OTAResume, from where it stopped.
func (i *image) download(ctx context.Context) error {
	where, err := url.Parse(i.doc.URL)
	if err != nil {
		return err
	}
	d := i.device
	req := httpfile.Request{
		Host: d.env.Device, Addr: netip.AddrPortFrom(d.env.Platform.Addr(), httpsPort).String(),
		Path: where.Path, TLS: d.tls, ETag: i.doc.ETag, Stall: d.opt.OTAStall,
	}
	for pause := firstPause; ; pause = min(2*pause, d.opt.ReconnectMax) {
		if err := i.begin(); err != nil {
			return err
		}
		if req.Offset = i.done; i.done == i.doc.Size {
			return nil // it was complete before a reboot
		}
		rsp, err := httpfile.Download(ctx, req, i.store)
		var status *httpfile.StatusError
		var broken *flashError
		switch {
		case err == nil && rsp.ETag != i.doc.ETag:
			return fmt.Errorf("image has changed: entity tag %s, want %s", rsp.ETag, i.doc.ETag)
		case err == nil, errors.As(err, &status), errors.As(err, &broken), errors.Is(err, errTooLong), ctx.Err() != nil:
			return err
		}
		d.record(clients.EventOTAState, fmt.Sprintf("device: interrupted at %d: %v", i.done, err))
		if rsp.Received > 0 {
			pause = firstPause
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// begin finds out how much of the image is in flash. Without OTAResume, or if
// it is another one, what is there is thrown away.
func (i *image) begin() error {
	if i.done = i.kept(); !i.device.opt.OTAResume {
		i.done = 0
	}
	if err := i.file.Truncate(i.done); err != nil {
		return err
	}
	return i.note()
}

func (i *image) kept() int64 {
	var s imageState
	data, err := i.device.env.Flash.Load(imageRecord)
	if err != nil || json.Unmarshal(data, &s) != nil || s.ETag != i.doc.ETag {
		return 0
	}
	size, err := i.file.Size()
	if err != nil || s.Done < 0 || s.Done > size {
		return 0
	}
	return s.Done
}

// flashError is a failure of the device itself, which a new attempt would not
// mend.
type flashError struct{ error }

func (e *flashError) Unwrap() error { return e.error }

// store writes a chunk to flash.
func (i *image) store(offset int64, chunk []byte) error {
	if offset+int64(len(chunk)) > i.doc.Size {
		return errTooLong
	}
	if _, err := i.file.WriteAt(chunk, offset); err != nil {
		return &flashError{err}
	}
	i.done = offset + int64(len(chunk))
	if err := i.note(); err != nil {
		return &flashError{err}
	}
	i.device.env.Record(clients.Event{Kind: clients.EventOTAData, Offset: offset, Length: int64(len(chunk))})
	return nil
}

// note keeps the progress for after a reboot, if it will be used.
func (i *image) note() error {
	if !i.device.opt.OTAResume {
		return nil
	}
	if err := i.file.Sync(); err != nil {
		return err
	}
	return i.device.env.Flash.Save(imageRecord, encode(imageState{i.doc.ETag, i.done}, 0))
}
