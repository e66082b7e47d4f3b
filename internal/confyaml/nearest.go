package confyaml

import "strings"

// Nearest is the name closest to what somebody wrote, "" if none is close: at
// most a third of its letters are added, left out, changed or swapped with
// their neighbour.
func Nearest(written string, names []string) string {
	if len(written) > 64 {
		return ""
	}
	written = strings.ToLower(written)
	best, bestDistance := "", len(written)/3+2
	for _, name := range names {
		if d := distance(written, strings.ToLower(name)); d < bestDistance && d < len(name) {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is the optimal string alignment distance in bytes.
func distance(a, b string) int {
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		two, one, row = one, row, two
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := one[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, one[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
