package measure

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pion/dtls/v3"

	"github.com/thinlink/thinlink/netem"
)

// needTshark skips the test where tshark is not installed, or fails it if
// THINLINK_REQUIRE_TSHARK=1 promises that it is.
func needTshark(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err == nil {
		return
	}
	if os.Getenv("THINLINK_REQUIRE_TSHARK") == "1" {
		t.Fatal("THINLINK_REQUIRE_TSHARK=1, but tshark is not on PATH: install Wireshark's command line tools")
	}
	t.Skip("tshark is not on PATH: install Wireshark's command line tools to compare with it")
}

// tshark runs it on a trace written as pcapng and returns the given fields of
// the packets that a filter selects, one list per packet.
func tshark(t *testing.T, trace *Trace, filter string, fields ...string) [][]string {
	t.Helper()
	dir := t.TempDir()
	files, err := WriteFiles(dir, "trace", trace, About{Version: "test", Profile: "nbiot", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", filepath.Join(dir, files.PCAPNG), "-Y", filter, "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark %q: %v: %s", args, err, stderr.String())
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// TestTsharkClasses: tshark puts every segment into the same class. All
// timelines are connections of one capture.
func TestTsharkClasses(t *testing.T) {
	needTshark(t)
	p := newTape(7)
	ports := map[string]string{}
	for name, tt := range tcpTimelines {
		p.devicePort++
		p.next = [2]uint32{1000, 0xfffffff0}
		ports[fmt.Sprint(p.devicePort)] = name
		tt.play(p)
	}
	slices.SortStableFunc(p.trace.Packets, func(a, b Packet) int { return a.Time.Compare(b.Time) })
	flags := []string{"keep_alive", "spurious_retransmission", "fast_retransmission", "out_of_order", "retransmission"}
	fields := []string{"tcp.srcport", "tcp.dstport"}
	for _, f := range flags {
		fields = append(fields, "tcp.analysis."+f)
	}
	got := map[string]TCPClasses{}
	for _, row := range tshark(t, p.done(), "tcp", fields...) {
		name := ports[row[0]] + ports[row[1]] // one of them is 7
		c := got[name]
		for i, n := range []*int64{&c.KeepAlives, &c.Spurious, &c.Fast, &c.OutOfOrder, &c.Retransmissions} {
			if row[2+i] != "" {
				*n++
				break // fast and spurious ones carry the plain flag too
			}
		}
		got[name] = c
	}
	for name, tt := range tcpTimelines {
		tt.want.Needless = 0 // tshark knows no fates
		if got[name] != tt.want {
			t.Errorf("%s: tshark says %+v, want %+v", name, got[name], tt.want)
		}
	}
}

// TestTsharkReads: our capture dissects cleanly, and what it says agrees with
// our counts.
func TestTsharkReads(t *testing.T) {
	needTshark(t)
	p := newTape(8883)
	client := &tls.Config{InsecureSkipVerify: true, KeyLogWriter: p}
	server := &tls.Config{Certificates: []tls.Certificate{certificate(t, false)}}
	request, answer, _ := mqttConversation(40_000)
	converse(t, p, client, server, request, answer)
	p.trace.Packets[9].Lost = netem.DropQueue
	trace := p.done()
	trace.WindowStart = trace.Packets[5].Time
	r := Judge(trace)
	rows := tshark(t, trace, "frame", "_ws.malformed", "frame.interface_name", "ip.len", "mqtt.topic", "frame.comment", "frame.time_epoch")
	if len(rows) != len(trace.Packets) {
		t.Fatalf("tshark: %d packets, want %d", len(rows), len(trace.Packets))
	}
	var packets, size int64
	var topics, comments []string
	for i, row := range rows {
		if row[0] != "" {
			t.Errorf("packet %d is malformed", i)
		}
		if row[1] == "window" {
			n, err := strconv.ParseInt(row[2], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			packets++
			size += n
		}
		if row[3] != "" {
			topics = append(topics, row[3])
		}
		if row[4] != "" {
			comments = append(comments, fmt.Sprintf("%d %s", i, row[4]))
		}
		if want := fmt.Sprintf("%d.%09d", trace.Packets[i].Time.Unix(), trace.Packets[i].Time.Nanosecond()); row[5] != want {
			t.Errorf("time stamp %s, want %s", row[5], want)
		}
	}
	if packets != r.Up.Packets+r.Down.Packets || size != r.Up.Bytes+r.Down.Bytes {
		t.Errorf("tshark: %d packets, %d bytes in the window; want %+v, %+v", packets, size, r.Up, r.Down)
	}
	if want := []string{"sensors/1"}; !slices.Equal(topics, want) {
		t.Errorf("decrypted topics: %q", topics)
	}
	if want := []string{"5 the measured window starts", "9 dropped by the link: queue"}; !slices.Equal(comments, want) {
		t.Errorf("comments: %q", comments)
	}
}

// TestTsharkDTLS: CoAP inside DTLS is readable with the keys in the capture,
// and retransmissions are the same.
func TestTsharkDTLS(t *testing.T) {
	needTshark(t)
	p := newTape(5684)
	for _, tt := range []struct {
		suite dtls.CipherSuiteID
		cid   bool
	}{
		{dtls.TLS_PSK_WITH_AES_128_CCM_8, false},
		{dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, false},
		{dtls.TLS_PSK_WITH_AES_128_CCM_8, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			p.devicePort++
			options := pskOptions(tt.suite, tt.cid)
			converseDTLS(t, p, options, options, nil)
		})
	}
	trace := p.done()
	var payloads, repeats int64
	for i, row := range tshark(t, trace, "frame", "_ws.malformed", "coap.payload", "coap.retransmitted") {
		if row[0] != "" {
			t.Errorf("packet %d is malformed", i)
		}
		if row[1] != "" {
			payloads++
		}
		if row[2] != "" {
			repeats++
		}
	}
	if want := Judge(trace).Retransmissions.CoAP; payloads != 9 || repeats != want {
		t.Errorf("tshark finds %d CoAP messages with a payload, want 9; %d retransmissions, want %d", payloads, repeats, want)
	}
}
