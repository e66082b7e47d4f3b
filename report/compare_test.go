package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// runsOf are five runs of a cell, at completion times of base + seed.
func runsOf(stack, loss string, base float64) (records []*Record) {
	for seed := uint64(1); seed <= 5; seed++ {
		r := &Record{Set: map[string]string{"link.loss": loss, "image": "256KiB"}}
		r.Profile, r.Scenario, r.Stack, r.Engine, r.Seed, r.Completed = "nbiot", "ota", stack, "sim", seed, true
		r.CompletionS = base + float64(seed)
		r.Up.Bytes = 1000
		records = append(records, r)
	}
	return records
}

func verdictOf(t *testing.T, c *Comparison, stack, loss, metric string) Difference {
	t.Helper()
	for _, d := range c.Differences {
		if d.Stack == stack && d.Loss == loss && d.Metric == metric {
			return d
		}
	}
	t.Fatalf("no difference of %s at %s in %s among %+v", stack, loss, metric, c.Differences)
	return Difference{}
}

func TestCompare(t *testing.T) {
	var a, b []*Record
	a = append(a, runsOf("same", "0%", 100)...)
	b = append(b, runsOf("same", "0%", 100)...)
	a = append(a, runsOf("slower", "0%", 100)...)
	b = append(b, runsOf("slower", "0%", 200)...)
	a = append(a, runsOf("faster", "0%", 100)...)
	b = append(b, runsOf("faster", "0%", 50)...)
	a = append(a, runsOf("noise", "0%", 100)...)
	b = append(b, runsOf("noise", "0%", 100.5)...)
	a = append(a, runsOf("few", "0%", 100)[:2]...)
	b = append(b, runsOf("few", "0%", 200)[:2]...)
	a = append(a, runsOf("gone", "2%", 100)...)
	b = append(b, runsOf("new", "2%", 100)...)
	broken := runsOf("broken", "0%", 100)
	for _, r := range broken {
		r.Completed = false
	}
	a = append(a, runsOf("broken", "0%", 100)...)
	b = append(b, broken...)
	c := Compare(Side{"A", a}, Side{"B", b}, DefaultLevel)
	for _, want := range []struct {
		stack, metric string
		verdict       Verdict
	}{
		{"same", "completion_s", Identical}, {"slower", "completion_s", More}, {"faster", "completion_s", Less},
		{"noise", "completion_s", Unclear}, {"few", "completion_s", TooFew}, {"slower", "bytes", Identical},
		{"broken", "completed", Less}, {"broken", "completion_s", Incomplete}, {"same", "completed", Identical},
	} {
		if d := verdictOf(t, c, want.stack, "0%", want.metric); d.Verdict != want.verdict {
			t.Errorf("%s of %s: %+v, want %s", want.metric, want.stack, d, want.verdict)
		}
	}
	// Three cells tested, 2/252 each in two: q = p*3/2.
	near(t, "q", verdictOf(t, c, "slower", "0%", "completion_s").Q, 2./252*3/2, 1e-12)
	near(t, "change", verdictOf(t, c, "slower", "0%", "completion_s").Change, 203./103-1, 1e-12)
	if len(c.OnlyA) != 1 || c.OnlyA[0].Stack != "gone" || len(c.OnlyB) != 1 || c.OnlyB[0].Stack != "new" {
		t.Errorf("only in A %v, in B %v", c.OnlyA, c.OnlyB)
	}
	if s := c.Significant(); len(s) != 3 || s[0].Stack != "broken" && s[0].Stack != "slower" {
		t.Errorf("significant: %+v", s)
	}
	checkCompareOutputs(t, c)
}

func checkCompareOutputs(t *testing.T, c *Comparison) {
	t.Helper()
	var text, page bytes.Buffer
	if err := CompareText(&text, c, false, Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ota, slower over nbiot, loss 0 %", "+97.1 %", "only in A: ota, gone over nbiot, loss 2 %", "level 0.05"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("text lacks %q:\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "noise") {
		t.Errorf("text has what is not significant:\n%s", &text)
	}
	if err := CompareHTML(&page, c); err != nil {
		t.Fatal(err)
	}
	if s := page.String(); !strings.Contains(s, "&#43;97.1") || strings.Contains(s, "ZgotmplZ") {
		t.Error("page lacks a change, or a template refused a value")
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Comparison
	if err := json.Unmarshal(b, &back); err != nil || len(back.Differences) != len(c.Differences) {
		t.Errorf("JSON again: %v", err)
	}
}

// TestCompareSettings: what is constant on each side is what is compared.
func TestCompareSettings(t *testing.T) {
	a, b := runsOf("x", "0%", 100), runsOf("y", "2%", 200)
	for _, r := range b {
		r.Set["image"], r.Version = "1MiB", "v2"
	}
	c := Compare(Side{"A", a}, Side{"B", b}, DefaultLevel)
	got := make(map[string]string)
	for _, s := range c.Settings {
		got[s.Path] = s.A + " " + s.B
	}
	if len(got) != 4 || got["stack"] != "x y" || got["link.loss"] != "0% 2%" || got["image"] != "256KiB 1MiB" || got["version"] != " v2" {
		t.Errorf("settings: %v", got)
	}
	if d := verdictOf(t, c, "A or B", "", "completion_s"); d.Verdict != More || len(c.OnlyA)+len(c.OnlyB) > 0 {
		t.Errorf("difference %+v, only %v %v", d, c.OnlyA, c.OnlyB)
	}
	if a[0].Stack != "x" || a[0].Set["image"] != "256KiB" {
		t.Error("Compare changed its input")
	}
	c = Compare(Side{"A", a}, Side{"A again", a}, DefaultLevel)
	if len(c.Settings) != 0 || len(c.Significant()) != 0 || verdictOf(t, c, "x", "0%", "bytes").Verdict != Identical {
		t.Errorf("a folder against itself: %+v", c)
	}
}
