package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// pages are the templates, with style sheet and script inside: a page loads
// nothing.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"css":    func() template.CSS { return template.CSS(pageFile("style.css")) },
	"js":     func() template.JS { return template.JS(pageFile("script.js")) },
	"paint":  paintCell,
	"ramp":   rampGradient,
	"swatch": swatch,
	"square": square,
	"layout": layout,
}).ParseFS(pageFiles, "page/*.html"))

func pageFile(name string) string {
	b, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // embedded above
	}
	return string(b)
}

// A reportPage is what the template "report" shows.
type reportPage struct {
	Title, Lead, Description string
	Notices                  []string
	Summary                  []verdict
	Choices                  []choice
	Stacks, Profiles         []string
	Heats                    []heatSection
	Curves                   []figureSection
	Waste                    *figureSection
	Layers, Directions       []figureSection
	LayerNames               []string
	DirectionNames           []string
	Captures                 []captureSection
	CapturesLeft             int
	Table                    cellTable
	Sources                  []source
}

// A choice is a list of which one is shown.
type choice struct {
	Name, Label string
	Options     []option
}

type option struct{ Value, Text string }

// A heatSection is the heat maps of a view and metric.
type heatSection struct {
	View, Metric, Heading, Min, Max string
	Scale                           scale
	Maps                            []heatFigure
}

type heatFigure struct {
	Profile string
	Map     heatMap
	Scale   scale
}

// A figureSection is charts beside each other. Parts is the legend.
type figureSection struct {
	View, Loss, Heading string
	Parts               []string
	Figures             []figure
}

type figure struct {
	Profile, Title string
	SVG            template.HTML
}

type captureSection struct {
	Title, Summary, File string
	Figures              []figure
}

// HTML writes a folder's report as one page that loads nothing else. The same
// folder gives the same page.
func HTML(w io.Writer, f *Folder) error {
	return pages.ExecuteTemplate(w, "report", newReportPage(f))
}

func newReportPage(f *Folder) *reportPage {
	g := f.grid()
	p := &reportPage{
		Title: f.title(), Lead: g.lead(f.Records), Notices: notices(f), Summary: g.summary(),
		Stacks: g.stacks, Profiles: g.profiles,
		LayerNames: layerNames, DirectionNames: directionNames,
		Table: g.table(), Sources: sources(f, g),
	}
	if f.Sweep != nil {
		p.Description = f.Sweep.Description
	}
	var metrics, losses []option
	for _, m := range heatMetrics {
		if m.applies(f.Records) {
			metrics = append(metrics, option{m.name, m.title})
		}
	}
	for _, loss := range g.losses {
		losses = append(losses, option{loss, lossLabel(loss)})
	}
	var views []option
	for _, view := range g.views {
		views = append(views, option{view, view})
		p.addView(g, view)
	}
	for _, c := range []choice{{"view", "Show", views}, {"metric", "matrix of", metrics}, {"loss", "bytes at loss", losses}} {
		if len(c.Options) > 1 {
			p.Choices = append(p.Choices, c)
		}
	}
	if charts := g.waste(); len(charts) > 0 {
		p.Waste = &figureSection{Parts: charts[0].Parts, Figures: barFigures(charts)}
	}
	captured, left, warnings := captures(f)
	p.CapturesLeft = left
	p.Notices = append(p.Notices, warnings...)
	for _, c := range captured {
		s := captureSection{Title: c.Title, Summary: c.Summary, File: c.File}
		for _, chart := range c.Charts {
			s.Figures = append(s.Figures, figure{Title: strings.TrimPrefix(chart.Title, c.Title+": "), SVG: chart.SVG()})
		}
		p.Captures = append(p.Captures, s)
	}
	return p
}

