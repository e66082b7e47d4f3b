package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/thinlink/thinlink/measure"
)

// exportFolder has an update, a ping, a transfer and a run that failed, in no
// order.
func exportFolder() *Folder {
	run := func(seed uint64, loss string) *Record {
		return &Record{
			Key: fmt.Sprintf("key-%d-%s", seed, loss), Version: "v1", Set: map[string]string{"link.loss": loss, "image": "4KiB"},
			Result: measure.Result{
				Profile: "nbiot", Scenario: "ota", Stack: "mqtt-https", Engine: "sim", Seed: seed, Completed: true,
				WindowS: 300.5, CompletionS: 100 + float64(seed), WallS: .25,
				Up:     measure.Counts{Packets: 10, Bytes: 1000, BytesEthernet: 1140, Dropped: 1, BytesDropped: 100},
				Down:   measure.Counts{Packets: 20, Bytes: 20000, BytesEthernet: 20280},
				OTA:    &measure.OTA{ImageBytes: 4096, ReceivedBytes: 5000, WastedBytes: 904, Interruptions: 2, LostS: []float64{1.5, 2.25}, Resumed: true, SHA256OK: true},
				Layers: measure.Layers{IP: 600}, EnergyJ: 3.5, RadioS: measure.RadioS{TX: 1.25},
				Warnings: []string{"one, with a comma", "two \"quoted\"\nand broken"},
			},
		}
	}
	failed := run(1<<63-1, "2%")
	failed.Completed, failed.Error, failed.Interrupt, failed.OTA = false, "not completed within the limit", "outage", nil
	ping := run(3, "10%")
	ping.Scenario, ping.OTA, ping.Warnings = "ping", nil, nil
	ping.Ping = &measure.Ping{Idle: measure.PingStats{Sent: 3, Received: 2, P50MS: 2000.125}}
	bulk := run(4, "2%")
	bulk.Scenario, bulk.OTA = "bulk", nil
	bulk.Set = map[string]string{"size": "1MiB"}
	bulk.Bulk = &measure.Bulk{Direction: "down", Bytes: 1 << 20, GoodputBPS: 1e5 / 3.}
	return &Folder{Records: []*Record{bulk, failed, run(2, "10%"), run(10, "2%"), run(1, "2%"), ping}}
}

func csvOf(t *testing.T, f *Folder, write func(io.Writer, *Folder) error) [][]string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, f); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestCSVHeader holds the columns and their order: people's scripts name them.
// New ones may come between.
func TestCSVHeader(t *testing.T) {
	want := `profile scenario stack engine set.image set.link.loss set.size interrupt seed completed error
window_s completion_s wall_s
up_packets up_bytes up_bytes_ethernet up_dropped up_bytes_dropped
down_packets down_bytes down_bytes_ethernet down_dropped down_bytes_dropped
retransmissions_tcp retransmissions_tcp_spurious retransmissions_coap retransmissions_coap_spurious retransmissions_dtls retransmissions_tls_handshakes
layers_ip_bytes layers_transport_bytes layers_security_bytes layers_protocol_bytes layers_payload_bytes
ota_image_bytes ota_received_bytes ota_wasted_bytes ota_interruptions ota_resumed ota_lost_s ota_sha256_ok
ping_idle_sent ping_idle_received ping_idle_min_ms ping_idle_p5_ms ping_idle_p50_ms ping_idle_mean_ms ping_idle_p95_ms ping_idle_p99_ms ping_idle_max_ms
ping_connected_sent ping_connected_received ping_connected_min_ms ping_connected_p5_ms ping_connected_p50_ms ping_connected_mean_ms ping_connected_p95_ms ping_connected_p99_ms ping_connected_max_ms
bulk_direction bulk_bytes bulk_duration_s bulk_goodput_bps bulk_rate_bps
energy_j energy_module energy_mean_w energy_by_state_tx_j energy_by_cause_reports_j radio_tx_s radio_rx_s radio_connected_s radio_idle_s radio_psm_s warnings key version`
	got := csvOf(t, exportFolder(), WriteCSV)[0]
	at := -1
	for _, name := range strings.Fields(want) {
		i := slices.Index(got, name)
		if i <= at {
			t.Errorf("column %s is at %d, after the one at %d", name, i, at)
		}
		at = i
	}
	for i, name := range got {
		if slices.Contains(got[:i], name) {
			t.Errorf("two columns %s", name)
		}
	}
}

// TestColumnTypes fails when a field of measure.Result has a type that flat
// files do not have.
func TestColumnTypes(t *testing.T) {
	flat := []reflect.Kind{reflect.String, reflect.Int64, reflect.Float64, reflect.Bool}
	for _, c := range flatColumns(exportFolder().Records) {
		if !slices.Contains(flat, c.typ.Kind()) {
			t.Errorf("column %s is a %v: flatten it in leafColumn", c.name, c.typ)
		}
	}
}

