package coap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/thinlink/thinlink/clients/coap"
)

// device writes firmware to flash as it comes.
type device struct{ flash []byte }

func (d *device) ServeBlock(_ context.Context, r *coap.Request, b coap.Block) *coap.Response {
	if r.Code != codes.PUT || r.Path() != "/5/0/0" {
		return nil
	}
	if b.Offset == 0 {
		d.flash = nil
	}
	data, ok := b.After(int64(len(d.flash)))
	if !ok {
		return r.Incomplete(int64(len(d.flash)))
	}
	d.flash = append(d.flash, data...)
	if b.Last {
		return coap.Status(codes.Changed)
	}
	return coap.Status(codes.Continue)
}

func (d *device) ServeCoAP(context.Context, *coap.Request) *coap.Response {
	return coap.Status(codes.NotFound)
}

// A platform sends firmware over TCP to a device that has lost what came after
// the first 16 KiB.
func ExampleBlockHandler() {
	firmware := make([]byte, 40*1024)
	target := &device{flash: firmware[:16*1024]}
	a, b := net.Pipe()
	platform, served := coap.NewStreamConn(a, coap.Config{}, nil), coap.NewStreamConn(b, coap.Config{}, target)
	go served.Serve()
	go platform.Serve()
	defer served.Close()
	defer platform.Close()

	put := coap.NewRequest(codes.PUT, "/5/0/0").WithPayload(coap.Octets, firmware)
	upload, err := platform.Upload(put, coap.UploadOptions{Offset: 24 * 1024})
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		block, err := upload.Next(context.Background())
		var incomplete *coap.IncompleteError
		switch {
		case err == io.EOF:
			fmt.Println(coap.CodeString(upload.Response().Code), len(target.flash))
			return
		case errors.As(err, &incomplete) && incomplete.Wanted >= 0:
			fmt.Println(err)
		case err != nil:
			fmt.Println(err)
			return
		default:
			fmt.Println(len(block.Data), "bytes at", block.Offset)
		}
	}
	// Output:
	// coap: upload: the receiver wants offset 16384, not 24576
	// 8192 bytes at 16384
	// 8192 bytes at 24576
	// 8192 bytes at 32768
	// 2.04 40960
}
