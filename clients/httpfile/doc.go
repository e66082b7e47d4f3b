// Package httpfile serves and downloads files over HTTPS, as firmware images
// are fetched from an object store: one GET, whole or from an offset.
//
// Files is what a server offers; Serve answers on any listener; Download
// fetches one file, handing over chunks as they arrive; a Client keeps its
// connection for further downloads.
//
//	var files httpfile.Files
//	etag := files.Put("/fw.bin", image)
//	stop := httpfile.Serve(listener, serverTLS, &files)
//	defer stop()
//	rsp, err := httpfile.Download(ctx, httpfile.Request{
//		Host: env.Device, Addr: "10.0.0.1:443", Path: "/fw.bin", TLS: clientTLS,
//		Offset: 65536, ETag: etag,
//	}, func(offset int64, chunk []byte) error { ... })
//
// Every header has a constant length for a file of given size, so that equal
// runs send equal packets. There is no compression, no HTTP/2 and no timer
// besides Request.Stall.
package httpfile
