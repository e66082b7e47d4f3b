package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/internal/confyaml"
)

// solve answers a deployment whose packets are given: nothing is run.
func solve(t testing.TB, text string, whatIf ...string) *Answer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := Load(path, whatIf...)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Solve(context.Background(), d, NewMeter(nil))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func within(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got/want-1) > share {
		t.Errorf("%s: %g, want %g within %g %%", what, got, want, 100*share)
	}
}

// TR 45.820's mix, one cell, random access alone.
const mix = `version: 1
name: mix
technology: nbiot
groups:
  meters: {count: 52547, packets: [], traffic: tr-45.820}
service: {skip: true}
`

// 52,547 devices with the mix of TR 45.820 make 6.81 reports/s.
func TestReportsPerSecond(t *testing.T) {
	a := solve(t, mix, "duration=2h")
	g := Group{Traffic: "tr-45.820"}
	within(t, "rate", 52547*g.reportsPerSecond(), 6.81, 0.001)
	within(t, "simulated rate", a.Offered.ReportsPerS, 6.81, 0.02)
}

// With random access alone, one attempt and arrivals that are nearly a
// Poisson process, the share of collided preambles is the closed form
// 1 - exp(-lambda period / subcarriers).
func TestCollisionClosedForm(t *testing.T) {
	const text = `version: 1
name: alone
technology: nbiot
duration: 10h
coverage:
  - {name: CE0, share: 100%%, profile: nbiot, period: 320ms, preambles: 12, repetitions: 1}
random_access: {attempts: 1, back_off: 0s}
groups:
  many: {count: %d, packets: [], interval: 10h}
service: {skip: true}
`
	for _, rate := range []float64{1, 3.95, 12} {
		a := solve(t, fmt.Sprintf(text, int(rate*36000)))
		x := a.Access[0]
		want := 1 - math.Exp(-rate*0.320/12)
		within(t, fmt.Sprintf("collisions at %g/s", rate), x.Collision.P, want, 0.02+2*math.Sqrt((1-want)/want/float64(x.Collision.N)))
		if x.Collision.Low > x.Collision.P || x.Collision.High < x.Collision.P {
			t.Errorf("interval %+v does not hold its estimate", x.Collision)
		}
	}
}

// One carrier, 50,000 devices, five uplinks of 105 B (20 B of payload) an
// hour: 58.3 kbit/s on the air.
func TestOnAir(t *testing.T) {
	a := solve(t, `version: 1
name: air
technology: nbiot
duration: 2h
mode: stand-alone
carriers: 8
coverage: [{name: CE0, share: 100%, profile: nbiot, period: 40ms, preambles: 48}]
groups:
  meters: {count: 50000, packets: [{direction: up, bytes: 105}], interval: 12m}
service: {skip: true}
`)
	within(t, "on the air", a.Offered.UpBPS, 58.3e3, 0.01)
}

func TestSameSeedSameAnswer(t *testing.T) {
	text := strings.Replace(mix, "packets: []", "packets: [{direction: up, bytes: 105}, {direction: down, bytes: 60, gap: 100ms}]", 1)
	one, _ := json.Marshal(solve(t, text, "duration=1h"))
	two, _ := json.Marshal(solve(t, text, "duration=1h"))
	if string(one) != string(two) {
		t.Error("the same seed gave two answers")
	}
	other, _ := json.Marshal(solve(t, strings.Replace(text, "name: mix", "name: mix\nseed: 2", 1), "duration=1h"))
	if string(one) == string(other) {
		t.Error("two seeds gave the same answer")
	}
}

// More devices: no channel gets emptier, no report faster.
func TestLoadGrows(t *testing.T) {
	text := strings.Replace(mix, "packets: []", "packets: [{direction: up, bytes: 105}]", 1)
	little := solve(t, text, "duration=1h", "count=5000")
	much := solve(t, text, "duration=1h", "count=50000")
	for i := range little.Channels {
		if little.Channels[i].Mean > much.Channels[i].Mean {
			t.Errorf("%s of %s: %g with 5,000 devices, %g with 50,000", little.Channels[i].Channel, little.Channels[i].Class, little.Channels[i].Mean, much.Channels[i].Mean)
		}
	}
	if little.Delay[0].P95S > much.Delay[0].P95S {
		t.Errorf("delay fell from %g to %g s", little.Delay[0].P95S, much.Delay[0].P95S)
	}
	if much.Channels[0].Mean+much.Channels[4].Mean > 1.05 {
		t.Errorf("the downlink is used for %g of its time", much.Channels[0].Mean+much.Channels[4].Mean)
	}
}

