package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/profiles"
)

func newProfiles() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profiles",
		Short: "list, show and check link profiles",
		Args:  cobra.NoArgs,
	}
	var format, engine string
	show := &cobra.Command{
		Use:   "show NAME",
		Short: "print a profile with the source of every number",
		Example: `  thinlink profiles show nbiot
  thinlink profiles show nbiot --format yaml > my-link.yaml
  thinlink profiles show nbiot --engine tc`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeArgs(profiles.Names),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := profiles.Load(args[0])
			if err != nil {
				return err
			}
			if engine != "" {
				return showKernel(cmd.OutOrStdout(), p, engine)
			}
			return p.WriteShow(cmd.OutOrStdout(), format)
		},
	}
	show.Flags().StringVar(&format, "format", "text", "text, yaml or json")
	show.Flags().StringVar(&engine, "engine", "", "print what engine tc or vm makes of the profile instead")
	cmd.AddCommand(show,
		&cobra.Command{
			Use:   "ls",
			Short: "list the built-in profiles",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return list(cmd.OutOrStdout(), profiles.Names(), func(name string) (string, error) {
					p, err := profiles.Load(name)
					if err != nil {
						return "", err
					}
					return p.Title, nil
				})
			},
		},
		&cobra.Command{
			Use:   "check FILE...",
			Short: "say what is wrong in profile files",
			Args:  cobra.MinimumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				for _, file := range args {
					p, err := profiles.Load(file)
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s: profile %s is valid\n", file, p.Name)
				}
				return nil
			},
		},
		&cobra.Command{
			Use:   "schema",
			Short: "print the JSON Schema of profile files, for editors",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return printSchema(cmd, profiles.Schema)
			},
		})
	return cmd
}

// newStacks and newScenarios let users copy a built-in file and vary it.
func newStacks() *cobra.Command {
	return library("stacks", "stack", lab.StackNames, lab.StackTitle, lab.StackFile)
}

func newScenarios() *cobra.Command {
	return library("scenarios", "scenario", lab.ScenarioNames, lab.ScenarioTitle, lab.ScenarioFile)
}

func library(plural, noun string, names func() []string, title func(string) (string, error), file func(string) ([]byte, error)) *cobra.Command {
	cmd := &cobra.Command{Use: plural, Short: "list and show " + plural, Args: cobra.NoArgs}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "ls",
			Short: "list the built-in " + plural,
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return list(cmd.OutOrStdout(), names(), title)
			},
		},
		&cobra.Command{
			Use:               "show NAME",
			Short:             "print the YAML of a " + noun + ", to copy and vary",
			Example:           "  thinlink " + plural + " show " + names()[0] + " > my.yaml",
			Args:              cobra.ExactArgs(1),
			ValidArgsFunction: completeArgs(names),
			RunE: func(cmd *cobra.Command, args []string) error {
				data, err := file(args[0])
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(data)
				return err
			},
		})
	return cmd
}

func list(w io.Writer, names []string, title func(string) (string, error)) error {
	for _, name := range names {
		t, err := title(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%-20s  %s\n", name, t); err != nil {
			return err
		}
	}
	return nil
}

func completeArgs(names func() []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(), cobra.ShellCompDirectiveDefault
	}
}

// fileUnless wants the name of one file, unless the flag asks for something
// that needs none.
func fileUnless(flag *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if *flag {
			return cobra.NoArgs(cmd, args)
		}
		return cobra.ExactArgs(1)(cmd, args)
	}
}

// printSchema writes a JSON Schema, for editors.
func printSchema(cmd *cobra.Command, schema func() ([]byte, error)) error {
	b, err := schema()
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(b)
	return err
}
