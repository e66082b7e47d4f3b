package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// chromium is the browser, found or the test skipped.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("THINLINK_REQUIRE_CHROMIUM") == "1" {
		t.Fatal("THINLINK_REQUIRE_CHROMIUM=1, but there is no chromium, chromium-browser or google-chrome in PATH")
	}
	t.Skip("no chromium, chromium-browser or google-chrome in PATH: install one to check pages in a real browser (Debian: apt-get install chromium)")
	return ""
}

// browse opens a page from a file, without network, and returns the document
// after its script has run, and what the browser wrote to its log.
func browse(t *testing.T, page string, args ...string) (dom, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium(t), append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND",
		"--user-data-dir=" + t.TempDir(), "--enable-logging=stderr", "--v=0",
	}, append(args, "file://"+page)...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second // its children keep pipes open
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("chromium: %v\n%s", err, &stderr)
	}
	return stdout.String(), stderr.String()
}

// checkConsole fails for whatever a page wrote to the console: scripts that
// fail and loads that the page's policy forbids are among it.
func checkConsole(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "CONSOLE") {
			t.Errorf("console: %s", line)
		}
	}
}

// writeTestPage writes a page to a file.
func writeTestPage(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "page.html")
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// probe adds a script to a page that works it as a reader would and leaves
// what it finds in an attribute of the body.
func probe(t *testing.T, page, js string) string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	script := "<script>try { document.body.dataset.probe = JSON.stringify((() => {" + js + "})()); } catch (e) { console.error(e); }</script></body>"
	name := page + "-probe.html"
	if err := os.WriteFile(name, bytes.Replace(b, []byte("</body>"), []byte(script), 1), 0o666); err != nil {
		t.Fatal(err)
	}
	dom, log := browse(t, name, "--dump-dom", "--window-size=1200,900")
	checkConsole(t, log)
	m := regexp.MustCompile(`data-probe="([^"]*)"`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatal("the probe left no answer")
	}
	return strings.ReplaceAll(m[1], "&quot;", `"`)
}

func TestReportInBrowser(t *testing.T) {
	chromium(t)
	dir := t.TempDir()
	records := smallSweep()
	writeCapture(t, dir, records[0])
	f := writeFolder(t, dir, records)
	page := writeTestPage(t, func(w io.Writer) error { return HTML(w, f) })

	dom, log := browse(t, page, "--dump-dom")
	checkConsole(t, log)
	for what, want := range map[string]int{
		`<svg class="chart lines"`:   2,         // views
		`<svg class="chart bars"`:    1 + 2*2*5, // waste; layers and directions of 2 views at 5 losses
		`<svg class="chart columns"`: 3,
		`<table class="heat"`:        2 * len(heatMetrics),
		`class="series s`:            2 * len(sampleStacks),
		`<path class="marker"`:       2 * len(sampleStacks) * 5, // points
	} {
		if n := strings.Count(dom, what); n != want {
			t.Errorf("%d of %s, want %d", n, what, want)
		}
	}
	for _, want := range []string{"over nbiot", "completion time, s", "packet loss per direction, %", "IP packet length, B", "lwm2m-coap-tcp-pull",
		"thinlink sweep examples/ota-resumption.yaml", "finishes first", "image=256KiB"} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page does not say %q", want)
		}
	}

	// One matrix, one chart of curves and one group of layers are shown; a
	// choice changes them, a box takes a stack away, a heading sorts, a
	// pointer brings up figures, and nothing is wider than the window.
	got := probe(t, page, `
		const shown = (s) => Array.from(document.querySelectorAll(s)).filter((e) => e.getClientRects().length > 0).length;
		const pick = (name, value) => { const c = document.querySelector("select[data-choice=" + name + "]"); c.value = value; c.dispatchEvent(new Event("change")); };
		const out = [shown("table.heat"), shown("svg.lines"), shown("svg.bars")];
		pick("metric", "bytes"); pick("view", "ota, outage"); pick("loss", "5%");
		out.push(shown("section[data-metric=bytes][data-view='ota, outage']"), shown("section[data-view=ota]"), shown("section[data-loss='5%']"));
		const box = document.querySelector("input[data-only=stack][value=mqtt-https]");
		const before = shown("table.heat tbody tr"); box.checked = false; box.dispatchEvent(new Event("change"));
		out.push(before - shown("table.heat tbody tr"));
		const head = document.querySelectorAll("table.all thead th")[5]; head.click();
		const values = Array.from(document.querySelectorAll("table.all tbody tr")).map((r) => parseFloat(r.cells[5].dataset.v));
		out.push(values.every((v, i) => i === 0 || values[i - 1] <= v));
		document.querySelector("svg.lines .marker").dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 50, clientY: 50 }));
		out.push(document.getElementById("tip").textContent.includes("completion time"));
		out.push(document.documentElement.scrollWidth <= innerWidth);
		return out;`)
	if want := `[1,1,3,1,0,2,1,true,true,true]`; got != want {
		t.Errorf("probe: %s, want %s", got, want)
	}
}

