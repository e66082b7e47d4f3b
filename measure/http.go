package measure

import (
	"bytes"
	"strconv"
	"strings"
)

// isHTTP reports whether a stream begins with a request or status line
// (RFC 9112 section 2.1).
func isHTTP(b []byte) bool {
	for _, s := range []string{"HTTP/1.", "GET ", "PUT ", "POST ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS "} {
		if hasPrefix(b, s) {
			return true
		}
	}
	return false
}

// httpClasses splits one direction of an HTTP/1.1 connection: start lines,
// header fields and the framing of chunks are protocol, content is payload.
// methods are the requests' methods, which decide whether a response has
// content; nil for the client's direction. The client's are returned.
func httpClasses(b []byte, methods []string) (c classes, sent []string) {
	for response := 0; len(b) > 0; {
		if !isHTTP(b) {
			return c, sent // out of step: payload
		}
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			c.add(len(b), classProtocol)
			return c, sent
		}
		end += len("\r\n\r\n")
		head := string(b[:end])
		c.add(end, classProtocol)
		b = b[end:]
		method, _, _ := strings.Cut(head, " ")
		isResponse := strings.HasPrefix(head, "HTTP/")
		if isResponse {
			method = ""
			if response < len(methods) {
				method = methods[response]
			}
			if !informational(head) {
				response++
			}
		} else {
			sent = append(sent, method)
		}
		b = httpBody(&c, head, b, isResponse, method)
	}
	return c, sent
}

// httpBody accounts for the content behind a head, RFC 9112 section 6.3, and
// returns what follows it.
func httpBody(c *classes, head string, b []byte, response bool, method string) []byte {
	status := statusOf(head)
	switch {
	case response && (method == "HEAD" || informational(head) || status == "204" || status == "304"):
		return b
	case strings.Contains(strings.ToLower(field(head, "transfer-encoding")), "chunked"):
		return httpChunks(c, b)
	}
	n := len(b) // until the connection closes
	if v := field(head, "content-length"); v != "" {
		if length, err := strconv.ParseInt(v, 10, 64); err == nil && length >= 0 {
			n = int(min(length, int64(len(b))))
		}
	} else if !response {
		n = 0
	}
	c.add(n, classPayload)
	return b[n:]
}

// httpChunks accounts for chunked content, RFC 9112 section 7.1.
func httpChunks(c *classes, b []byte) []byte {
	for {
		line := bytes.Index(b, []byte("\r\n"))
		if line < 0 {
			c.add(len(b), classProtocol)
			return nil
		}
		digits, _, _ := strings.Cut(string(b[:line]), ";")
		size, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 32)
		if err != nil || size < 0 {
			c.add(len(b), classPayload)
			return nil
		}
		c.add(line+2, classProtocol)
		b = b[line+2:]
		if size == 0 {
			return httpTrailer(c, b)
		}
		n := int(min(size, int64(len(b))))
		c.add(n, classPayload)
		b = b[n:]
		end := min(2, len(b))
		c.add(end, classProtocol)
		b = b[end:]
	}
}

// httpTrailer accounts for the trailer section up to its empty line.
func httpTrailer(c *classes, b []byte) []byte {
	for {
		line := bytes.Index(b, []byte("\r\n"))
		if line < 0 {
			c.add(len(b), classProtocol)
			return nil
		}
		c.add(line+2, classProtocol)
		b = b[line+2:]
		if line == 0 {
			return b
		}
	}
}

func informational(head string) bool {
	s := statusOf(head)
	return len(s) == 3 && s[0] == '1' && s != "101"
}

func statusOf(head string) string {
	if !strings.HasPrefix(head, "HTTP/") {
		return ""
	}
	_, rest, _ := strings.Cut(head, " ")
	return rest[:min(3, len(rest))]
}

// field is the value of the first header field of that name, in lower case.
func field(head, name string) string {
	for line := range strings.Lines(head) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// http2Preface begins the client's direction of HTTP/2 (RFC 9113 section 3.4).
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func isHTTP2(b []byte) bool { return hasPrefix(b, http2Preface) }

// http2Classes splits frames (RFC 9113 section 4.1) behind a preface: the
// content of DATA frames is payload.
func http2Classes(b []byte, preface int) classes {
	const headerLen, frameData = 9, 0
	var c classes
	c.add(preface, classProtocol)
	for len(b) > 0 {
		if len(b) < headerLen {
			c.add(len(b), classProtocol)
			break
		}
		n := min(int(b[0])<<16|int(b[1])<<8|int(b[2]), len(b)-headerLen)
		c.add(headerLen, classProtocol)
		k := classProtocol
		if b[3] == frameData {
			k = classPayload
		}
		c.add(n, k)
		b = b[headerLen+n:]
	}
	return c
}
