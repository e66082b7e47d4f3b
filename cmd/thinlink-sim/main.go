// Command thinlink-sim is the virtual-time worker: it executes one run and
// ends. It is built with CGO_ENABLED=0 -tags faketime, so that the Go
// runtime's clock jumps to the next timer whenever every goroutine waits.
//
// It reads the run from standard input and writes results to descriptor 3;
// thinlink starts it, people do not.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/thinlink/thinlink/lab"
)

func main() {
	// Ctrl-C reaches the whole process group; thinlink decides what it means.
	signal.Ignore(os.Interrupt)
	// A run lives for a fraction of a second: garbage is collected late, but
	// not never, because fresh memory costs page faults.
	debug.SetGCPercent(800)
	debug.SetMemoryLimit(150 << 20)
	if err := lab.ServeWorker(context.Background(), os.Stdin, os.NewFile(3, "results")); err != nil {
		fmt.Fprintln(os.Stderr, "thinlink-sim:", err)
		os.Exit(1)
	}
}
