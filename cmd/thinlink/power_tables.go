package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/power"
	"github.com/thinlink/thinlink/profiles"
)

func seconds(s float64) string { return units.FormatDuration(time.Duration(s * float64(time.Second))) }

func newModules() *cobra.Command {
	cmd := &cobra.Command{Use: "modules", Short: "list and show module models", Args: cobra.NoArgs}
	var format string
	show := &cobra.Command{
		Use:               "show NAME",
		Short:             "print a module's currents with the source of each",
		Example:           "  thinlink power modules show nrf9160\n  thinlink power modules show nrf9160 --format yaml > my-module.yaml",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeArgs(power.Names),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format == "yaml" {
				data, err := power.File(args[0])
				if err == nil {
					_, err = cmd.OutOrStdout().Write(data)
				}
				return err
			}
			m, err := power.Load(args[0])
			if err != nil {
				return err
			}
			return m.WriteShow(cmd.OutOrStdout(), format)
		},
	}
	show.Flags().StringVar(&format, "format", "text", "text, yaml or json")
	cmd.AddCommand(show, &cobra.Command{
		Use:   "ls",
		Short: "list the built-in module models",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd.OutOrStdout(), power.Names(), func(name string) (string, error) {
				m, err := power.Load(name)
				if err != nil {
					return "", err
				}
				return m.Title, nil
			})
		},
	})
	return cmd
}

// exchangeFlags are what thinlink power exchange takes.
type exchangeFlags struct {
	profiles, modules []string
	payload           int
	count             int
	seed              uint64
	sets              []string
	json              bool
}

func newExchange() *cobra.Command {
	var f exchangeFlags
	cmd := &cobra.Command{
		Use:   "exchange",
		Short: "energy of one small exchange and of a tracking area update, with and without release assistance",
		Long: `Send one UDP datagram to an echo server, from idle back to idle, over the link
model alone, many times. Medians are printed, as measurement studies do.`,
		Example: `  thinlink power exchange
  thinlink power exchange -p nbiot,ltem --module nrf9160 --payload 512`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.OutOrStdout()) },
	}
	fl := cmd.Flags()
	fl.StringSliceVarP(&f.profiles, "profile", "p", []string{"nbiot-network-a", "nbiot-network-b", "nbiot", "ltem"}, "link profiles: names or files")
	fl.StringSliceVar(&f.modules, "module", power.Names(), "module models: names or files; those that do not speak a profile's technology are left out")
	fl.IntVar(&f.payload, "payload", 20, "bytes of UDP payload, each way")
	fl.IntVar(&f.count, "count", 1000, "exchanges")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the link")
	fl.StringArrayVar(&f.sets, "set", nil, "override a profile's value, for example radio.rrc.inactivity=10s; repeats")
	fl.BoolVar(&f.json, "json", false, "print one JSON object per profile and module")
	complete(cmd, "profile", profiles.Names)
	complete(cmd, "module", power.Names)
	return cmd
}

// exchange is one line of the table; energies in J, times in s.
type exchange struct {
	Profile   string       `json:"profile"`
	Module    string       `json:"module"`
	Payload   int          `json:"payload_bytes"`
	EnergyJ   power.Sample `json:"energy_j"`
	DurationS power.Sample `json:"duration_s"`
	ByState   power.States `json:"by_state_j"` // means
	RAIJ      power.Sample `json:"rai_energy_j"`
	TAUJ      power.Sample `json:"tau_energy_j"`
	TAUS      power.Sample `json:"tau_duration_s"`
}

func (f *exchangeFlags) run(w io.Writer) error {
	if f.payload < 0 || f.payload > 1232 || f.count < 1 || f.count > 1_000_000 {
		return fmt.Errorf("--payload %d --count %d: want 0 to 1232 bytes and 1 to 1000000 exchanges", f.payload, f.count)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if !f.json {
		fmt.Fprintf(table, "profile\tmodule\t%d B exchange\ttime\tsaved by RAI\twith RAI\tTAU\ttime\n", f.payload)
	}
	rows := 0
	for _, profile := range f.profiles {
		for _, module := range f.modules {
			e, err := f.measure(profile, module)
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			rows++
			if f.json {
				if err := json.NewEncoder(w).Encode(e); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%.1f s\t%.0f %%\t%s\t%s\t%.1f s\n", profile, e.Module, joules(e.EnergyJ.Median), e.DurationS.Median,
				100*(1-e.RAIJ.Median/e.EnergyJ.Median), joules(e.RAIJ.Median), joules(e.TAUJ.Median), e.TAUS.Median)
		}
	}
	if rows == 0 {
		return fmt.Errorf("no module of %v speaks a technology of %v", f.modules, f.profiles)
	}
	return table.Flush()
}

// measure is nil if the module does not speak the profile's technology.
func (f *exchangeFlags) measure(profile, module string) (*exchange, error) {
	link, err := f.load(profile)
	if err != nil {
		return nil, err
	}
	m, err := power.Load(module)
	if err != nil {
		return nil, err
	}
	if _, speaks := m.Modes[link.Technology]; !speaks {
		return nil, nil
	}
	model, err := m.Model(link.Technology, link.Power.TxDBM)
	if err != nil {
		return nil, err
	}
	e := &exchange{Profile: link.Name, Module: m.Name, Payload: f.payload}
	echo := power.Echo(f.payload, f.count)
	plain, err := echo.Run(link.Netem(), &model, f.seed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profile, err)
	}
	e.EnergyJ, e.DurationS, e.ByState = plain.EnergyJ, plain.DurationS, plain.States
	for _, set := range lab.RAI() {
		if err := link.Set(set.Path, set.Value); err != nil {
			return nil, fmt.Errorf("%s: %w", profile, err)
		}
	}
	rai, err := echo.Run(link.Netem(), &model, f.seed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profile, err)
	}
	e.RAIJ = rai.EnergyJ
	cfg := link.Netem()
	radio := *cfg.Radio
	if cfg.Radio = &radio; radio.PSM == nil || radio.PSM.T3412 == 0 {
		radio.PSM = power.DefaultPSM(link.Technology)
	}
	tau, err := power.Probe{Count: f.count}.Run(cfg, &model, f.seed)
	if err != nil {
		return nil, fmt.Errorf("%s: tracking area update: %w", profile, err)
	}
	e.TAUJ, e.TAUS = tau.EnergyJ, tau.DurationS
	return e, nil
}

func (f *exchangeFlags) load(profile string) (*profiles.Profile, error) {
	link, err := profiles.Load(profile)
	if err != nil {
		return nil, err
	}
	for _, s := range f.sets {
		set, err := lab.ParseSetting(s)
		if err != nil {
			return nil, err
		}
		if err := link.Set(set.Path, set.Value); err != nil {
			return nil, &lab.SettingError{Setting: set, Err: err}
		}
	}
	return link, link.Check()
}