// TestNarrow: at a phone's width no page scrolls sideways as a whole, and the
// text of charts stays legible.
func TestNarrow(t *testing.T) {
	chromium(t)
	f := writeFolder(t, t.TempDir(), smallSweep())
	page := writeTestPage(t, func(w io.Writer) error { return HTML(w, f) })
	// A window of headless chromium has a least width; a frame has not.
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	probeJS := `addEventListener("load", () => {
		const text = document.querySelector("svg.lines .tick").getBoundingClientRect();
		parent.postMessage([innerWidth, document.documentElement.scrollWidth, Math.round(text.height)], "*");
	});`
	inner := bytes.Replace(b, []byte("</body>"), []byte("<script>"+probeJS+"</script></body>"), 1)
	if err := os.WriteFile(page, inner, 0o666); err != nil {
		t.Fatal(err)
	}
	outer := filepath.Join(filepath.Dir(page), "outer.html")
	html := fmt.Sprintf(`<body><iframe width="360" height="700" style="border:0" src="%s"></iframe><script>
		addEventListener("message", (ev) => { document.body.dataset.probe = ev.data.join(); });</script></body>`, filepath.Base(page))
	if err := os.WriteFile(outer, []byte(html), 0o666); err != nil {
		t.Fatal(err)
	}
	dom, log := browse(t, outer, "--dump-dom", "--virtual-time-budget=5000")
	checkConsole(t, log)
	var width, scroll, text int
	m := regexp.MustCompile(`data-probe="([^"]*)"`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatalf("no answer from the frame")
	}
	if _, err := fmt.Sscanf(m[1], "%d,%d,%d", &width, &scroll, &text); err != nil {
		t.Fatal(err)
	}
	if width != 360 || scroll > width || text < 10 {
		t.Errorf("window %d, content %d, text %d pixels high", width, scroll, text)
	}
}

func TestPrint(t *testing.T) {
	chromium(t)
	f := writeFolder(t, t.TempDir(), samplePaper())
	page := writeTestPage(t, func(w io.Writer) error { return HTML(w, f) })
	pdf := page + ".pdf"
	_, log := browse(t, page, "--no-pdf-header-footer", "--print-to-pdf="+pdf)
	checkConsole(t, log)
	b, err := os.ReadFile(pdf)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("/Type /Page\n")) + bytes.Count(b, []byte("/Type /Page/")) + bytes.Count(b, []byte("/Type /Page ")); !bytes.HasPrefix(b, []byte("%PDF-")) || n < 1 || n > 30 {
		t.Errorf("%d pages in %d bytes", n, len(b))
	}
}

func TestCompareInBrowser(t *testing.T) {
	chromium(t)
	a, b := smallSweep(), smallSweep()
	for _, r := range b {
		if r.Stack == "mqtt-https" {
			r.CompletionS *= 2
		}
	}
	a, b = append(a, moreSeeds(a)...), append(b, moreSeeds(b)...)
	c := Compare(Side{"before", a}, Side{"after", b}, DefaultLevel)
	page := writeTestPage(t, func(w io.Writer) error { return CompareHTML(w, c) })
	got := probe(t, page, `
		const colored = Array.from(document.querySelectorAll("section:not([hidden]) table.heat td")).filter((td) => td.style.backgroundColor);
		return [colored.length, colored.every((td) => td.closest("tr").dataset.stack === "mqtt-https"), document.documentElement.scrollWidth <= innerWidth];`)
	if want := `[5,true,true]`; got != want {
		t.Errorf("probe: %s, want %s", got, want)
	}
}

// moreSeeds doubles the runs, so that two sets of them can differ.
func moreSeeds(records []*Record) (more []*Record) {
	for _, r := range records {
		c := *r
		c.Seed += 100
		c.CompletionS *= 1.001
		more = append(more, &c)
	}
	return more
}

func TestDocumentInBrowser(t *testing.T) {
	d := Document{Title: "a <plan>", Lead: "two cells", Sections: []Section{{
		Heading: "network", Notices: []string{"saturated"}, Text: []string{"30 reports/s"}, List: []string{"assumed"},
		Charts: []Curves{{Title: "load", XLabel: "hour", YLabel: "%", Lines: []Curve{
			{Name: "up", X: []float64{0.5, 1.5}, Y: []float64{10, 20}}, {Name: "down", X: []float64{0.5, 1.5}, Y: []float64{1, 2}},
		}}},
		Tables: []Grid{{Title: "use", Head: []string{"channel", "mean"}, Texts: 1, Rows: [][]string{{"PUSCH", "29 %"}}}},
	}}}
	dom, log := browse(t, writeTestPage(t, d.Write), "--dump-dom")
	checkConsole(t, log)
	for _, want := range []string{"a &lt;plan&gt;", `<svg class="chart lines"`, `<td class="text">PUSCH</td><td>29 %</td>`, `<p class="warn">saturated`, "<li>assumed", `data-stack="down"`} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
}
