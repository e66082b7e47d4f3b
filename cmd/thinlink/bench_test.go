package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/thinlink/thinlink/measure"
)

// BenchmarkUpdate is the whole of a firmware update over NB-IoT at 2 % loss,
// the worker's start included: virtual seconds per real second. Run it on one
// core (taskset -c 0) to compare figures.
func BenchmarkUpdate(b *testing.B) {
	for _, stack := range []string{"mqtt-https", "lwm2m-coap-pull"} {
		b.Run(stack, func(b *testing.B) {
			b.Setenv("THINLINK_SIM", worker)
			virtual, wall := 0., 0.
			for b.Loop() {
				var stdout, stderr bytes.Buffer
				status := run(b.Context(), []string{"run", "ota", "-p", "nbiot", "--stack", stack, "--set", "link.loss=2%", "--json"}, nil, &stdout, &stderr)
				var r measure.Result
				if err := json.Unmarshal(stdout.Bytes(), &r); status != exitOK || err != nil {
					b.Fatalf("status %d: %s %v", status, &stderr, err)
				}
				virtual += r.CompletionS
				wall += r.WallS
			}
			b.ReportMetric(virtual/wall, "virtual_s/s")
		})
	}
}

// BenchmarkStart is what a process of its own costs a run that does next to
// nothing.
func BenchmarkStart(b *testing.B) {
	b.Setenv("THINLINK_SIM", worker)
	for b.Loop() {
		var stdout, stderr bytes.Buffer
		if status := run(b.Context(), []string{"run", "ping", "-p", "nbiot", "--set", "trains=1", "--set", "count=1", "--json"}, nil, &stdout, &stderr); status != exitOK {
			b.Fatalf("status %d: %s", status, &stderr)
		}
	}
}
