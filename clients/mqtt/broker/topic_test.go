package broker

import (
	"strings"
	"testing"
)

// The examples of section 4.7.1.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/#", "sport", true},
		{"sport/#", "sports", false},
		{"#", "a/b/c", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"+/tennis/#", "sport/tennis/x/y", true},
		{"#", "$SYS/broker", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"a/b", "a/b", true},
		{"a/b", "a/B", false},
		{"a/b", "a/b/", false},
		{"a/b/", "a/b", false},
		{"a/+/c/#", "a/b/c", true},
		{"a/+/+", "a/b", false},
	} {
		if got := matches(c.filter, c.topic); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.filter, c.topic, got)
		}
	}
}

func TestCheckFilterAndTopic(t *testing.T) {
	for _, good := range []string{"#", "+", "/", "a/#", "+/+/#", "a//b", "sport/+/player1", "$SYS/#"} {
		if err := checkFilter(good); err != nil {
			t.Errorf("filter %q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a#", "a/#/b", "sport+", "a/b+/c", "##", "a\x00", "\xff", strings.Repeat("a", 65536)} {
		if checkFilter(bad) == nil {
			t.Errorf("filter %q was accepted", bad)
		}
	}
	for _, good := range []string{"a", "/", "a b", "$x", strings.Repeat("a", 65535)} {
		if err := checkTopic(good); err != nil {
			t.Errorf("topic %q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a/+", "#", "a\x00b", "\xc3"} {
		if checkTopic(bad) == nil {
			t.Errorf("topic %q was accepted", bad)
		}
	}
}

// matchesPlainly is the definition by whole levels, without shortcuts.
func matchesPlainly(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	if strings.HasPrefix(topic, "$") && (f[0] == "+" || f[0] == "#") {
		return false
	}
	for i, level := range f {
		if level == "#" {
			return len(t) >= i
		}
		if i >= len(t) || level != "+" && level != t[i] {
			return false
		}
	}
	return len(f) == len(t)
}

func FuzzMatches(f *testing.F) {
	f.Add("a/+/#", "a/b")
	f.Add("+", "$x")
	f.Add("//", "//")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if checkFilter(filter) != nil || checkTopic(topic) != nil {
			return
		}
		if got, want := matches(filter, topic), matchesPlainly(filter, topic); got != want {
			t.Errorf("matches(%q, %q) = %v", filter, topic, got)
		}
	})
}
