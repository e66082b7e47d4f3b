package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/report"
)

func newReport() *cobra.Command {
	var out, svg, png, csv, parquet string
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "show a directory of results as one HTML page",
		Long: `Write one HTML page about the results that thinlink run -o or thinlink sweep left
in a directory: the matrix as heat maps, completion time against loss, wasted
bytes, bytes by layer and direction, single runs' packets, and a table of all
cells. The page loads nothing else and works from a file, on a phone and in
print.`,
		Example: `  thinlink report results
  thinlink report results -o report.html --svg figures
  thinlink report results -o - | gzip > report.html.gz`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := report.Load(args[0])
			if err != nil {
				return err
			}
			if out == "" {
				out = filepath.Join(args[0], "report.html")
			}
			if err := writePage(cmd.OutOrStdout(), out, func(w io.Writer) error { return report.HTML(w, f) }); err != nil {
				return err
			}
			for _, table := range []struct {
				name  string
				write func(io.Writer, *report.Folder) error
			}{{csv, report.WriteCSV}, {parquet, report.WriteParquet}} {
				if table.name == "" {
					continue
				}
				if err := writePage(cmd.OutOrStdout(), table.name, func(w io.Writer) error { return table.write(w, f) }); err != nil {
					return err
				}
			}
			return writeCharts(cmd.ErrOrStderr(), f, svg, png)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&out, "output", "o", "", "the page's file; - is standard output (default: report.html in DIR)")
	fl.StringVar(&svg, "svg", "", "directory for the charts as SVG files")
	fl.StringVar(&png, "png", "", "directory for the charts as PNG files")
	fl.StringVar(&csv, "csv", "", "file for the results as CSV, one row per run")
	fl.StringVar(&parquet, "parquet", "", "file for the results as Parquet")
	return cmd
}

// writeCharts writes the charts into the directories that are named.
func writeCharts(stderr io.Writer, f *report.Folder, svg, png string) error {
	for _, to := range []struct{ format, dir string }{{"svg", svg}, {"png", png}} {
		if to.dir == "" {
			continue
		}
		names, err := report.Plots(to.dir, to.format, f)
		if err != nil {
			return &exitError{exitMachine, err}
		}
		fmt.Fprintf(stderr, "%s: %s\n", to.dir, countOf(len(names), "chart"))
	}
	return nil
}

func countOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// writePage writes a file in one go: a page that failed half-way is no page.
func writePage(stdout io.Writer, name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return &exitError{exitMachine, err}
	}
	if name == "-" {
		_, err := stdout.Write(b.Bytes())
		return err
	}
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		return &exitError{exitMachine, err}
	}
	_, err := fmt.Fprintf(stdout, "%s\n", name)
	return err
}
