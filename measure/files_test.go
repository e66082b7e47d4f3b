package measure

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/thinlink/thinlink/netem"
)

// TestRoundTrip: a trace read back from its files gives the same result.
func TestRoundTrip(t *testing.T) {
	for name, start := range map[string]int{"window from the start": 0, "with set-up": 30} {
		t.Run(name, func(t *testing.T) {
			trace := download(t, 20_000)
			trace.Start = epoch.Add(-time.Hour)
			trace.WindowStart = trace.Packets[start].Time
			trace.Packets[31].Lost = netem.DropQueue
			trace.Packets[32].Lost = netem.DropLoss
			trace.Packets[33].Done = time.Time{}
			trace.Events = []Event{
				{Time: epoch.Add(-time.Minute), Kind: EventRadio, Detail: "idle"},
				{Time: epoch.Add(15*time.Millisecond + 1), Kind: EventRadio, Detail: "tx"},
				{Time: epoch.Add(31 * time.Millisecond), Kind: "ota.data", Offset: 5, Length: 1000},
				{Time: epoch.Add(32 * time.Millisecond), Kind: "ota.data", Offset: 500, Length: 1000},
				{Time: epoch.Add(32 * time.Millisecond), Kind: "state", Detail: "a \"quoted\" <state>\n"},
			}
			dir := t.TempDir()
			files, err := WriteFiles(dir, "run", trace, About{Version: "v1", Profile: "nbiot", Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			if want := (Files{PCAPNG: "run.pcapng", KeyLog: "run.keys", Events: "run.events.jsonl"}); files != want {
				t.Errorf("%+v, want %+v", files, want)
			}
			back, err := ReadTrace(filepath.Join(dir, files.PCAPNG), filepath.Join(dir, files.Events))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(Judge(trace), Judge(back)); d != "" {
				t.Errorf("result differs: %s", d)
			}
			back.KeyLog = bytes.TrimSpace(back.KeyLog)
			trace.KeyLog = bytes.TrimSpace(trace.KeyLog)
			sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
			if d := cmp.Diff(trace, back, sameTime, cmpopts.EquateComparable(trace.Device), cmpopts.EquateEmpty()); d != "" {
				t.Errorf("trace differs: %s", d)
			}
			keys, err := os.ReadFile(filepath.Join(dir, files.KeyLog))
			if err != nil || !bytes.Equal(bytes.TrimSpace(keys), trace.KeyLog) {
				t.Errorf("key log %q, %v", keys, err)
			}
		})
	}
}

// TestPcapgoReads: another implementation reads our captures.
func TestPcapgoReads(t *testing.T) {
	trace := download(t, 5_000)
	trace.Packets[3].Lost = netem.DropOutage
	trace.WindowStart = trace.Packets[2].Time
	var b bytes.Buffer
	if err := WritePCAPNG(&b, trace, About{Version: "v1", Profile: "nbiot", Scenario: "ota", Stack: "mqtt", Engine: "sim", Seed: 3, Hardware: "board", OS: "system"}); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&b, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range trace.Packets {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if !bytes.Equal(data, want.Data) || !ci.Timestamp.Equal(want.Time) || ci.Length != len(want.Data) {
			t.Errorf("packet %d: %+v", i, ci)
		}
		var comments []string
		iface := 0
		if i >= 2 {
			iface = 1
		}
		if i == 2 {
			comments = []string{"the measured window starts"}
		}
		if i == 3 {
			comments = []string{"dropped by the link: outage"}
		}
		if d := cmp.Diff(comments, opts.Comments); d != "" || ci.InterfaceIndex != iface {
			t.Errorf("packet %d on interface %d: %s", i, ci.InterfaceIndex, d)
		}
	}
	s := r.SectionInfo()
	if s.Application != "thinlink v1" || s.Hardware != "board" || s.OS != "system" ||
		!strings.HasPrefix(s.Comment, "profile nbiot, scenario ota, stack mqtt, engine sim, seed 3. ") {
		t.Errorf("%+v", s)
	}
	for i, want := range []string{"setup", "window"} {
		if intf, err := r.Interface(i); err != nil || intf.Name != want {
			t.Errorf("interface %d: %+v, %v", i, intf, err)
		}
	}
}

func TestReadEvents(t *testing.T) {
	got, err := ReadEvents(strings.NewReader("{\"t\":1.5,\"kind\":\"a\"}\n\n{\"t\":-0.000000001,\"kind\":\"b\",\"offset\":3}\n"), epoch)
	want := []Event{{Time: epoch.Add(1500 * time.Millisecond), Kind: "a"}, {Time: epoch.Add(-1), Kind: "b", Offset: 3}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}
	for _, bad := range []string{"{", `{"t":"soon"}`, `{"t":1e400}`, "[]"} {
		if _, err := ReadEvents(strings.NewReader("{\"t\":1,\"kind\":\"a\"}\n"+bad), epoch); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	if _, err := WriteFiles(filepath.Join(t.TempDir(), "missing"), "run", &Trace{}, About{}); err == nil {
		t.Error("no error for a missing directory")
	}
	if err := WritePCAPNG(failing{}, download(t, 100), About{}); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.NewSyscallError("write", errDiskFull) }

var errDiskFull = diskFull{}

type diskFull struct{}

func (diskFull) Error() string { return "disk full" }
