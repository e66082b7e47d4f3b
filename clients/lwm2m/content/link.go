package content

import (
	"fmt"
	"strings"
)

// WebLink is one link of the CoRE link format (RFC 6690), by which a device
// lists its objects when registering and answers a discover.
type WebLink struct {
	Target string
	Params []LinkParam
}

// LinkParam is one attribute of a link. An attribute without value has
// HasValue false.
type LinkParam struct {
	Name, Value string
	HasValue    bool
}

// Attribute is a link attribute with a value.
func Attribute(name, value string) LinkParam { return LinkParam{name, value, true} }

// Param returns the value of the first attribute of a name.
func (l *WebLink) Param(name string) (value string, ok bool) {
	for _, p := range l.Params {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// AppendLinks appends links in link format. Values that are no plain token are
// quoted.
func AppendLinks(dst []byte, links []WebLink) []byte {
	for i, l := range links {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '<')
		dst = append(dst, l.Target...)
		dst = append(dst, '>')
		for _, p := range l.Params {
			dst = append(dst, ';')
			dst = append(dst, p.Name...)
			if p.HasValue {
				dst = append(dst, '=')
				dst = appendLinkValue(dst, p.Value)
			}
		}
	}
	return dst
}

func appendLinkValue(dst []byte, v string) []byte {
	if v != "" && strings.IndexFunc(v, func(r rune) bool { return !isTokenRune(r) }) < 0 {
		return append(dst, v...)
	}
	dst = append(dst, '"')
	for i := range len(v) {
		if v[i] == '"' || v[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, v[i])
	}
	return append(dst, '"')
}

// isTokenRune is a character of an unquoted value (RFC 6690 section 2,
// ptokenchar, without those that delimit here).
func isTokenRune(r rune) bool {
	return r > ' ' && r < 0x7f && !strings.ContainsRune(`",;\<>=`, r)
}

// ParseLinks reads a document in link format (RFC 6690 section 2). An empty
// one has no links.
func ParseLinks(s string) ([]WebLink, error) {
	var links []WebLink
	p := linkParser{s}
	for p.rest != "" {
		if len(links) > 0 && !p.take(',') {
			return nil, p.fail("want ','")
		}
		l, err := p.link()
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

type linkParser struct{ rest string }

func (p *linkParser) fail(why string) error {
	return fmt.Errorf("link format: %s before %.20q", why, p.rest)
}

// take consumes one character if it is next.
func (p *linkParser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// until consumes what comes before the first of the delimiters.
func (p *linkParser) until(delimiters string) string {
	i := strings.IndexAny(p.rest, delimiters)
	if i < 0 {
		i = len(p.rest)
	}
	s := p.rest[:i]
	p.rest = p.rest[i:]
	return s
}

func (p *linkParser) link() (l WebLink, err error) {
	if !p.take('<') {
		return l, p.fail("want '<'")
	}
	l.Target = p.until("<>")
	if !p.take('>') {
		return l, p.fail("want '>'")
	}
	for p.take(';') {
		param := LinkParam{Name: p.until("=;,\"<>")}
		if param.Name == "" {
			return l, p.fail("want an attribute")
		}
		if param.HasValue = p.take('='); param.HasValue {
			if param.Value, err = p.value(); err != nil {
				return l, err
			}
		}
		l.Params = append(l.Params, param)
	}
	return l, nil
}

func (p *linkParser) value() (string, error) {
	if !p.take('"') {
		v := p.until(";,\"<>")
		if v == "" {
			return "", p.fail("want a value")
		}
		return v, nil
	}
	var b strings.Builder
	for {
		b.WriteString(p.until(`"\`))
		if p.take('"') {
			return b.String(), nil
		}
		if !p.take('\\') || p.rest == "" {
			return "", p.fail("want '\"'")
		}
		b.WriteByte(p.rest[0])
		p.rest = p.rest[1:]
	}
}
