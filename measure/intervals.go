package measure

import "sort"

// intervals is a set of integers as sorted, disjoint, half-open ranges.
type intervals []interval

type interval struct{ from, to int64 }

// add puts [from, to) into the set and returns how many of its members are
// new.
func (s *intervals) add(from, to int64) (fresh int64) {
	if to <= from {
		return 0
	}
	set := *s
	// The usual case: at the end, or beyond it.
	if n := len(set); n == 0 || from > set[n-1].to {
		*s = append(set, interval{from, to})
		return to - from
	} else if last := &set[n-1]; from >= last.from {
		fresh = max(0, to-last.to)
		last.to = max(last.to, to)
		return fresh
	}
	i := sort.Search(len(set), func(i int) bool { return set[i].to >= from })
	j := i
	fresh = to - from
	merged := interval{from, to}
	for ; j < len(set) && set[j].from <= to; j++ {
		fresh -= max(0, min(to, set[j].to)-max(from, set[j].from))
		merged = interval{min(merged.from, set[j].from), max(merged.to, set[j].to)}
	}
	if i == j {
		set = append(set, interval{})
		copy(set[i+1:], set[i:])
		set[i] = merged
	} else {
		set[i] = merged
		set = append(set[:i+1], set[j:]...)
	}
	*s = set
	return fresh
}

// contains reports whether all of [from, to) is in the set.
func (s intervals) contains(from, to int64) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].to >= to })
	return i < len(s) && s[i].from <= from
}
