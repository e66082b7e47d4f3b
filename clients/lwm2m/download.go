package lwm2m

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/httpfile"
)

// source is where a package URI leads.
type source struct {
	scheme string
	addr   netip.AddrPort
	url    *url.URL
}

// parseSource reads a package URI, whose host must be an address.
func parseSource(uri string) (source, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return source{}, model.Refuse(codes.NotFound, err.Error())
	}
	ports := map[string]uint16{"coap": portCoAP, "coaps": portCoAPS, "coap+tcp": portCoAP, "coaps+tcp": portCoAPS, "https": portHTTPS}
	scheme := strings.ToLower(u.Scheme)
	port := ports[scheme]
	if u.Port() != "" {
		p, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			return source{}, model.Refuse(codes.NotFound, "port of "+uri)
		}
		port = uint16(p)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil || port == 0 {
		return source{}, model.Refuse(codes.NotFound, "host of "+uri+" is no address")
	}
	return source{scheme, netip.AddrPortFrom(addr, port), u}, nil
}

// stream reports CoAP over TCP or TLS.
func (s source) stream() bool { return strings.HasSuffix(s.scheme, "+tcp") }

// secure reports DTLS or TLS.
func (s source) secure() bool { return s.scheme == "coaps" || s.scheme == "coaps+tcp" }

// fetch downloads a package, over as many sessions as it takes: what fails is
// tried again from where it stopped, until DownloadPatience has brought
// nothing. A *StatusError is the server's final word.
func (u *updater) fetch(ctx context.Context, uri string) error {
	src, err := parseSource(uri)
	if err != nil {
		return err
	}
	pull := u.pullCoAP
	if src.scheme == "https" {
		pull = u.pullHTTPS
	}
	opt := u.device.opt
	for progress := time.Now(); ; {
		before, _ := u.kept()
		err := pull(ctx, src)
		pause := opt.RetryTimer
		if after, _ := u.kept(); after > before {
			progress, pause = time.Now(), reaction
		}
		if err == nil || ctx.Err() != nil || isFinal(err) || errors.Is(err, errFlash) || errors.Is(err, errNoRoom) || time.Since(progress) > opt.DownloadPatience {
			return err
		}
		u.device.note("device: download interrupted: %v", err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// pullCoAP downloads in blocks (RFC 7959), each a GET with a token of its own:
// confirmable over datagrams; over a stream for BERT blocks (RFC 8323 section 6).
func (u *updater) pullCoAP(ctx context.Context, src source) error {
	conn, done, err := u.downloadSession(ctx, src)
	if err != nil {
		return err
	}
	defer done()
	have, etag := u.kept()
	size := u.device.opt.transferSize(u.device.opt.CoAP.Device)
	opt := coap.DownloadOptions{BlockSize: size, Offset: have - have%int64(size)}
	if src.stream() && u.device.opt.BlockSize == 0 {
		opt.BlockSize = 0 // BERT, if the server has it
	}
	if opt.Offset > 0 {
		opt.ETag = etag
	}
	req := coap.NewRequest(codes.GET, src.url.Path)
	if src.url.RawQuery != "" {
		for q := range strings.SplitSeq(src.url.RawQuery, "&") {
			req.AddQuery(q)
		}
	}
	download, err := conn.Download(req, opt)
	if err != nil {
		return err
	}
	for {
		b, err := download.Next(ctx)
		if err == io.EOF { // not one that a lost session has for its cause
			return nil
		} else if err != nil {
			return u.coapError(err)
		}
		if err = u.announced(b.Size); err == nil {
			err = u.label(b.ETag)
		}
		if err == nil {
			err = u.keep(b.Offset, b.Data)
		}
		if err != nil {
			return err
		}
	}
}

// coapError tells errors that may pass from those that will not.
func (u *updater) coapError(err error) error {
	var etag *coap.ETagError
	var status *coap.StatusError
	switch {
	case errors.As(err, &etag):
		return errors.Join(err, u.erase()) // and again from the start
	case errors.As(err, &status) && status.Code>>5 == 4:
		return model.Refuse(status.Code, "to the download")
	}
	return err
}

// downloadSession is the session to download over, and what to do after it.
func (u *updater) downloadSession(ctx context.Context, src source) (*coap.Conn, func(), error) {
	d := u.device
	for _, a := range d.all() {
		if d.opt.SameSession && !src.stream() && src.addr == a.addr {
			return a.session().Conn, func() {}, nil
		}
	}
	l, err := d.dial(ctx, remote{source: src, cred: d.cred, life: d.ctx}, nil)
	if err != nil {
		return nil, nil, err
	}
	return l.Conn, func() { l.leave(d.ctx) }, nil
}

// portHTTPS is that of packages over HTTPS.
const portHTTPS = 443

// pullHTTPS downloads what is missing, if the file is still the same.
func (u *updater) pullHTTPS(ctx context.Context, src source) error {
	d := u.device
	have, etag := u.kept()
	_, err := httpfile.Download(ctx, httpfile.Request{
		Host: d.env.Device, Addr: src.addr.String(), Path: src.url.RequestURI(),
		TLS: &tls.Config{
			RootCAs: d.cred.Pool, ServerName: d.env.ServerName(),
			MaxVersion: tlsVersions[d.opt.TLSVersion], KeyLogWriter: d.env.KeyLog, ClientSessionCache: d.ticket,
		},
		Offset: have, ETag: string(etag), IfMatch: true, Stall: d.opt.Stall,
		Begin: func(rsp httpfile.Response) error {
			if err := u.announced(rsp.Size); err != nil {
				return err
			}
			return u.label([]byte(rsp.ETag))
		},
	}, u.keep)
	var status *httpfile.StatusError
	switch {
	case errors.As(err, &status) && (status.Code == http.StatusPreconditionFailed || status.Code == http.StatusRequestedRangeNotSatisfiable):
		return errors.Join(err, u.erase()) // it has changed: again from the start
	case errors.As(err, &status) && status.Code < 500:
		return model.Refuse(codes.NotFound, fmt.Sprintf("HTTP status %d", status.Code))
	}
	return err
}

// tlsVersions are the values of Options.TLSVersion.
var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