// What begins ends: delivered, given up, lost, or under way at the end.
func TestConservation(t *testing.T) {
	text := strings.Replace(mix, "packets: []", "packets: [{direction: up, bytes: 105}]", 1)
	a := solve(t, text, "duration=2h", "count=20000")
	g := a.Groups[0]
	done := float64(a.Delay[0].N) + a.Blocking.P*float64(g.Reports) + a.Lost.P*float64(g.Reports)
	if done > float64(g.Reports) || done < 0.98*float64(g.Reports) {
		t.Errorf("%d reports began, %g ended", g.Reports, done)
	}
}

// The search's answer holds the service level; a carrier more carries more.
func TestCapacity(t *testing.T) {
	text := strings.Replace(strings.Replace(mix, "packets: []", "packets: [{direction: up, bytes: 105}]", 1), "service: {skip: true}\n", "", 1)
	one := solve(t, text, "duration=1m", "count=100").Capacity
	two := solve(t, text, "duration=1m", "count=100", "carriers=2").Capacity
	if one.DevicesPerCell == 0 || one.DelayS > one.ServiceS || one.Blocking.P > one.MaxBlocking {
		t.Errorf("%+v misses the service level", one)
	}
	if two.DevicesPerCell <= one.DevicesPerCell {
		t.Errorf("%d devices on one carrier, %d on two", one.DevicesPerCell, two.DevicesPerCell)
	}
	if one.First == "" || one.Beyond <= one.DevicesPerCell {
		t.Errorf("%+v does not say what ends it", one)
	}
}

// campaignCell is a cell of good coverage for campaigns.
func campaignCell(t *testing.T, carriers int) (*Deployment, *radio) {
	t.Helper()
	d := &Deployment{Technology: "nbiot", Carriers: carriers, Duration: 10 * time.Hour, Mode: StandAlone,
		Coverage:     []Class{{Name: "CE0", Share: 1, Profile: "nbiot", Period: 40 * time.Millisecond, Preambles: 48, Repetitions: 1, Attempts: 10}},
		RandomAccess: RandomAccess{Attempts: 10, BackOff: time.Second, Window: 10 * time.Second},
		RRC:          RRC{Connected: 1000, Response: 7, Request: 11, Setup: 40, Complete: 25, Release: 12}}
	r, err := d.radio(&d.Coverage[0])
	if err != nil {
		t.Fatal(err)
	}
	return d, r
}

func TestCampaignConcurrency(t *testing.T) {
	d, r := campaignCell(t, 4)
	last := func(limit int) float64 {
		p := &population{group: "g", interval: 100 * time.Hour, count: 100,
			sig: Signature{Update: []Step{{1, 1, 60, 1000, 30 * time.Second}, {1, 1, 60, 1000, 30 * time.Second}}},
			ota: &Campaign{Concurrency: map[string]int{"CE0": limit}, Timeout: time.Hour, Wait: 10 * time.Hour}}
		out := newCell(d, []*radio{r}, []resident{{population: p, count: 100}}, us(d.Duration), 1, seedCell).run()
		if out.homes[0].updates != 100 {
			t.Fatalf("limit %d: %d of 100 updated", limit, out.homes[0].updates)
		}
		s := sortedSeconds(out.homes[0].finished)
		return s[len(s)-1]
	}
	// A minute each, and up to a paging cycle and a set-up of a few seconds.
	for _, limit := range []int{1, 10, 100} {
		if got, least := last(limit), 60*100/float64(limit); got < least || got > least*1.12+10 {
			t.Errorf("limit %d: %g s, want a little more than %g", limit, got, least)
		}
	}
}

