package mqttsn

// topics are the topics of one client: those that are predefined, and those
// that either end has registered (section 6.5).
type topics struct {
	predefined map[uint16]string
	byID       map[uint16]string
	byName     map[string]uint16
}

func newTopics(predefined map[uint16]string) *topics {
	return &topics{predefined: predefined, byID: map[uint16]string{}, byName: map[string]uint16{}}
}

// maxTopics bounds what a client registers.
const maxTopics = 1000

// name is the topic of a field, "" if it is not known.
func (t *topics) name(id uint16, of idType) string {
	switch of {
	case topicShort:
		return string([]byte{byte(id >> 8), byte(id)})
	case topicPredefined:
		return t.predefined[id]
	}
	return t.byID[id]
}

// add gives a name a number; 0 if there are too many.
func (t *topics) add(name string) uint16 {
	if id, ok := t.byName[name]; ok {
		return id
	}
	if len(t.byID) >= maxTopics {
		return 0
	}
	id := uint16(len(t.byID) + 1)
	t.set(id, name)
	return id
}

func (t *topics) set(id uint16, name string) { t.byID[id], t.byName[name] = name, id }

// field is how a topic is written; ok is false if it must be registered first.
func (t *topics) field(name string) (id uint16, of idType, ok bool) {
	if len(name) == 2 {
		return uint16(name[0])<<8 | uint16(name[1]), topicShort, true
	}
	for id, predefined := range t.predefined {
		if predefined == name {
			return id, topicPredefined, true
		}
	}
	id, ok = t.byName[name]
	return id, topicNormal, ok
}
