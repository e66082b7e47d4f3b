package content

import (
	"fmt"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// The content formats, by their numbers in CoAP (Core 1.2 table 7.5-1).
const (
	Text      message.MediaType = 0     // text/plain
	Links     message.MediaType = 40    // application/link-format
	Opaque    message.MediaType = 42    // application/octet-stream
	CBOR      message.MediaType = 60    // application/cbor
	SenMLJSON message.MediaType = 110   // application/senml+json
	SenMLCBOR message.MediaType = 112   // application/senml+cbor
	EtchJSON  message.MediaType = 320   // application/senml-etch+json
	EtchCBOR  message.MediaType = 322   // application/senml-etch+cbor
	TLV       message.MediaType = 11542 // application/vnd.oma.lwm2m+tlv
	JSON      message.MediaType = 11543 // application/vnd.oma.lwm2m+json
	LwM2MCBOR message.MediaType = 11544 // application/vnd.oma.lwm2m+cbor
)

// The versions of LwM2M.
const (
	V10 = "1.0"
	V11 = "1.1"
	V12 = "1.2"
)

// codec is one content format.
type codec struct {
	format      message.MediaType
	name        string
	since, last string // versions of LwM2M that have it
	// single formats carry one value, without its path.
	single bool
	// composite formats carry values of several objects.
	composite bool
	encode    func(base model.Path, nodes []model.Node) ([]byte, error)
	decode    func(base model.Path, schema model.Schema, payload []byte) ([]model.Node, error)
}

var codecs = []codec{
	{Text, "text", V10, V12, true, false, encodeText, decodeText},
	{Opaque, "opaque", V10, V12, true, false, encodeOpaque, decodeOpaque},
	{CBOR, "cbor", V11, V12, true, false, encodeCBOR, decodeCBOR},
	{TLV, "tlv", V10, V12, false, false, encodeTLV, decodeTLV},
	{JSON, "json", V10, V11, false, false, encodeJSON, decodeJSON},
	{SenMLJSON, "senml-json", V11, V12, false, true, encodeSenMLJSON, decodeSenMLJSON},
	{SenMLCBOR, "senml-cbor", V11, V12, false, true, encodeSenMLCBOR, decodeSenMLCBOR},
	// RFC 8790: the same records, as bodies of FETCH and iPATCH.
	{EtchJSON, "senml-etch-json", V12, V12, false, true, encodeSenMLJSON, decodeSenMLJSON},
	{EtchCBOR, "senml-etch-cbor", V12, V12, false, true, encodeSenMLCBOR, decodeSenMLCBOR},
	{LwM2MCBOR, "lwm2m-cbor", V12, V12, false, true, encodeLwM2MCBOR, decodeLwM2MCBOR},
}

func find(f message.MediaType) *codec {
	i := slices.IndexFunc(codecs, func(c codec) bool { return c.format == f })
	if i < 0 {
		return nil
	}
	return &codecs[i]
}

// Named finds a format by its name, such as "senml-cbor".
func Named(name string) (f message.MediaType, ok bool) {
	i := slices.IndexFunc(codecs, func(c codec) bool { return c.name == name })
	if i < 0 {
		return 0, false
	}
	return codecs[i].format, true
}

// Name is a format's name, or its number if it has none.
func Name(f message.MediaType) string {
	if c := find(f); c != nil {
		return c.name
	}
	return fmt.Sprint(int(f))
}

// Supported reports whether a version of LwM2M has a format.
func Supported(version string, f message.MediaType) bool {
	c := find(f)
	return c != nil && c.since <= version && version <= c.last
}

// Single reports whether a format carries one value, without its path.
func Single(f message.MediaType) bool {
	c := find(f)
	return c != nil && c.single
}

// Composite reports whether a format carries values of several objects.
func Composite(f message.MediaType) bool {
	c := find(f)
	return c != nil && c.composite
}

// Encode writes nodes at or below base. Errors: *model.StatusError 4.06 if the
// format cannot carry them.
func Encode(f message.MediaType, base model.Path, nodes []model.Node) ([]byte, error) {
	c := find(f)
	if c == nil || base.Depth() == model.DepthRoot && !c.composite {
		return nil, model.Refuse(codes.NotAcceptable, fmt.Sprintf("format %s of %v", Name(f), base))
	}
	nodes = slices.Clone(nodes)
	slices.SortStableFunc(nodes, func(a, b model.Node) int { return a.Path.Compare(b.Path) })
	return c.encode(base, nodes)
}

// Decode reads nodes at or below base. A resource that schema knows has a value
// of its type, any other one of a type that the format has. schema may be nil. A
// node without value is one without resources or, in composite formats, a place
// that is only named. Errors: *model.StatusError 4.15 if the format cannot carry
// what is at base; any other for a payload that is malformed or not of base.
func Decode(f message.MediaType, base model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	c := find(f)
	if c == nil || base.Depth() == model.DepthRoot && !c.composite || c.single && base.Depth() < model.DepthResource {
		return nil, model.Refuse(codes.UnsupportedMediaType, fmt.Sprintf("format %s of %v", Name(f), base))
	}
	if schema == nil {
		schema = func(model.Path) *model.Resource { return nil }
	}
	nodes, err := c.decode(base, schema, payload)
	if err == nil {
		err = check(base, schema, nodes)
	}
	if err != nil {
		return nil, fmt.Errorf("format %s of %v: %w", c.name, base, err)
	}
	return nodes, nil
}

// check finds nodes of other places than base, values of what is no resource,
// instances of a single resource, and what is there twice at the same time.
func check(base model.Path, schema model.Schema, nodes []model.Node) error {
	type moment struct {
		path model.Path
		time float64
	}
	seen := make(map[moment]bool, len(nodes))
	for _, n := range nodes {
		switch m := (moment{n.Path, n.Time}); {
		case !base.Contains(n.Path):
			return fmt.Errorf("%v is elsewhere", n.Path)
		case n.Value != nil && n.Path.Depth() < model.DepthResource:
			return fmt.Errorf("%v has no value of its own", n.Path)
		case n.Value != nil && !fits(schema(n.Path), n):
			return fmt.Errorf("%v: instances of a single resource, or a multiple resource without", n.Path)
		case seen[m]:
			return fmt.Errorf("%v twice", n.Path)
		default:
			seen[m] = true
		}
	}
	return checkParents(nodes)
}

// checkParents finds values of a resource beside those of its instances.
func checkParents(nodes []model.Node) error {
	single := make(map[model.Path]bool)
	for _, n := range nodes {
		if n.Path.Depth() == model.DepthResource && n.Value != nil {
			single[n.Path] = true
		}
	}
	for _, n := range nodes {
		if n.Path.Depth() == model.DepthResourceInstance && single[n.Path.Parent()] {
			return fmt.Errorf("%v: instances of a single resource", n.Path.Parent())
		}
	}
	return nil
}

// fits reports whether a value stands where those of a resource do.
func fits(res *model.Resource, n model.Node) bool {
	_, many := n.Value.(model.Multiple)
	return res == nil || res.Multiple == (many || n.Path.Depth() == model.DepthResourceInstance)
}

// typeAt is the type of the resource at a path, 0 if it is not known.
func typeAt(schema model.Schema, path model.Path) model.Type {
	if res := schema(path); res != nil {
		return res.Type
	}
	return 0
}

// only is the one node of a format for single values.
func only(base model.Path, nodes []model.Node) (any, error) {
	if len(nodes) != 1 || nodes[0].Path != base || nodes[0].Value == nil {
		return nil, model.Refuse(codes.NotAcceptable, fmt.Sprintf("%v is no single value", base))
	}
	if _, multiple := nodes[0].Value.(model.Multiple); multiple {
		return nil, model.Refuse(codes.NotAcceptable, fmt.Sprintf("%v has instances", base))
	}
	return nodes[0].Value, nil
}

// Plain is the format of the response to a request in another one: the records
// of a FETCH body have a format of their own (RFC 8790 section 3).
func Plain(f message.MediaType) message.MediaType {
	switch f {
	case EtchJSON:
		return SenMLJSON
	case EtchCBOR:
		return SenMLCBOR
	}
	return f
}

// EncodePaths writes places to read (section 6.3.8), for the composite formats.
func EncodePaths(f message.MediaType, paths []model.Path) ([]byte, error) {
	nodes := make([]model.Node, len(paths))
	for i, p := range paths {
		nodes[i].Path = p
	}
	switch f {
	case SenMLJSON, EtchJSON:
		return marshalJSON(records(nodes))
	case SenMLCBOR, EtchCBOR:
		return cborEncoding.Marshal(records(nodes))
	}
	return Encode(f, model.Path{}, nodes)
}