// TestCampaignRetries calls devices again whose update takes longer than its
// time-out: they end if each call goes on where the last one stopped, and never
// if it starts over.
func TestCampaignRetries(t *testing.T) {
	d, r := campaignCell(t, 1)
	step := Step{1, 1, 60, 1000, time.Minute}
	for _, c := range []struct {
		resumes         bool
		retries         int
		updated, failed int64
	}{{true, 0, 0, 10}, {true, 1, 0, 10}, {true, 3, 10, 0}, {false, 3, 0, 10}} {
		p := &population{group: "g", interval: 100 * time.Hour, count: 10,
			sig: Signature{Update: []Step{step, step, step, step, step, step}, UpdateResumes: c.resumes},
			ota: &Campaign{Concurrency: map[string]int{"CE0": 2}, Timeout: 150 * time.Second, Wait: 10 * time.Hour, Retries: c.retries}}
		out := newCell(d, []*radio{r}, []resident{{population: p, count: 10}}, us(d.Duration), 1, seedCell).run()
		if h := out.homes[0]; h.updates != c.updated || h.failedUpdates != c.failed || h.leftUpdates != 0 {
			t.Errorf("%+v: %d updated, %d failed, %d left", c, h.updates, h.failedUpdates, h.leftUpdates)
		}
	}
}

func TestWrongFiles(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown field":    {"technology: nbiot", "tecnology: nbiot", `:3:1: unknown field "tecnology"`},
		"count":            {"count: 52547", "count: -1", ":5:19: field groups.meters.count"},
		"no profile":       {"groups:", "coverage: [{name: a, share: 100%, profile: nbiott}]\ngroups:", ":4:44: field coverage.0.profile"},
		"shares":           {"groups:", "coverage: [{name: a, share: 90%, profile: nbiot}]\ngroups:", "add up to 90%"},
		"stack":            {"packets: []", "stack: lwm3m", `did you mean "lwm2m"`},
		"traffic":          {"traffic: tr-45.820", "traffic: x", "tr-45.820"},
		"neither interval": {", traffic: tr-45.820", "", "want interval or traffic"},
		"set":              {"packets: []", "stack: lwm2m, set: {image: 3}", "below link, radio, power, sms or stack"},
		"stack's value":    {"packets: []", "stack: lwm2m, set: {stack.lwm2m.lifetime: -1s}", "lwm2m.lifetime"},
		"class":            {"packets: []", "packets: [], coverage: {CE9: 100%}", "no such coverage class"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plan.yaml")
			if err := os.WriteFile(path, []byte(strings.Replace(mix, c.from, c.to, 1)), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			var mistakes confyaml.Errors
			if !errors.As(err, &mistakes) {
				t.Fatalf("error %v: want one with a place", err)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path+":") {
				t.Errorf("error %v: want %q", err, c.want)
			}
		})
	}
}

func TestQueueSorts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q queue
	for i := range 5000 {
		q.push(rng.Int64N(500), onPacket, int32(i))
	}
	before := event{at: -1}
	for len(q.list) > 0 {
		e := q.pop()
		if e.before(&before) {
			t.Fatalf("%+v after %+v", e, before)
		}
		before = e
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(int64(i+1) * second)
	}
	within(t, "median", h.quantile(.5), 500, 0.03)
	within(t, "99 %", h.quantile(.99), 990, 0.03)
}

// Wilson's interval: 10 of 100 is 5.52 to 17.44 %.
func TestProbability(t *testing.T) {
	p := probability(10, 100)
	within(t, "low", p.Low, 0.0552, 0.002)
	within(t, "high", p.High, 0.1744, 0.002)
	if p = probability(0, 50); p.Low != 0 || p.High < 0.05 {
		t.Errorf("0 of 50: %+v", p)
	}
}

// A satellite is seen for the first 300 s of every 5400 s.
func TestVisible(t *testing.T) {
	d := &Deployment{Technology: "nbiot", Carriers: 1, Mode: InBand}
	r, err := d.radio(&Class{Profile: "ntn-leo600", Period: time.Second, Preambles: 12, Repetitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]int64{0: 0, 299: 299, 300: 5400, 5399: 5400, 5400: 5400, 5700: 10800} {
		if got := r.visible(at * second); got != want*second {
			t.Errorf("visible(%d s) = %d s, want %d s", at, got/second, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(mix)
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := confyaml.Parse("plan.yaml", []byte(text))
		if err != nil {
			return
		}
		if d, err := load(doc, "plan.yaml", nil); err == nil && (len(d.Groups) == 0 || len(d.Coverage) == 0) {
			t.Errorf("accepted without groups or coverage")
		}
	})
}

func BenchmarkCell(b *testing.B) {
	text := strings.Replace(mix, "packets: []", "packets: [{direction: up, bytes: 105}]", 1)
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				solve(b, text, fmt.Sprintf("count=%d", n), fmt.Sprintf("sites=%d", n/10_000))
			}
		})
	}
}
