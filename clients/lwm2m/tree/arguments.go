package tree

import "strings"

// Argument is one argument of an execution: a digit, perhaps with a value.
type Argument struct {
	ID       byte // 0 to 9
	Value    string
	HasValue bool
}

// ParseArguments reads arglist of section 6.3.5: digits, each with an optional
// quoted value, separated by commas.
func ParseArguments(s string) (args []Argument, err error) {
	for s != "" {
		if len(args) > 0 {
			if s[0] != ',' || len(s) == 1 {
				return nil, errArguments
			}
			s = s[1:]
		}
		if s[0] < '0' || s[0] > '9' {
			return nil, errArguments
		}
		a := Argument{ID: s[0] - '0'}
		s = s[1:]
		if quoted, ok := strings.CutPrefix(s, "='"); ok {
			a.HasValue = true
			if a.Value, s, ok = strings.Cut(quoted, "'"); !ok || strings.IndexFunc(a.Value, notArgument) >= 0 {
				return nil, errArguments
			}
		}
		args = append(args, a)
	}
	return args, nil
}

// notArgument tells the characters that values of arguments do not have.
func notArgument(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
