package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/httpfile"
)

// httpsPort is where the platform offers images.
const httpsPort = 443

// image is the download of one image to flash.
type image struct {
	*storage
	device *device

	arrived chan struct{} // a block came, or the download failed
	mu      sync.Mutex
	blocks  int   // that came
	failed  error // why it cannot go on
}

// fatal is an error that trying again would not mend.
type fatal struct{ error }

func (e *fatal) Unwrap() error { return e.error }

// install downloads the image and verifies it. As in the reference experiment
// it is not applied.
func (d *device) install(ctx context.Context, j *job) error {
	doc := &j.JobDocument
	want := imageState{Job: j.JobID, ETag: doc.ETag, Size: doc.Size, SHA256: doc.SHA256, Block: int64(d.opt.BlockSize)}
	switch {
	case doc.Size < 0:
		return fmt.Errorf("image of %d bytes", doc.Size)
	case doc.URL != "":
		want.Block = 1 // any byte
	case doc.Topic != "":
		if want.Block = doc.BlockSize; want.Block < 1 {
			return fmt.Errorf("blocks of %d bytes", want.Block)
		}
	}
	i, err := d.openImage(want)
	if err != nil {
		return err
	}
	switch {
	case doc.URL != "":
		err = i.download(ctx, doc.URL)
	case doc.Topic != "":
		err = i.receivePushed(ctx, doc.Topic)
	case doc.Stream != "":
		err = i.fetchBlocks(ctx, d.askStream(doc.Stream, doc.Revision, want.Block))
	default:
		err = i.fetchBlocks(ctx, d.askChunks(j.JobID, want.Block))
	}
	if err != nil {
		return err
	}
	return i.verify()
}

// openImage finds what of an image is in flash, from now on the image whose
// blocks come as messages.
func (d *device) openImage(want imageState) (*image, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return nil, errOff
	}
	if d.image != nil {
		if d.image.state.sameImage(&want) { // what tells images apart never changes
			return d.image, nil
		}
		if err := d.image.close(); err != nil {
			return nil, err
		}
	}
	d.image = nil
	s, err := openStorage(d.env.Flash, want, d.opt.OTAResume)
	if err != nil {
		return nil, err
	}
	d.image = &image{storage: s, device: d, arrived: make(chan struct{}, 1)}
	return d.image, nil
}

// endImage forgets how far the image was, since its job has ended.
func (d *device) endImage() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.image
	if d.image = nil; i == nil {
		return nil
	}
	return errors.Join(i.close(), i.forget())
}

// closeImage ends writing to flash.
func (d *device) closeImage() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.image != nil {
		d.image.close() // without power there is nobody to tell of an error
	}
}

// firstPause is the pause between attempts to download; then doubling.
const firstPause = time.Second

// download fetches the image over HTTPS. An attempt that is cut short is
// followed by another, from the start or, with OTAResume, from where it
// stopped.
func (i *image) download(ctx context.Context, from string) error {
	where, err := url.Parse(from)
	if err != nil {
		return err
	}
	d := i.device
	addr, cfg := d.fileServer(where)
	req := httpfile.Request{
		Host: d.env.Device, Addr: addr,
		Path: where.RequestURI(), TLS: cfg, ETag: i.state.ETag, Stall: d.opt.OTAStall, Begin: i.judge,
	}
	for pause := firstPause; ; pause = min(2*pause, d.opt.ReconnectMax) {
		if !d.opt.OTAResume {
			if err := i.reset(); err != nil {
				return err
			}
		}
		if i.complete() { // before a reboot
			return nil
		}
		req.Offset = i.done()
		rsp, err := httpfile.Download(ctx, req, i.store)
		if err == nil || ctx.Err() != nil || hopeless(err) {
			return err
		}
		d.record(clients.EventOTAState, fmt.Sprintf("device: interrupted at %d: %v", i.done(), err))
		if rsp.Received > 0 {
			pause = firstPause
		}
		if err := clients.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// fileServer is where a URL leads, and by which TLS: by name to the platform,
// of which the device knows the address, otherwise to anybody.
func (d *device) fileServer(where *url.URL) (addr string, cfg *tls.Config) {
	if where.Host == d.env.ServerName() {
		return d.env.At(httpsPort).String(), d.https
	}
	port := where.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[where.Scheme]
	}
	addr = net.JoinHostPort(where.Hostname(), port)
	if where.Scheme == "http" {
		return addr, nil
	}
	cfg = d.https.Clone()
	cfg.ServerName = where.Hostname()
	return addr, cfg
}

// judge ends a download of what is not the announced image.
func (i *image) judge(rsp httpfile.Response) error {
	switch {
	case rsp.ETag != i.state.ETag:
		return &fatal{fmt.Errorf("image has changed: entity tag %s, want %s", rsp.ETag, i.state.ETag)}
	case rsp.Size != i.state.Size:
		return &fatal{fmt.Errorf("image has %d bytes, want %d", rsp.Size, i.state.Size)}
	}
	return nil
}

// hopeless reports whether another attempt would end alike.
func hopeless(err error) bool {
	var status *httpfile.StatusError
	var certificate *tls.CertificateVerificationError
	var f *fatal
	return errors.As(err, &status) || errors.As(err, &certificate) || errors.As(err, &f)
}

// store writes a piece to flash.
func (i *image) store(offset int64, piece []byte) error {
	if err := i.write(offset, piece); err != nil {
		return &fatal{err}
	}
	i.device.env.Record(clients.Event{Kind: clients.EventOTAData, Offset: offset, Length: int64(len(piece))})
	return nil
}
