package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan writes the man pages; completion is cobra's own command.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "write the man pages into a directory",
		Example: "  thinlink man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return err
			}
			date := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{
				Title: "THINLINK", Section: "1", Source: "thinlink " + version, Date: &date,
			}, args[0])
		},
	}
}
