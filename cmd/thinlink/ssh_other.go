//go:build !linux

package main

import (
	"os/exec"

	"github.com/thinlink/thinlink/netem/tc"
)

// carriesSSH is asked before shaping, which there is none of here.
func carriesSSH(string) (bool, error) { return false, tc.ErrNotLinux }

func detach(*exec.Cmd) {}
