package broker

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var (
	errTopic  = errors.New("invalid topic name")
	errFilter = errors.New("invalid topic filter")
)

// checkTopic accepts topic names: at least one character [MQTT-4.7.3-1], no
// wildcard [MQTT-3.3.2-2], no U+0000 [MQTT-4.7.3-2].
func checkTopic(s string) error {
	if !validString(s) || s == "" || strings.ContainsAny(s, "+#") {
		return errTopic
	}
	return nil
}

// checkFilter accepts topic filters: "#" alone in the last level
// [MQTT-4.7.1-2], "+" alone in its level [MQTT-4.7.1-3]; of a shared
// subscription, what follows its name.
func checkFilter(s string) error {
	if name, shared := strings.CutPrefix(s, sharePrefix); shared {
		var ok bool
		name, s, ok = strings.Cut(name, "/")
		if !ok || name == "" || strings.ContainsAny(name, "+#") { // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
			return errFilter
		}
	}
	if !validString(s) || s == "" {
		return errFilter
	}
	for rest, more := s, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if level == "#" && more || len(level) > 1 && strings.ContainsAny(level, "+#") {
			return errFilter
		}
	}
	return nil
}

// validString checks a string of the protocol: UTF-8 [MQTT-1.5.3-1] without
// U+0000 [MQTT-1.5.3-2], at most 65535 bytes (section 1.5.3).
func validString(s string) bool {
	return len(s) <= 0xffff && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// matches reports whether a valid filter matches a topic name (section 4.7).
func matches(filter, topic string) bool {
	// Topics that begin with $ are hidden from leading wildcards
	// [MQTT-4.7.2-1].
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		f, filterRest, filterMore := strings.Cut(filter, "/")
		t, topicRest, topicMore := strings.Cut(topic, "/")
		switch {
		case f == "#":
			return true
		case f != "+" && f != t:
			return false
		case !topicMore:
			// "sport/#" also matches "sport" (section 4.7.1.2).
			return !filterMore || filterRest == "#"
		case !filterMore:
			return false
		}
		filter, topic = filterRest, topicRest
	}
}
