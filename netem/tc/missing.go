package tc

// MissingError says what the machine lacks for the kernel's netem, and the
// command that gets it.
type MissingError struct {
	What string // what is not there
	Fix  string // a command or a sentence
}

func (e *MissingError) Error() string { return e.What + ": " + e.Fix }

// ErrNotLinux is why only planning works on other systems.
var ErrNotLinux error = &MissingError{"this needs the Linux kernel", "use --engine sim"}
