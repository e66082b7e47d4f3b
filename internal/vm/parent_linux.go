package vm

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the machine with this program, however that ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
