package content

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
)

// encodeText and decodeText are format text/plain (section 7.4.1): one value.
func encodeText(base model.Path, nodes []model.Node) ([]byte, error) {
	v, err := only(base, nodes)
	if err != nil {
		return nil, err
	}
	return AppendText(nil, v), nil
}

func decodeText(base model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	v, err := ParseText(typeAt(schema, base), string(payload))
	return []model.Node{{Path: base, Value: v}}, err
}

// encodeOpaque and decodeOpaque are format application/octet-stream (section
// 7.4.2): the value of an opaque resource.
func encodeOpaque(base model.Path, nodes []model.Node) ([]byte, error) {
	v, err := only(base, nodes)
	if err != nil {
		return nil, err
	}
	b, ok := v.([]byte)
	if !ok {
		return nil, model.Refuse(codes.NotAcceptable, base.String()+" is not opaque")
	}
	return b, nil
}

func decodeOpaque(base model.Path, schema model.Schema, payload []byte) ([]model.Node, error) {
	if t := typeAt(schema, base); t != 0 && t != model.Opaque {
		return nil, model.Refuse(codes.UnsupportedMediaType, base.String()+" is not opaque")
	}
	return []model.Node{{Path: base, Value: payload}}, nil
}

// AppendText appends a value in plain text (appendix C).
func AppendText(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(dst, v...)
	case []byte:
		return base64.StdEncoding.AppendEncode(dst, v)
	case bool:
		if v {
			return append(dst, '1')
		}
		return append(dst, '0')
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case uint64:
		return strconv.AppendUint(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	case model.Link:
		return fmt.Appendf(dst, "%d:%d", v.Object, v.Instance)
	}
	panic(fmt.Sprintf("lwm2m: value of type %T", v))
}

// ParseText reads what AppendText writes; of type 0 it is a string.
func ParseText(t model.Type, s string) (v any, err error) {
	switch {
	case !utf8.ValidString(s):
		err = errors.New("not UTF-8")
	case t == 0 || t == model.String || t == model.CoreLink:
		return s, nil
	case t == model.Opaque:
		v, err = base64.StdEncoding.DecodeString(s)
	case t == model.Integer || t == model.Time:
		v, err = strconv.ParseInt(s, 10, 64)
	case t == model.Unsigned:
		v, err = strconv.ParseUint(s, 10, 64)
	case t == model.Float && strings.IndexFunc(s, notDecimal) < 0:
		v, err = strconv.ParseFloat(s, 64)
	case t == model.Boolean && (s == "0" || s == "1"):
		return s == "1", nil
	case t == model.ObjectLink:
		v, err = parseLink(s)
	default:
		err = fmt.Errorf("%q is no value of type %v", s, t)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// notDecimal keeps hexadecimal numbers, infinities and the like out.
func notDecimal(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }

// parseLink reads an object link, as in "66:1".
func parseLink(s string) (model.Link, error) {
	o, i, _ := strings.Cut(s, ":")
	object, err1 := strconv.ParseUint(o, 10, 16)
	instance, err2 := strconv.ParseUint(i, 10, 16)
	if err1 != nil || err2 != nil {
		return model.Link{}, fmt.Errorf("%q is no object link", s)
	}
	return model.Link{Object: uint16(object), Instance: uint16(instance)}, nil
}
