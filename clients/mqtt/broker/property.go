package broker

import "unicode/utf8"

// PropertyID names a property of MQTT 5 (section 2.2.2.2).
type PropertyID byte

// The properties.
const (
	PayloadFormat          PropertyID = 1
	MessageExpiry          PropertyID = 2
	ContentType            PropertyID = 3
	ResponseTopic          PropertyID = 8
	CorrelationData        PropertyID = 9
	SubscriptionIdentifier PropertyID = 11
	SessionExpiry          PropertyID = 17
	AssignedClient         PropertyID = 18
	ServerKeepAlive        PropertyID = 19
	AuthMethod             PropertyID = 21
	AuthData               PropertyID = 22
	RequestProblemInfo     PropertyID = 23
	WillDelay              PropertyID = 24
	RequestResponseInfo    PropertyID = 25
	ResponseInfo           PropertyID = 26
	ServerReference        PropertyID = 28
	ReasonString           PropertyID = 31
	ReceiveMaximum         PropertyID = 33
	TopicAliasMaximum      PropertyID = 34
	TopicAlias             PropertyID = 35
	MaximumQoS             PropertyID = 36
	RetainAvailable        PropertyID = 37
	UserProperty           PropertyID = 38
	MaximumPacketSize      PropertyID = 39
	WildcardAvailable      PropertyID = 40
	IdentifiersAvailable   PropertyID = 41
	SharedAvailable        PropertyID = 42
)

// Property is one property of a packet. Which field counts follows from the
// identifier.
type Property struct {
	ID   PropertyID
	Num  uint32 // integers of any size
	Text string // strings and binary data; the name of a user property
	// Value is that of a user property.
	Value string
}

// Properties are a packet's, in the order in which they came: that of user
// properties is significant [MQTT-3.3.2-18].
type Properties []Property

// Num is the integer value of a property.
func (ps Properties) Num(id PropertyID) (n uint32, ok bool) {
	for _, p := range ps {
		if p.ID == id {
			return p.Num, true
		}
	}
	return 0, false
}

// Text is the string or binary value of a property.
func (ps Properties) Text(id PropertyID) (s string, ok bool) {
	for _, p := range ps {
		if p.ID == id {
			return p.Text, true
		}
	}
	return "", false
}

// numOr is the integer value of a property, or what its absence means.
func (ps Properties) numOr(id PropertyID, absent uint32) uint32 {
	if n, ok := ps.Num(id); ok {
		return n
	}
	return absent
}

// form is how a property's value is written (section 2.2.2.2).
type form byte

const (
	formBool form = iota + 1 // a byte that is 0 or 1
	formTwo
	formFour
	formVarint
	formText
	formBinary
	formPair
)

// willProperties stands for the properties of a will, which have a table
// column of their own.
const willProperties kind = 0

// rule is a row of table 2-4.
type rule struct {
	form    form
	kinds   []kind
	nonzero bool // 0 is a protocol error
	repeats bool // may come more than once
}

var rules = map[PropertyID]rule{
	PayloadFormat:          {form: formBool, kinds: []kind{kindPublish, willProperties}},
	MessageExpiry:          {form: formFour, kinds: []kind{kindPublish, willProperties}},
	ContentType:            {form: formText, kinds: []kind{kindPublish, willProperties}},
	ResponseTopic:          {form: formText, kinds: []kind{kindPublish, willProperties}},
	CorrelationData:        {form: formBinary, kinds: []kind{kindPublish, willProperties}},
	SubscriptionIdentifier: {form: formVarint, kinds: []kind{kindPublish, kindSubscribe}, nonzero: true},
	SessionExpiry:          {form: formFour, kinds: []kind{kindConnect, kindConnack, kindDisconnect}},
	AssignedClient:         {form: formText, kinds: []kind{kindConnack}},
	ServerKeepAlive:        {form: formTwo, kinds: []kind{kindConnack}},
	AuthMethod:             {form: formText, kinds: []kind{kindConnect, kindConnack, kindAuth}},
	AuthData:               {form: formBinary, kinds: []kind{kindConnect, kindConnack, kindAuth}},
	RequestProblemInfo:     {form: formBool, kinds: []kind{kindConnect}},
	WillDelay:              {form: formFour, kinds: []kind{willProperties}},
	RequestResponseInfo:    {form: formBool, kinds: []kind{kindConnect}},
	ResponseInfo:           {form: formText, kinds: []kind{kindConnack}},
	ServerReference:        {form: formText, kinds: []kind{kindConnack, kindDisconnect}},
	ReasonString: {form: formText, kinds: []kind{kindConnack, kindPuback, kindPubrec, kindPubrel, kindPubcomp,
		kindSuback, kindUnsuback, kindDisconnect, kindAuth}},
	ReceiveMaximum:    {form: formTwo, kinds: []kind{kindConnect, kindConnack}, nonzero: true},
	TopicAliasMaximum: {form: formTwo, kinds: []kind{kindConnect, kindConnack}},
	TopicAlias:        {form: formTwo, kinds: []kind{kindPublish}}, // 0 has a reason code of its own
	MaximumQoS:        {form: formBool, kinds: []kind{kindConnack}},
	RetainAvailable:   {form: formBool, kinds: []kind{kindConnack}},
	UserProperty: {form: formPair, repeats: true, kinds: []kind{kindConnect, kindConnack, kindPublish, willProperties,
		kindPuback, kindPubrec, kindPubrel, kindPubcomp, kindSubscribe, kindSuback, kindUnsubscribe, kindUnsuback,
		kindDisconnect, kindAuth}},
	MaximumPacketSize:    {form: formFour, kinds: []kind{kindConnect, kindConnack}, nonzero: true},
	WildcardAvailable:    {form: formBool, kinds: []kind{kindConnack}},
	IdentifiersAvailable: {form: formBool, kinds: []kind{kindConnack}},
	SharedAvailable:      {form: formBool, kinds: []kind{kindConnack}},
}

