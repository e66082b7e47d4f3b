package tun

import "fmt"

// MissingError says what the machine lacks, and how to get it.
type MissingError struct{ What, Fix string }

func (e *MissingError) Error() string { return fmt.Sprintf("%s: %s", e.What, e.Fix) }
