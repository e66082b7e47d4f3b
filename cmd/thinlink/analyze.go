package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/report"
)

func newAnalyze() *cobra.Command {
	var device, keys string
	var asJSON, paper bool
	cmd := &cobra.Command{
		Use:   "analyze CAPTURE",
		Short: "count a capture that anybody made, by the same rules",
		Long: `Count packets, bytes by direction and layer, and retransmissions of a pcap or
pcapng: Ethernet, raw IP or Linux cooked. With the TLS and DTLS secrets, inside
the capture or in a key log, bytes are split down to the payload.`,
		Example: `  thinlink analyze results/nbiot-ota-mqtt-https-sim-s1.pcapng
  thinlink analyze router.pcap --device 192.168.1.23 --paper --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt := measure.OpenOptions{}
			var err error
			if device != "" {
				if opt.Device, err = netip.ParseAddr(device); err != nil {
					return fmt.Errorf("--device %q: want an IP address", device)
				}
			}
			if keys != "" {
				if opt.KeyLog, err = os.ReadFile(keys); err != nil {
					return fmt.Errorf("--keys: %w", err)
				}
			}
			trace, err := measure.Open(args[0], opt)
			if err != nil {
				return err
			}
			if paper {
				trace = measure.PaperRule(trace)
			}
			return writeAnalysis(cmd.OutOrStdout(), args[0], trace, asJSON)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&device, "device", "", "the device's IP address (default: guessed)")
	fl.StringVar(&keys, "keys", "", "key log in NSS format")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	fl.BoolVar(&paper, "paper", false, "count as the reference experiment did: only TCP and UDP between device and platform")
	return cmd
}

// analysis is what analyze prints as JSON: a run's counts and the traffic's
// shape.
type analysis struct {
	Capture         string                  `json:"capture"`
	Device          netip.Addr              `json:"device"`
	WindowS         float64                 `json:"window_s"`
	Up              measure.Counts          `json:"up"`
	Down            measure.Counts          `json:"down"`
	Retransmissions measure.Retransmissions `json:"retransmissions"`
	Layers          measure.Layers          `json:"layers"`
	Traffic         *measure.Traffic        `json:"traffic"`
	Warnings        []string                `json:"warnings"`
}

func writeAnalysis(w io.Writer, name string, trace *measure.Trace, asJSON bool) error {
	res := measure.Judge(trace)
	traffic := measure.Describe(trace, 100, time.Second)
	if asJSON {
		return json.NewEncoder(w).Encode(analysis{
			Capture: name, Device: trace.Device, WindowS: res.WindowS, Up: res.Up, Down: res.Down,
			Retransmissions: res.Retransmissions, Layers: res.Layers, Traffic: traffic, Warnings: res.Warnings,
		})
	}
	return report.Capture(w, name, trace.Device.String(), &res, traffic)
}
