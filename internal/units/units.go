// Package units holds the quantities people write in profiles and on the
// command line. Values are in base units; text forms scale at the edge.
package units

// BitRate is a data rate in bit/s. Text: "26kbit", "1.2Mbit", "2430bit".
type BitRate int64

// Bytes is a size in bytes. Text: "16KiB", "1MiB", "972000", "10kB".
type Bytes int64

// Fraction is a share between 0 and 1. Text: "0.5%", "0.005".
type Fraction float64
