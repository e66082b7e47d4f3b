package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/thinlink/thinlink/lab"
	"github.com/thinlink/thinlink/measure"
)

// thinlink runs the command with the test's worker and returns its results.
func thinlink(t *testing.T, args ...string) []measure.Result {
	t.Helper()
	t.Setenv("THINLINK_SIM", worker)
	var stdout, stderr bytes.Buffer
	if status := run(context.Background(), append(args, "--json"), nil, &stdout, &stderr); status != exitOK {
		t.Fatalf("thinlink %v: status %d\n%s%s", args, status, &stderr, &stdout)
	}
	var results []measure.Result
	for line := range strings.Lines(stdout.String()) {
		var r measure.Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		results = append(results, r)
	}
	return results
}

// TestPaper holds the suite against the reference experiment: bytes within 15
// %, firmware updates within 3 %, and the same side is always the smaller.
func TestPaper(t *testing.T) {
	paper := map[[2]string]float64{
		{"connect", "mqtt"}: 14907, {"connect", "lwm2m"}: 4213,
		{"steady", "mqtt"}: 260, {"steady", "lwm2m"}: 179,
		{"observe", "mqtt"}: 15394, {"observe", "lwm2m"}: 1820,
		{"command", "mqtt-plain-topic"}: 217, {"command", "lwm2m"}: 181,
		{"ota", "mqtt-https"}: 1.11e6, {"ota", "lwm2m-coap-pull"}: 1.25e6, {"ota", "lwm2m-https-pull"}: 1.15e6,
	}
	packets := map[[2]string]int64{ // where the paper gives them
		{"steady", "mqtt"}: 3, {"steady", "lwm2m"}: 2, {"observe", "mqtt"}: 30, {"observe", "lwm2m"}: 10,
		{"command", "mqtt-plain-topic"}: 2, {"command", "lwm2m"}: 2,
	}
	ours := map[[2]string]float64{}
	for _, r := range thinlink(t, "run", "paper-2020", "-p", "ethernet") {
		key := [2]string{r.Scenario, r.Stack}
		ours[key] = float64(r.Up.BytesEthernet + r.Down.BytesEthernet)
		limit := .15
		if r.Scenario == "ota" {
			limit = .03
		}
		if diff := ours[key]/paper[key] - 1; math.Abs(diff) > limit {
			t.Errorf("%v: %.0f B, the paper's %.0f: %+.1f %%", key, ours[key], paper[key], 100*diff)
		}
		if want, ok := packets[key]; ok && r.Up.Packets+r.Down.Packets != want {
			t.Errorf("%v: %d packets, the paper's %d", key, r.Up.Packets+r.Down.Packets, want)
		}
		if l := r.Layers; l.IP+l.Transport+l.Security+l.Protocol+l.Payload != r.Up.Bytes+r.Down.Bytes {
			t.Errorf("%v: layers %+v do not add up to %d B", key, l, r.Up.Bytes+r.Down.Bytes)
		}
	}
	if len(ours) != len(paper) {
		t.Errorf("%d results, want %d", len(ours), len(paper))
	}
	for a, p := range paper {
		for b, q := range paper {
			if a[0] == b[0] && (p < q) != (ours[a] < ours[b]) && a != b {
				t.Errorf("order of %v and %v is not the paper's", a, b)
			}
		}
	}
}

