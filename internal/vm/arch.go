package vm

import (
	"fmt"
	"os/exec"
	"runtime"
)

// MissingError says what the machine lacks, and the command that gets it.
type MissingError struct{ What, Fix string }

func (e *MissingError) Error() string { return e.What + ": " + e.Fix }

// Architecture is a guest's.
type Architecture struct {
	Name    string // Go's and Debian's: amd64, arm64
	program string // QEMU's
	pkg     string // Debian's package of it
	kernel  string // the package that depends on the current kernel
	suffix  string // of that kernel's release
	machine []string
	console string
}

var architectures = map[string]*Architecture{
	"amd64": {
		Name: "amd64", program: "qemu-system-x86_64", pkg: "qemu-system-x86", kernel: "linux-image-cloud-amd64", suffix: "-cloud-amd64",
		machine: []string{"-M", "pc", "-cpu", "max"}, console: "ttyS0,115200",
	},
	"arm64": {
		Name: "arm64", program: "qemu-system-aarch64", pkg: "qemu-system-arm", kernel: "linux-image-cloud-arm64", suffix: "-cloud-arm64",
		machine: []string{"-M", "virt,gic-version=3", "-cpu", "cortex-a72"}, console: "ttyAMA0,115200",
	},
}

// ArchitectureOf finds a guest architecture by Go's name for it.
func ArchitectureOf(name string) (*Architecture, error) {
	a, ok := architectures[name]
	if !ok {
		return nil, &MissingError{"engine vm has no guest for " + name, "use it on amd64 or arm64"}
	}
	return a, nil
}

// Generic is the architecture with the kernel for real machines, which is
// larger and has the drivers that the one for clouds lacks.
func (a *Architecture) Generic() *Architecture {
	g := *a
	g.kernel, g.suffix = "linux-image-"+a.Name, "-"+a.Name
	return &g
}

// Native is this program's architecture.
func Native() (*Architecture, error) { return ArchitectureOf(runtime.GOARCH) }

// Check says whether the emulator is there, as a *MissingError if not.
func (a *Architecture) Check() error {
	_, err := a.qemu()
	return err
}

// qemu finds the emulator.
func (a *Architecture) qemu() (string, error) {
	path, err := exec.LookPath(a.program)
	if err != nil {
		return "", &MissingError{
			fmt.Sprintf("engine vm needs %s", a.program),
			"sudo apt-get install --no-install-recommends " + a.pkg,
		}
	}
	return path, nil
}