func (r rule) belongs(to kind) bool {
	for _, k := range r.kinds {
		if k == to {
			return true
		}
	}
	return false
}

// properties reads the properties of a kind of packet and holds them against
// the table: known, in their place, once, of their type.
func (r *reader) properties(of kind) (ps Properties) {
	list := reader{b: r.take(int(r.varint()))}
	var seen [256]bool
	for len(list.b) > 0 && r.err == nil {
		id := PropertyID(list.varint())
		rule, known := rules[id]
		if !known || !rule.belongs(of) {
			r.fail(MalformedPacket, "property %d in %s", id, of)
			break
		}
		if seen[id] && !rule.repeats {
			r.fail(ProtocolError, "property %d twice", id)
			break
		}
		seen[id] = true
		p := Property{ID: id}
		switch rule.form {
		case formBool:
			if p.Num = uint32(list.byte()); p.Num > 1 {
				r.fail(ProtocolError, "property %d is %d", id, p.Num)
			}
		case formTwo:
			p.Num = uint32(list.two())
		case formFour:
			p.Num = list.four()
		case formVarint:
			p.Num = list.varint()
		case formText:
			p.Text = list.text()
		case formBinary:
			p.Text = string(list.binary())
		case formPair:
			p.Text, p.Value = list.text(), list.text()
		}
		if rule.nonzero && p.Num == 0 && list.err == nil {
			r.fail(ProtocolError, "property %d is 0", id)
		}
		ps = append(ps, p)
		if r.err == nil {
			r.err = list.err
		}
	}
	return ps
}

// appendProperties writes properties behind their length.
func appendProperties(b []byte, ps Properties) []byte {
	var list []byte
	for _, p := range ps {
		list = append(list, byte(p.ID))
		switch rules[p.ID].form {
		case formBool:
			list = append(list, byte(p.Num))
		case formTwo:
			list = appendTwo(list, uint16(p.Num))
		case formFour:
			list = appendFour(list, p.Num)
		case formVarint:
			list = appendVarint(list, p.Num)
		case formText, formBinary:
			list = appendText(list, p.Text)
		case formPair:
			list = appendText(appendText(list, p.Text), p.Value)
		}
	}
	return append(appendVarint(b, uint32(len(list))), list...)
}

// forwarded are the properties that travel with a message to its subscribers
// unaltered: payload format [MQTT-3.3.2-4], content type [MQTT-3.3.2-20],
// response topic [MQTT-3.3.2-15], correlation data [MQTT-3.3.2-16] and user
// properties [MQTT-3.3.2-17].
func (ps Properties) forwarded() (kept Properties) {
	for _, p := range ps {
		switch p.ID {
		case PayloadFormat, ContentType, ResponseTopic, CorrelationData, UserProperty:
			kept = append(kept, p)
		}
	}
	return kept
}

// validMessage checks what is more than a property's type: a response topic
// without wildcards [MQTT-3.3.2-14], a payload that is the UTF-8 it says
// (section 3.3.2.3.2).
func (r *reader) validMessage(ps Properties, payload []byte) {
	if topic, ok := ps.Text(ResponseTopic); ok && checkTopic(topic) != nil {
		r.fail(ProtocolError, "response topic with wildcards")
	}
	if utf, _ := ps.Num(PayloadFormat); utf == 1 && !utf8.Valid(payload) {
		r.fail(PayloadFormatInvalid, "payload is not UTF-8")
	}
}