// pcaps are the captures of a folder, by name.
func pcaps(t *testing.T, dir string) map[string]*measure.Trace {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	traces := map[string]*measure.Trace{}
	for _, f := range files {
		trace, err := measure.Open(f, measure.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		traces[filepath.Base(f)] = trace
	}
	return traces
}

// shape is what equal seeds must make equal: times, directions and sizes.
func shape(trace *measure.Trace) string {
	var b strings.Builder
	for _, p := range trace.Packets {
		fmt.Fprintf(&b, "%d %v %d %s\n", p.Time.Sub(trace.Start), p.Dir, len(p.Data), p.Lost)
	}
	return b.String()
}

// everything is one command line per scenario kind that covers every built-in
// stack.
func everything() [][]string {
	var mqtt, lwm2m, ota []string
	for _, s := range lab.StackNames() {
		switch {
		case s == "tcp" || s == "udp" || s == "icmp":
		case strings.Contains(s, "-") && s != "mqtt-plain-topic" && s != "mqtt-sn":
			ota = append(ota, s)
		case strings.HasPrefix(s, "mqtt"):
			mqtt = append(mqtt, s)
		default:
			lwm2m = append(lwm2m, s)
		}
	}
	return [][]string{
		{"connect,observe,command", "--stack", strings.Join(append(mqtt, lwm2m...), ",")},
		{"ota", "--stack", strings.Join(ota, ","), "--set", "image=64KiB"},
		{"ping", "--stack", "udp,icmp", "--set", "trains=3"},
		{"bulk", "--stack", "tcp,udp", "--set", "size=64KiB"},
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	for _, what := range everything() {
		t.Run(what[0], func(t *testing.T) {
			var all []map[string]*measure.Trace
			for _, seed := range []string{"7", "7", "8"} {
				dir := t.TempDir()
				args := append([]string{"run", "-p", "nbiot", "--set", "link.loss=5%", "--seed", seed, "-o", dir}, what...)
				thinlink(t, args...)
				all = append(all, pcaps(t, dir))
			}
			if len(all[0]) == 0 {
				t.Fatal("no captures")
			}
			for name, trace := range all[0] {
				if shape(trace) != shape(all[1][name]) {
					t.Errorf("%s differs between two runs of one seed", name)
				}
				other := all[2][strings.Replace(name, "-s7.", "-s8.", 1)]
				if other == nil || shape(trace) == shape(other) {
					t.Errorf("%s is the same with another seed", name)
				}
			}
		})
	}
}

// TestUpdatesComplete runs the paper's updates over NB-IoT with growing loss.
func TestUpdatesComplete(t *testing.T) {
	for _, loss := range []string{"0%", "2%", "5%", "10%"} {
		results := thinlink(t, "run", "ota", "-p", "nbiot", "--stack", "mqtt-https,lwm2m-coap-pull,lwm2m-https-pull", "--set", "link.loss="+loss)
		for _, r := range results {
			if !r.Completed || !r.OTA.SHA256OK || r.OTA.ReceivedBytes < r.OTA.ImageBytes {
				t.Errorf("loss %s, %s: %s %+v", loss, r.Stack, r.Error, r.OTA)
			}
		}
	}
}

func needTshark(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("THINLINK_REQUIRE_TSHARK") == "1" {
			t.Fatal("tshark is not installed (Debian package tshark)")
		}
		t.Skip("tshark is not installed (Debian package tshark): captures are not dissected")
	}
}

// tshark prints fields of the packets that match a filter.
func tshark(t *testing.T, file, filter string, fields ...string) []string {
	t.Helper()
	// By default Wireshark takes a segment that fills a gap for an overlap.
	args := []string{"-r", file, "-o", "tcp.reassemble_out_of_order:TRUE", "-d", "udp.port==1883,mqttsn", "-Y", filter, "-T", "fields", "-e", "frame.number"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark %v: %v", args, err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// TestTsharkEveryStack dissects the runs of every stack without a malformed
// packet, but for what tshark 4.0 does not know and calls malformed: options of
// CoAP's signalling messages (RFC 8323 section 5.2) and Request-Tag (RFC 9175
// section 3.2).
func TestTsharkEveryStack(t *testing.T) {
	needTshark(t)
	const malformed = `_ws.malformed && !(coap.code >= 225 && coap.code <= 229) && !(_ws.expert.message contains "Invalid Option Number 292")`
	for _, what := range everything() {
		dir := t.TempDir()
		for _, r := range thinlink(t, append([]string{"run", "-p", "nbiot", "--seed", "2", "-o", dir}, what...)...) {
			if lines := tshark(t, filepath.Join(dir, r.Files.PCAPNG), malformed, "_ws.col.Info"); len(lines) > 0 {
				t.Errorf("%s, %s: malformed: %q", r.Stack, r.Scenario, lines)
			}
		}
	}
}

// TestTshark asks the field's own dissector: it counts what we count, finds
// nothing malformed, and reads MQTT, MQTT-SN, CoAP and HTTP with the keys in the
// capture.
func TestTshark(t *testing.T) {
	needTshark(t)
	dir := t.TempDir()
	results := thinlink(t, "run", "paper-2020", "-p", "nbiot", "--set", "link.loss=3%", "--set", "image=128KiB", "--seed", "3", "-o", dir)
	results = append(results, thinlink(t, "run", "connect,observe,command", "-p", "nbiot", "--set", "link.loss=5%", "--seed", "5", "-o", dir,
		"--stack", "mqtt5,mqtt5-alias-cbor,mqtt-azure,mqtt-qos1,mqtt-sn,coap,https", "--set", "stack.mqttsn.security=nosec")...)
	const counted = `frame.interface_name == "window"`
	protocols := map[string]string{"mqtt-sn": "mqttsn", "https": "http", "coap": "coap"}
	for _, r := range results {
		file := filepath.Join(dir, r.Files.PCAPNG)
		lines := tshark(t, file, counted, "ip.len")
		bytes := int64(0)
		for _, line := range lines {
			// An ICMP error holds the IP header it is about too, after a comma.
			length, _, _ := strings.Cut(strings.Fields(line)[1], ",")
			n, err := strconv.ParseInt(length, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			bytes += n
		}
		if p := r.Up.Packets + r.Down.Packets; int64(len(lines)) != p || bytes != r.Up.Bytes+r.Down.Bytes {
			t.Errorf("%s: %d packets, %d B; tshark: %d, %d", r.Files.PCAPNG, p, r.Up.Bytes+r.Down.Bytes, len(lines), bytes)
		}
		// The link keeps order: what tshark calls out of order within the first
		// round trip is a retransmission too.
		again := tshark(t, file, `frame.interface_name == "window" && (tcp.analysis.retransmission || tcp.analysis.fast_retransmission || tcp.analysis.spurious_retransmission || tcp.analysis.out_of_order)`)
		if n := int64(len(again)); n != r.Retransmissions.TCP {
			t.Errorf("%s: %d TCP retransmissions; tshark: %d", r.Files.PCAPNG, r.Retransmissions.TCP, n)
		}
		if bad := tshark(t, file, "_ws.malformed"); len(bad) > 0 {
			t.Errorf("%s: tshark finds packets malformed: %v", r.Files.PCAPNG, bad)
		}
		protocol := protocols[r.Stack]
		switch {
		case protocol != "":
		case strings.HasPrefix(r.Stack, "mqtt"):
			protocol = "mqtt"
		default:
			protocol = "coap"
		}
		if len(tshark(t, file, protocol)) == 0 {
			t.Errorf("%s: tshark decrypts no %s", r.Files.PCAPNG, protocol)
		}
	}
}

// TestTsharkCoAP compares payloads over each bearer where nothing is sent again,
// which we count again, and the number of short messages.
func TestTsharkCoAP(t *testing.T) {
	needTshark(t)
	dir := t.TempDir()
	for _, r := range thinlink(t, "run", "connect,observe", "-p", "nbiot", "--set", "link.loss=0%", "-o", dir,
		"--stack", "lwm2m,lwm2m-psk,lwm2m-tcp,lwm2m-nonip,lwm2m-sms,coap") {
		file := filepath.Join(dir, r.Files.PCAPNG)
		const counted = `frame.interface_name == "window"`
		if m := r.SMS; m != nil {
			if n := len(tshark(t, file, counted+" && gsm_sms")); int64(n) != m.Up+m.Down {
				t.Errorf("%s: %+v; tshark: %d short messages", r.Files.PCAPNG, *m, n)
			}
			continue // it does not look for CoAP in them
		}
		payload := int64(0)
		if r.Retransmissions.TCP > 0 {
			continue
		}
		for _, line := range tshark(t, file, counted+" && coap", "coap.payload_length") {
			_, lengths, _ := strings.Cut(line, "\t") // of all messages in the frame
			for _, n := range strings.FieldsFunc(lengths, func(r rune) bool { return r == ',' }) {
				v, err := strconv.ParseInt(n, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				payload += v
			}
		}
		if payload != r.Layers.Payload {
			t.Errorf("%s: %d B of payload; tshark: %d", r.Files.PCAPNG, r.Layers.Payload, payload)
		}
	}
}

// TestAnalyzeAgrees recomputes results from the files alone.
func TestAnalyzeAgrees(t *testing.T) {
	dir := t.TempDir()
	for _, r := range thinlink(t, "run", "connect,observe", "-p", "nbiot", "--set", "link.loss=5%", "-o", dir) {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), []string{"analyze", filepath.Join(dir, r.Files.PCAPNG), "--json"}, nil, &stdout, &stderr); status != exitOK {
			t.Fatalf("status %d: %s", status, &stderr)
		}
		var a analysis
		if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		if a.Up != r.Up || a.Down != r.Down || a.Retransmissions != r.Retransmissions || a.Layers != r.Layers {
			t.Errorf("%s: analyze %+v\nrun %+v", r.Files.PCAPNG, a, r)
		}
	}
}

// TestExitStatus is the command's contract.
func TestExitStatus(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		want int
		env  string
		args []string
	}{
		{exitOK, worker, []string{"run", "ping", "-p", "ethernet", "--set", "trains=1"}},
		{exitIncomplete, worker, []string{"run", "connect", "-p", "nbiot", "--stack", "lwm2m", "--set", "link.loss=100%", "--set", "limit=3m"}},
		{exitInput, worker, []string{"run", "ping", "-p", "nowhere"}},
		{exitInput, worker, []string{"run", "--nonsense"}},
		{exitInput, worker, []string{"frobnicate"}},
		{exitInput, worker, []string{"analyze", "missing.pcapng"}},
		{exitMachine, "", []string{"run", "ping", "-p", "nbiot", "-o", "out"}},
	} {
		t.Setenv("THINLINK_SIM", c.env)
		if c.env == "" {
			t.Setenv("PATH", "")
		}
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), c.args, nil, &stdout, &stderr); got != c.want {
			t.Errorf("thinlink %v: status %d, want %d: %s", c.args, got, c.want, &stderr)
		}
		if c.want != exitOK && stderr.Len() == 0 && stdout.Len() == 0 {
			t.Errorf("thinlink %v: failed in silence", c.args)
		}
	}
	if _, err := os.Stat("out"); err == nil {
		t.Error("a run that could not start wrote its output directory")
	}
}

// TestInterrupted is Ctrl-C: what was finished is printed and kept.
func TestInterrupted(t *testing.T) {
	t.Setenv("THINLINK_SIM", worker)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	stdout := &lineWriter{each: func(n int) {
		if n == 2 {
			cancel()
		}
	}}
	var stderr bytes.Buffer
	status := run(ctx, []string{"run", "connect", "-p", "nbiot", "--stack", "lwm2m", "--repeat", "200", "--json", "-o", dir}, nil, stdout, &stderr)
	if status != exitIncomplete || !strings.Contains(stderr.String(), "interrupted: ") {
		t.Errorf("status %d: %s", status, &stderr)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(kept, stdout.b.Bytes()) || stdout.n < 2 || stdout.n >= 200 {
		t.Errorf("printed %d results, kept %d bytes of %d", stdout.n, len(kept), stdout.b.Len())
	}
}

// A lineWriter calls each after every line.
type lineWriter struct {
	b    bytes.Buffer
	n    int
	each func(n int)
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.b.Write(b)
	w.n += bytes.Count(b, []byte("\n"))
	w.each(w.n)
	return len(b), nil
}
