package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/report"
)

// provenance is what every run of a command shares: with it, results that
// several commands put into one directory stay apart.
type provenance struct {
	command, interrupt string
	set                map[string]string
}

func newProvenance(cmd *cobra.Command, args []string, sets []lab.Setting, interrupt string) provenance {
	p := provenance{command: commandLine(cmd, args), interrupt: interrupt, set: make(map[string]string)}
	for _, s := range sets {
		p.set[s.Path] = s.Value
	}
	return p
}

func (p *provenance) record(res *measure.Result) *report.Record {
	return &report.Record{Result: *res, Version: version, Command: p.command, Set: p.set, Interrupt: p.interrupt}
}

// withoutEffect are flags that change no result.
var withoutEffect = []string{"output", "json", "jobs", "hang"}

// commandLine is what to type to get the same results.
func commandLine(cmd *cobra.Command, args []string) string {
	parts := append([]string{cmd.CommandPath()}, args...)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
			if f.Value.Type() != "stringArray" { // takes a list at once
				values = []string{strings.Join(values, ",")}
			}
		}
		if slices.Contains(withoutEffect, f.Name) {
			return
		}
		for _, v := range values {
			parts = append(parts, "--"+f.Name+"="+v)
		}
	})
	for i, part := range parts {
		if strings.ContainsAny(part, " \t\n\"'$&;|<>*?()`\\#") && i > 0 {
			parts[i] = "'" + strings.ReplaceAll(part, "'", `'\''`) + "'"
		}
	}
	return strings.Join(parts, " ")
}
