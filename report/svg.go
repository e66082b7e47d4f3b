package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Inline charts are drawn at the width of a phone and scale up from there, so
// that their text stays readable. Colours come from the page's style sheet,
// which knows light, dark and print.

const svgWidth = 360

// An svg collects elements.
type svg struct{ b strings.Builder }

// px prints a coordinate with a tenth of a pixel.
func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func (s *svg) printf(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

func (s *svg) text(x, y float64, class, text string) {
	s.printf(`<text x="%s" y="%s" class="%s">%s</text>`, px(x), px(y), class, html.EscapeString(text))
}

func (s *svg) line(x1, y1, x2, y2 float64, class string) {
	s.printf(`<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`, px(x1), px(y1), px(x2), px(y2), class)
}

// rect draws a bar; a tip makes it answer to the pointer.
func (s *svg) rect(x, y, w, h float64, class, tip string) {
	s.printf(`<rect x="%s" y="%s" width="%s" height="%s" class="%s"%s/>`, px(x), px(y), px(w), px(h), class, tipAttr(tip))
}

func tipAttr(tip string) string {
	if tip == "" {
		return ""
	}
	return ` data-tip="` + html.EscapeString(tip) + `"`
}

// done wraps the elements; kind tells tests and style sheets charts apart.
func (s *svg) done(kind string, height float64, label string) template.HTML {
	// Every text in s.b went through html.EscapeString.
	return template.HTML(fmt.Sprintf(`<svg class="chart %s" viewBox="0 0 %d %s" role="img" aria-label="%s">%s</svg>`,
		kind, svgWidth, px(height), html.EscapeString(label), s.b.String()))
}

// A frame is a plot's area with its two axes.
type frame struct {
	s                        *svg
	left, right, top, bottom float64
	x, y                     scale
}

func (f *frame) px(v float64) float64 { return f.left + f.x.at(v)*(f.right-f.left) }
func (f *frame) py(v float64) float64 { return f.bottom - f.y.at(v)*(f.bottom-f.top) }

// axes draws grid, ticks and labels.
func (f *frame) axes(xTicks []float64, xLabel, yLabel string) {
	for _, v := range f.y.ticks(5) {
		y := f.py(v)
		f.s.line(f.left, y, f.right, y, "grid")
		f.s.text(f.left-5, y+4, "tick end", tickLabel(v))
	}
	for _, v := range xTicks {
		x := f.px(v)
		f.s.line(x, f.bottom, x, f.bottom+4, "axis")
		f.s.text(x, f.bottom+16, "tick mid", tickLabel(v))
	}
	f.s.line(f.left, f.bottom, f.right, f.bottom, "axis")
	f.s.text((f.left+f.right)/2, f.bottom+33, "label mid", xLabel)
	middle := (f.top + f.bottom) / 2
	if f.y.Log {
		yLabel += " (log scale)"
	}
	f.s.printf(`<text transform="translate(11 %s) rotate(-90)" class="label mid">%s</text>`, px(middle), html.EscapeString(yLabel))
}

// SVG draws the chart for a page.
func (c *lineChart) SVG() template.HTML {
	const height = 270
	s := &svg{}
	f := &frame{s, 50, svgWidth - 14, 10, height - 42, c.xScale(), c.yScale()}
	f.axes(c.xTicks(), c.XLabel, c.YLabel)
	for i, l := range c.Lines {
		// Lines stand apart by a pixel or two, so that intervals at one loss
		// do not cover each other.
		shift := (float64(i) - float64(len(c.Lines)-1)/2) * 1.8
		s.printf(`<g class="series s%d" data-stack="%s">`, l.Style%styles, html.EscapeString(l.Name))
		var path strings.Builder
		for j, p := range l.Points {
			path.WriteString(map[bool]string{true: "M", false: "L"}[j == 0] + px(f.px(p.X)+shift) + " " + px(f.py(p.Y)))
		}
		s.printf(`<path class="curve%s" d="%s"/>`, dashClass(l.Style), path.String())
		for _, p := range l.Points {
			x := f.px(p.X) + shift
			if p.Lo < p.Hi {
				s.printf(`<path class="interval" d="M%s %sV%sM%s %sh5M%s %sh5"/>`, px(x), px(f.py(p.Lo)), px(f.py(p.Hi)),
					px(x-2.5), px(f.py(p.Lo)), px(x-2.5), px(f.py(p.Hi)))
			}
			class := "marker"
			if p.Doubt {
				class = "marker doubtful"
			}
			s.printf(`<path class="%s" transform="translate(%s %s)" d="%s"%s/>`, class, px(x), px(f.py(p.Y)), markerPath(l.Style), tipAttr(p.Tip))
		}
		s.printf(`</g>`)
	}
	return s.done("lines", height, c.describe())
}

// xTicks are the points' own positions where they have room, else round ones.
func (c *lineChart) xTicks() []float64 {
	xs := c.xScale()
	seen := make(map[float64]bool)
	var ticks []float64
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if !seen[p.X] {
				seen[p.X] = true
				ticks = append(ticks, p.X)
			}
		}
	}
	for i, a := range ticks {
		for _, b := range ticks[:i] {
			if math.Abs(xs.at(a)-xs.at(b)) < .07 {
				return xs.ticks(6)
			}
		}
	}
	return ticks
}

