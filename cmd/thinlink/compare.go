package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/report"
)

func newCompare() *cobra.Command {
	var out string
	var asJSON, all bool
	var level float64
	cmd := &cobra.Command{
		Use:   "compare A B | DIR A B",
		Short: "say which differences between two sets of results are significant",
		Long: `Compare two directories of results, cell by cell: A and B are directories, or
directories, stacks or profiles in DIR. Whatever is constant on each side but
not the same, such as a version or an override, is what is compared; cells
that only one side has are listed.`,
		Example: `  thinlink compare before after
  thinlink compare results mqtt-https lwm2m-coap-pull
  thinlink compare before after --json | jq '.differences[] | select(.verdict == "more")'`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if level <= 0 || level >= 1 {
				return fmt.Errorf("--level %g: want a number between 0 and 1", level)
			}
			a, b, err := sides(args)
			if err != nil {
				return err
			}
			c := report.Compare(a, b, level)
			if out != "" {
				if err := writePage(cmd.ErrOrStderr(), out, func(w io.Writer) error { return report.CompareHTML(w, c) }); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(c)
			}
			stdout := cmd.OutOrStdout()
			return report.CompareText(stdout, c, all, report.Style{Color: isTerminal(stdout)})
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&out, "output", "o", "", "also write the comparison as an HTML page to this file")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	fl.BoolVar(&all, "all", false, "print every difference, not only the significant ones")
	fl.Float64Var(&level, "level", report.DefaultLevel, "share of the differences called significant that may be chance")
	return cmd
}

// sides finds what two or three arguments name.
func sides(args []string) (a, b report.Side, err error) {
	if len(args) == 2 {
		return folders(args[0], args[1])
	}
	dir, nameA, nameB := args[0], args[1], args[2]
	if holdsResults(filepath.Join(dir, nameA)) && holdsResults(filepath.Join(dir, nameB)) {
		return folders(filepath.Join(dir, nameA), filepath.Join(dir, nameB))
	}
	f, err := report.Load(dir)
	if err != nil {
		return a, b, err
	}
	for _, of := range []func(*report.Record) string{
		func(r *report.Record) string { return r.Stack },
		func(r *report.Record) string { return r.Profile },
	} {
		a, b = side(f, nameA, of), side(f, nameB, of)
		if len(a.Records) > 0 && len(b.Records) > 0 {
			return a, b, nil
		}
	}
	return a, b, fmt.Errorf("%s has no results of both %q and %q: want two directories in it, or two of its stacks (%q) or profiles (%q)", dir, nameA, nameB,
		names(f, func(r *report.Record) string { return r.Stack }), names(f, func(r *report.Record) string { return r.Profile }))
}

func folders(dirA, dirB string) (a, b report.Side, err error) {
	fa, err := report.Load(dirA)
	if err != nil {
		return a, b, err
	}
	fb, err := report.Load(dirB)
	if err != nil {
		return a, b, err
	}
	return report.Side{Name: dirA, Records: fa.Records}, report.Side{Name: dirB, Records: fb.Records}, nil
}

func holdsResults(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, report.ResultsFile))
	return err == nil
}

func side(f *report.Folder, name string, of func(*report.Record) string) report.Side {
	s := report.Side{Name: name}
	for _, r := range f.Records {
		if of(r) == name {
			s.Records = append(s.Records, r)
		}
	}
	return s
}

func names(f *report.Folder, of func(*report.Record) string) (list []string) {
	for _, r := range f.Records {
		if !slices.Contains(list, of(r)) {
			list = append(list, of(r))
		}
	}
	return list
}