// addView adds the sections of one view.
func (p *reportPage) addView(g *grid, view string) {
	for _, m := range heatMetrics {
		if !g.measures(view, m) {
			continue
		}
		maps, scale := g.heatMaps(view, m)
		s := heatSection{View: view, Metric: m.name, Heading: m.axis() + ": " + view, Scale: scale,
			Min: threeDigits(scale.Min / m.per), Max: threeDigits(scale.Max/m.per) + strings.TrimSuffix(" "+m.unit, " ")}
		for _, h := range maps {
			fig := heatFigure{Map: h, Scale: scale}
			if slices.Contains(g.profiles, h.Title) {
				fig.Profile = h.Title
			}
			s.Maps = append(s.Maps, fig)
		}
		p.Heats = append(p.Heats, s)
	}
	losses := g.lossesOf(view, "")
	if len(losses) > 1 {
		s := figureSection{View: view, Heading: view}
		for _, c := range g.curves(view, completionTime) {
			s.Figures = append(s.Figures, figure{c.Title, c.Title, c.SVG()})
		}
		p.Curves = append(p.Curves, s)
	}
	for _, loss := range losses {
		heading := view
		if len(g.losses) > 1 {
			heading += ", loss " + lossLabel(loss)
		}
		p.Layers = append(p.Layers, figureSection{View: view, Loss: loss, Heading: heading,
			Figures: barFigures(g.splits(view, loss, layerNames, layersOf))})
		p.Directions = append(p.Directions, figureSection{View: view, Loss: loss, Heading: heading,
			Figures: barFigures(g.splits(view, loss, directionNames, directionsOf))})
	}
}

func barFigures(charts []*barChart) []figure {
	var figures []figure
	for _, c := range charts {
		figures = append(figures, figure{c.Title, c.Title, c.SVG()})
	}
	return figures
}

// measures reports whether a metric says anything in a view.
func (g *grid) measures(view string, m *metric) bool {
	return slices.ContainsFunc(g.cells, func(c *cell) bool { return c.View == view && m.applies(c.runs) })
}

// layout is the class of n figures beside each other: two and four look best
// in two columns.
func layout(n int) string {
	if n == 2 || n == 4 {
		return "panels wide"
	}
	return "panels"
}

// ramp runs from light to dark (ColorBrewer's YlGnBu): it reads the same for
// the colour-blind, in grey and on paper.
var ramp = [][3]float64{
	{255, 255, 217}, {237, 248, 177}, {199, 233, 180}, {127, 205, 187}, {65, 182, 196},
	{29, 145, 192}, {34, 94, 168}, {37, 52, 148}, {8, 29, 88},
}

// rampColor is the ramp's colour at 0 to 1.
func rampColor(at float64) (r, g, b uint8) {
	at *= float64(len(ramp) - 1)
	i := min(int(at), len(ramp)-2)
	f := at - float64(i)
	mix := func(k int) uint8 { return uint8(math.Round(ramp[i][k]*(1-f) + ramp[i+1][k]*f)) }
	return mix(0), mix(1), mix(2)
}

// paintCell gives a cell its colour, and its text the one that reads better on
// it: relative luminance as in WCAG 2.2.
func paintCell(s scale, c heatCell) template.CSS {
	if c.Verdict != "" {
		return paintChange(c)
	}
	if math.IsNaN(c.Value) {
		return ""
	}
	r, g, b := rampColor(s.at(c.Value))
	return template.CSS(fmt.Sprintf("background-color:#%02x%02x%02x;color:%s", r, g, b, textOn(r, g, b)))
}

func textOn(r, g, b uint8) string {
	linear := func(c uint8) float64 {
		v := float64(c) / 255
		if v <= .04045 {
			return v / 12.92
		}
		return math.Pow((v+.055)/1.055, 2.4)
	}
	if .2126*linear(r)+.7152*linear(g)+.0722*linear(b) > .179 {
		return "#111"
	}
	return "#fff"
}

func rampGradient() template.CSS {
	stops := make([]string, len(ramp))
	for i := range stops {
		r, g, b := rampColor(float64(i) / float64(len(ramp)-1))
		stops[i] = fmt.Sprintf("#%02x%02x%02x", r, g, b)
	}
	return template.CSS("background:linear-gradient(to right," + strings.Join(stops, ",") + ")")
}

// swatch is a line's colour and marker, for legends.
func swatch(style int) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="-8 -8 16 16" class="s%d" aria-hidden="true"><path d="M-8 0H8" stroke="currentColor" stroke-width="1.5"%s/><path d="%s" class="marker"/></svg>`,
		style%styles, map[bool]string{true: ` stroke-dasharray="3 2"`}[dashClass(style) != ""], markerPath(style)))
}

// square is a bar part's colour, for legends.
func square(part int) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 16 16" aria-hidden="true"><rect x="2" y="2" width="12" height="12" rx="2" class="p%d"/></svg>`, part%styles))
}