// styles is how many colours and markers there are before dashes begin.
const styles = 8

func dashClass(style int) string {
	if style/styles%2 == 1 {
		return " dashed"
	}
	return ""
}

// markerPath is a shape for each style, so that colour is not all that tells
// lines apart.
func markerPath(style int) string {
	return []string{
		"M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z",    // circle
		"M-3.6 -3.6h7.2v7.2h-7.2Z",               // square
		"M0 -4.6L4.4 3.4H-4.4Z",                  // triangle up
		"M0 -5L5 0L0 5L-5 0Z",                    // diamond
		"M0 4.6L4.4 -3.4H-4.4Z",                  // triangle down
		"M-4.5 -1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3Z", // plus
		"M-4.6 0L3.4 -4.4V4.4Z",                  // triangle left
		"M4.6 0L-3.4 -4.4V4.4Z",                  // triangle right
	}[style%styles]
}

// SVG draws the chart for a page: names above bars, so that long ones fit.
func (c *barChart) SVG() template.HTML {
	const left, right, thick = 4., svgWidth - 8., 12.
	s := &svg{}
	f := &frame{s: s, left: left, right: right, top: 4, x: scale{Max: ceilTo(c.longest(), 5)}}
	y := f.top
	for _, r := range c.Rows {
		s.printf(`<g class="row" data-stack="%s">`, html.EscapeString(r.Name))
		s.text(left, y+12, "name", r.Name)
		s.text(right, y+12, "note end", r.Note)
		y += 17
		if c.Grouped {
			y = c.groupedBars(f, r, y)
		} else {
			at := 0.
			for i, v := range r.Values {
				s.rect(f.px(at), y, f.px(at+v)-f.px(at), thick, fmt.Sprintf("part p%d", i%styles), r.Tips[i])
				at += v
			}
			y += thick
		}
		s.printf(`</g>`)
		y += 7
	}
	f.bottom = y + 2
	for _, v := range f.x.ticks(5) {
		s.line(f.px(v), f.bottom, f.px(v), f.bottom+4, "axis")
		s.text(min(max(f.px(v), left+8), right-10), f.bottom+16, "tick mid", tickLabel(v))
	}
	s.line(left, f.bottom, right, f.bottom, "axis")
	s.text((left+right)/2, f.bottom+33, "label mid", c.XLabel)
	return s.done("bars", f.bottom+38, c.describe())
}

func (c *barChart) groupedBars(f *frame, r bar, y float64) float64 {
	const thick = 9.
	for i, v := range r.Values {
		if math.IsNaN(v) {
			continue
		}
		w := f.px(v) - f.left
		f.s.rect(f.left, y, max(w, 1), thick, fmt.Sprintf("part p%d", i%styles), r.Tips[i])
		if label := kilobytes(1e3 * v); w < f.right-f.left-60 {
			f.s.text(f.left+w+4, y+thick-.5, "value", label)
		} else {
			f.s.text(f.left+w-4, y+thick-.5, "value inside end", label)
		}
		y += thick + 2
	}
	return y
}

// SVG draws the chart for a page.
func (c *columnChart) SVG() template.HTML {
	const height = 220
	s := &svg{}
	f := &frame{s: s, left: 50, right: svgWidth - 14, top: 8, bottom: height - 42, x: c.xScale(), y: c.yScale()}
	f.axes(f.x.ticks(6), c.XLabel, c.YLabel)
	for i, x := range c.X {
		x0 := f.px(x)
		w := max(f.px(x+c.Step)-x0, .6)
		if w > 4 {
			w--
		}
		down, up := f.py(c.Down[i]), f.py(c.Down[i]+c.Up[i])
		if c.Down[i] > 0 {
			s.rect(x0, down, w, f.bottom-down, "part p1", c.Tips[i])
		}
		if c.Up[i] > 0 {
			s.rect(x0, up, w, down-up, "part p0", c.Tips[i])
		}
	}
	return s.done("columns", height, c.describe())
}

func (c *columnChart) xScale() scale {
	if len(c.X) == 0 {
		return scale{Max: 1}
	}
	return scale{Min: c.X[0], Max: c.X[len(c.X)-1] + c.Step}
}

func (c *columnChart) yScale() scale {
	m := 0.
	for i := range c.X {
		m = max(m, c.Down[i]+c.Up[i])
	}
	return scale{Max: ceilTo(max(m, 1), 5), Whole: true}
}
