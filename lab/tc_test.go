package lab

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/thinlink/thinlink/measure"
	"github.com/thinlink/thinlink/netem"
	"github.com/thinlink/thinlink/netem/tc"
	"github.com/thinlink/thinlink/netem/vnet/tcp"
	"github.com/thinlink/thinlink/profiles"
)

// kernelRuns expands runs of engine tc.
func kernelRuns(t *testing.T, m Matrix) []*Run {
	t.Helper()
	m.Engines, m.Seeds = []string{"tc"}, []uint64{1}
	runs, err := Expand(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := Certify(runs); err != nil {
		t.Fatal(err)
	}
	return runs
}

// Linux's own TCP is left alone; lwIP's differs in what sysctls can say.
func TestTCPSysctls(t *testing.T) {
	if got := tcpSysctls(tcp.Linux()); len(got) > 0 {
		t.Errorf("Linux's own settings are touched: %v", got)
	}
	want := map[string]string{
		"ipv4/tcp_congestion_control": "reno", "ipv4/tcp_sack": "0", "ipv4/tcp_dsack": "0", "ipv4/tcp_timestamps": "0",
		"ipv4/tcp_window_scaling": "0", "ipv4/tcp_slow_start_after_idle": "0", "ipv4/tcp_recovery": "0",
		"ipv4/tcp_early_retrans": "0", "ipv4/tcp_frto": "0", "ipv4/tcp_synack_retries": "6", "ipv4/tcp_retries2": "12",
		"ipv4/tcp_rmem": "4096 10544 10544", "ipv4/tcp_wmem": "4096 10544 10544",
	}
	if diff := cmp.Diff(want, tcpSysctls(tcp.LwIP())); diff != "" {
		t.Error(diff)
	}
}

// The profile's part tc stands in for grants, and only for them.
func TestKernelLink(t *testing.T) {
	grants := &netem.GrantConfig{TBS: 1000, Data: time.Millisecond}
	run := &Run{
		Engine: "tc",
		Link:   netem.Config{Up: netem.DirectionConfig{Delay: time.Second}, Radio: &netem.RadioConfig{Up: grants, Down: grants}},
		TC:     profiles.TC{Up: profiles.TCDirection{Rate: 8000, Delay: time.Second}, Down: profiles.TCDirection{Rate: 8000, Delay: time.Second}},
	}
	run.Link.Down.Rate = 16000
	link := run.kernelLink()
	if link.Up.Rate != 8000 || link.Up.Delay != 2*time.Second || link.Down.Rate != 16000 || link.Down.Delay != 0 {
		t.Errorf("got %+v", link)
	}
	if run.Link.Up.Rate != 0 {
		t.Error("the run's own link has changed")
	}
	run.TC = profiles.TC{}
	var noRate *tc.NoRateError
	if err := run.CheckKernel(); !errors.As(err, &noRate) {
		t.Errorf("grants without a part tc: %v", err)
	}
}

// Every built-in profile can run on the kernel, and says what that leaves out.
func TestKernelProfiles(t *testing.T) {
	for _, run := range kernelRuns(t, Matrix{Scenarios: []string{"ping"}, Stacks: []string{"udp"}, Profiles: profiles.Names()}) {
		_, warnings, err := run.KernelPlan()
		if err != nil {
			t.Errorf("%s: %v", run.Profile, err)
		}
		radio := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "radio.rrc") })
		if want := run.Link.Radio != nil && run.Link.Radio.RRC != nil; radio != want {
			t.Errorf("%s: warnings %q", run.Profile, warnings)
		}
	}
}

// TestKernelRuns executes runs on engine tc; make test-kernel runs it in a
// virtual machine.
func TestKernelRuns(t *testing.T) {
	dir := t.TempDir()
	runs := kernelRuns(t, Matrix{
		Scenarios: []string{"bulk"}, Stacks: []string{"tcp"}, Profiles: []string{"ethernet"}, Out: dir,
		Sets: []Setting{{"link.rate", "100kbit"}, {"link.delay", "100ms"}, {"link.loss", "10%"}, {"size", "100KiB"}},
	})
	for _, set := range []Setting{{"ip", "6"}, {"tcp.device.personality", "lwip"}} {
		other := *runs[0]
		if err := other.Stack.Set(set.Path, set.Value); err != nil {
			t.Fatal(err)
		}
		other.Scenario.Name = "bulk-" + set.Value
		runs = append(runs, &other)
	}
	for _, run := range runs {
		res, err := Kernel{}.Execute(t.Context(), run, func(Progress) {})
		var missing *tc.MissingError
		if errors.As(err, &missing) && os.Getenv("THINLINK_VM") == "" {
			t.Skipf("this machine lacks something (make test-kernel runs it in a virtual one): %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		checkKernelRun(t, run, res, dir)
	}
}

func checkKernelRun(t *testing.T, run *Run, res *measure.Result, dir string) {
	t.Helper()
	name := run.Scenario.Name
	// 100 KiB at 100 kbit/s are 8.7 s with headers, and some time-outs in a row
	// at a loss of 10 %.
	if !res.Completed || res.CompletionS < 8.6 || res.CompletionS > 120 {
		t.Errorf("%s: completed %v in %.2f s: %s", name, res.Completed, res.CompletionS, res.Error)
	}
	if res.Down.Packets < 70 || res.Down.Packets > 130 || res.Down.Dropped == 0 || res.Retransmissions.TCP == 0 {
		t.Errorf("%s: %+v, %+v", name, res.Down, res.Retransmissions)
	}
	if res.Bulk == nil || res.Bulk.Bytes != 100<<10 || res.Bulk.RateBPS < 7_000 || res.Bulk.RateBPS > 101_000 {
		t.Errorf("%s: %+v", name, res.Bulk)
	}
	// A connection's last segments may be sent again after it was closed.
	if k := res.Kernel; k == nil || k.TCPRetransmissions > res.Retransmissions.TCP || k.TCPRetransmissions < res.Retransmissions.TCP-2 {
		t.Errorf("%s: the capture counts %d retransmissions, the kernel %+v", name, res.Retransmissions.TCP, k)
	}
	again, err := measure.ReadTrace(dir+"/"+res.Files.PCAPNG, dir+"/"+res.Files.Events)
	if err != nil {
		t.Fatal(err)
	}
	if got := measure.Judge(again); got.Down != res.Down || got.Up != res.Up {
		t.Errorf("%s: the capture counts %+v and %+v", name, got.Up, got.Down)
	}
	closed := 0
	for _, e := range again.Events {
		if e.Kind == eventTCPClosed {
			closed++
		}
	}
	if closed != 2 {
		t.Errorf("%s: %d connections told what they came to, want 2", name, closed)
	}
}