// TestCSVRows: the rows are in an order of their own, with every value.
func TestCSVRows(t *testing.T) {
	rows := csvOf(t, exportFolder(), WriteCSV)
	at := func(row int, column string) string { return rows[row][slices.Index(rows[0], column)] }
	var order []string
	for i := range rows[1:] {
		order = append(order, at(i+1, "scenario")+" "+at(i+1, "set.link.loss")+" "+at(i+1, "interrupt")+" "+at(i+1, "seed"))
	}
	if want := []string{"bulk   4", "ota 2%  1", "ota 2%  10", "ota 2% outage 9223372036854775807", "ota 10%  2", "ping 10%  3"}; !slices.Equal(order, want) {
		t.Errorf("order %q: want %q", order, want)
	}
	for column, want := range map[string]string{
		"ota_lost_s": "3.75", "ota_wasted_bytes": "904", "completed": "true", "radio_tx_s": "1.25", "layers_ip_bytes": "600",
		"ping_idle_sent": "", "bulk_direction": "", "set.size": "", "warnings": "one, with a comma; two \"quoted\"\nand broken",
	} {
		if got := at(2, column); got != want {
			t.Errorf("%s is %q: want %q", column, got, want)
		}
	}
	if got := at(1, "bulk_goodput_bps"); got != "33333.333333333336" {
		t.Errorf("a float is rounded: %s", got)
	}
}

// TestParquetRoundTrip reads the file back and compares it with the CSV,
// column by column.
func TestParquetRoundTrip(t *testing.T) {
	f := exportFolder()
	var b bytes.Buffer
	if err := WriteParquet(&b, f); err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var header []string
	for _, path := range file.Schema().Columns() {
		header = append(header, strings.Join(path, "/"))
	}
	got := [][]string{header}
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		defer rows.Close()
		for {
			read := make([]parquet.Row, 1)
			n, err := rows.ReadRows(read)
			if n == 1 {
				row := make([]string, len(header))
				for _, v := range read[0] {
					row[v.Column()] = parquetText(v)
				}
				got = append(got, row)
			}
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(csvOf(t, f, WriteCSV), got); diff != "" {
		t.Error(diff)
	}
}

func parquetText(v parquet.Value) string {
	switch {
	case v.IsNull():
		return ""
	case v.Kind() == parquet.ByteArray:
		return string(v.ByteArray())
	case v.Kind() == parquet.Double:
		return csvText(v.Double())
	case v.Kind() == parquet.Int64:
		return csvText(v.Int64())
	}
	return csvText(v.Boolean())
}

func TestCells(t *testing.T) {
	f := exportFolder()
	var b bytes.Buffer
	if err := WriteCellsJSON(&b, f); err != nil {
		t.Fatal(err)
	}
	var cells []CellSummary
	for dec := json.NewDecoder(&b); dec.More(); {
		var c CellSummary
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		cells = append(cells, c)
	}
	rows := csvOf(t, f, WriteCellsCSV)
	if len(cells) != 5 || len(rows) != 6 {
		t.Fatalf("%d cells, %d rows: want 5", len(cells), len(rows)-1)
	}
	find := func(loss, interrupt string) int {
		return slices.IndexFunc(cells, func(c CellSummary) bool {
			return c.Scenario == "ota" && c.Set["link.loss"] == loss && c.Interrupt == interrupt
		})
	}
	i := find("2%", "")
	if c := cells[i]; c.Runs != 2 || c.Completed != 2 || c.Doubtful == "" || c.Estimates["completion_s"] != (Estimate{Median: 105.5, Lo: 101, Hi: 110, N: 2}) {
		t.Errorf("two runs: %+v", c)
	}
	at := func(column string) string { return rows[i+1][slices.Index(rows[0], column)] }
	if got := at("completion_s") + " " + at("completion_s_lo") + " " + at("completion_s_hi"); got != "105.5 101 110" {
		t.Errorf("completion time in CSV: %s", got)
	}
	// A cell without a completed run is marked and stays.
	c := cells[find("2%", "outage")]
	if c.Completed != 0 || c.Doubtful == "" || len(c.Estimates) != 0 || !slices.Equal(c.Errors, []string{"not completed within the limit"}) {
		t.Errorf("no run completed: %+v", c)
	}
}

func TestSweepText(t *testing.T) {
	var b strings.Builder
	if err := SweepText(&b, exportFolder(), Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nnbiot\n", "none?", "1.76 min?", "? doubtful: fewer than 3 runs", "1 run did not complete: not completed within the limit"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	sound := &Folder{}
	for seed := range uint64(5) {
		r := exportFolder().Records[4]
		r.Seed, r.CompletionS = seed, 100+float64(seed)
		wide := exportFolder().Records[4]
		wide.Seed, wide.Stack, wide.CompletionS = seed, "lwm2m-coap-tcp-pull", 100*float64(seed+1)
		sound.Records = append(sound.Records, wide, r)
	}
	b.Reset()
	if err := SweepText(&b, sound, Style{}); err != nil {
		t.Fatal(err)
	}
	want := `completion time, median over seeds

nbiot
               lwm2m-coap-  mqtt-https
                  tcp-pull
ota  loss 2 %       5 min~    1.7 min

~ the 95 % interval reaches further than a tenth of the median (1 cell)
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestCompareValues(t *testing.T) {
	values := []string{"10%", "2%", "1MiB", "", "512KiB", "mqtt", "60s", "10m", "0%", "coap"}
	slices.SortFunc(values, compareValues)
	if got := strings.Join(values, " "); got != " 0% 2% 10% 60s 10m 512KiB 1MiB coap mqtt" {
		t.Errorf("got %s", got)
	}
}
