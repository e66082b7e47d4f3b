//go:build !linux

package main

import (
	"errors"
	"runtime"
)

// machine looks at what engines depend on: here all but sim are missing.
func machine() []finding {
	return []finding{{thing: "kernel", state: runtime.GOOS + " on " + runtime.GOARCH}, writable()}
}

func freeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }
