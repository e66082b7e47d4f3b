package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// palette holds the page's colours on white.
var palette = []color.RGBA{
	{0x00, 0x72, 0xb2, 255}, {0xd5, 0x5e, 0x00, 255}, {0x00, 0x9e, 0x73, 255}, {0xb5, 0x55, 0x8f, 255},
	{0xc9, 0x8a, 0x00, 255}, {0x2f, 0x97, 0xcf, 255}, {0x6e, 0x77, 0x81, 255}, {0x8b, 0x5a, 0x2b, 255},
}

// partColors are the order of palette in bars, as in the style sheet.
var partColors = []int{0, 4, 3, 5, 2, 1, 6, 7}

func partColor(i int) color.RGBA { return palette[partColors[i%len(partColors)]] }

// glyphs are the markers that gonum has nearest to the page's.
var glyphs = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{},
	draw.RingGlyph{}, draw.PlusGlyph{}, draw.SquareGlyph{}, draw.CrossGlyph{},
}

// ticker puts gonum's ticks where the page has them.
func ticker(at []float64) plot.Ticker {
	return plot.TickerFunc(func(_, _ float64) []plot.Tick {
		ticks := make([]plot.Tick, len(at))
		for i, v := range at {
			ticks[i] = plot.Tick{Value: v, Label: tickLabel(v)}
		}
		return ticks
	})
}

// pointsWithErrors is points with y errors, as gonum wants them.
type pointsWithErrors []point

func (p pointsWithErrors) Len() int                      { return len(p) }
func (p pointsWithErrors) XY(i int) (x, y float64)       { return p[i].X, p[i].Y }
func (p pointsWithErrors) YError(i int) (lo, hi float64) { return p[i].Y - p[i].Lo, p[i].Hi - p[i].Y }

func (c *lineChart) plot(p *plot.Plot, view string) error {
	p.Title.Text = view + " over " + c.Title
	p.X.Label.Text, p.Y.Label.Text = c.XLabel, c.YLabel
	xs, ys := c.xScale(), c.yScale()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xs.Min, xs.Max, ys.Min, ys.Max
	p.X.Tick.Marker, p.Y.Tick.Marker = ticker(c.xTicks()), ticker(ys.ticks(5))
	if ys.Log {
		p.Y.Scale = plot.LogScale{}
		p.Y.Label.Text += " (log scale)"
	}
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	p.Add(grid)
	for _, l := range c.Lines {
		line, points, err := plotter.NewLinePoints(pointsWithErrors(l.Points))
		if err != nil {
			return err
		}
		bars, err := plotter.NewYErrorBars(pointsWithErrors(l.Points))
		if err != nil {
			return err
		}
		col := palette[l.Style%len(palette)]
		line.Color, points.Color, bars.Color = col, col, col
		line.Width, bars.Width, bars.CapWidth = vg.Points(1.2), vg.Points(.6), vg.Points(4)
		if dashClass(l.Style) != "" {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
		}
		points.Shape, points.Radius = glyphs[l.Style%len(glyphs)], vg.Points(2.8)
		p.Add(bars, line, points)
		if err := addDoubts(p, l.Points, col); err != nil {
			return err
		}
		p.Legend.Add(l.Name, line, points)
	}
	return nil
}

// plot draws cells itself: gonum's heat map knows one colour for all that is
// not a number, no logarithmic scale and no text.
func (h *heatMap) plot(p *plot.Plot, s scale) error {
	p.X.Label.Text = h.Corner
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -.5, float64(len(h.Cols))-.5, -.5, float64(len(h.Rows))-.5
	p.Add(&heatPlotter{h, s})
	p.X.Tick.Marker = names(h.Cols, false)
	p.Y.Tick.Marker = names(h.Rows, true)
	return nil
}

// names puts a name at each whole number.
func names(list []string, fromTop bool) plot.Ticker {
	return plot.TickerFunc(func(_, _ float64) []plot.Tick {
		ticks := make([]plot.Tick, len(list))
		for i, name := range list {
			at := i
			if fromTop {
				at = len(list) - 1 - i
			}
			ticks[i] = plot.Tick{Value: float64(at), Label: name}
		}
		return ticks
	})
}

// addDoubts puts rings around the points that are doubtful.
func addDoubts(p *plot.Plot, points []point, col color.Color) error {
	var doubtful pointsWithErrors
	for _, pt := range points {
		if pt.Doubt {
			doubtful = append(doubtful, pt)
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	rings, err := plotter.NewScatter(doubtful)
	if err != nil {
		return err
	}
	rings.Shape, rings.Radius, rings.Color = draw.RingGlyph{}, vg.Points(6), col
	p.Add(rings)
	return nil
}

type heatPlotter struct {
	*heatMap
	scale scale
}

// Plot implements plot.Plotter.
func (h *heatPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	for i, row := range h.Cells {
		y := float64(len(h.Rows) - 1 - i)
		for j, cell := range row {
			x := float64(j)
			text := color.RGBA{0x11, 0x11, 0x11, 255}
			if !math.IsNaN(cell.Value) {
				r, g, b := rampColor(h.scale.at(cell.Value))
				box := []vg.Point{{X: tx(x - .48), Y: ty(y - .47)}, {X: tx(x + .48), Y: ty(y - .47)}, {X: tx(x + .48), Y: ty(y + .47)}, {X: tx(x - .48), Y: ty(y + .47)}}
				c.FillPolygon(color.RGBA{r, g, b, 255}, box)
				if textOn(r, g, b) == "#fff" {
					text = color.RGBA{255, 255, 255, 255}
				}
			}
			label := cell.Text
			if label != "" && cell.Doubt != "" {
				label += " ?"
			}
			style := draw.TextStyle{
				Color: text, Font: font.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans", Size: vg.Points(9)}, Handler: plot.DefaultTextHandler,
				XAlign: draw.XCenter, YAlign: draw.YCenter,
			}
			c.FillText(style, vg.Point{X: tx(x), Y: ty(y)}, label)
		}
	}
}

func (c *barChart) plot(p *plot.Plot, heading string) error {
	p.Title.Text = heading + " over " + c.Title
	p.X.Label.Text = c.XLabel
	p.X.Min, p.X.Max = 0, ceilTo(c.longest(), 5)
	p.Y.Min, p.Y.Max = -.6, float64(len(c.Rows))-.4
	p.X.Tick.Marker = ticker(scale{Max: p.X.Max}.ticks(5))
	labels := make([]string, len(c.Rows))
	for i, r := range c.Rows {
		labels[i] = r.Name
	}
	p.Y.Tick.Marker = names(labels, true)
	p.Add(&barPlotter{c})
	for i, part := range c.Parts {
		p.Legend.Add(part, legendBox(partColor(i)))
	}
	p.Legend.Top, p.Legend.Padding = true, vg.Points(2)
	// Above the bars, where nothing is drawn.
	p.Y.Max += float64(len(c.Parts)) * .7
	return nil
}

type barPlotter struct{ *barChart }

// Plot implements plot.Plotter.
func (b *barPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	fill := func(x0, x1, y0, y1 float64, part int) {
		c.FillPolygon(partColor(part), []vg.Point{{X: tx(x0), Y: ty(y0)}, {X: tx(x1), Y: ty(y0)}, {X: tx(x1), Y: ty(y1)}, {X: tx(x0), Y: ty(y1)}})
	}
	for i, r := range b.Rows {
		y := float64(len(b.Rows) - 1 - i)
		at := 0.
		for k, v := range r.Values {
			switch {
			case math.IsNaN(v):
			case b.Grouped:
				thick := .8 / float64(len(r.Values))
				top := y + .4 - float64(k)*thick
				fill(0, v, top-thick, top, k)
			default:
				fill(at, at+v, y-.35, y+.35, k)
				at += v
			}
		}
	}
}

// legendBox is a legend's thumbnail.
type legendBox color.RGBA

// Thumbnail implements plot.Thumbnailer.
func (s legendBox) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(color.RGBA(s), []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}})
}

func (c *columnChart) plot(p *plot.Plot) error {
	p.Title.Text = c.Title
	p.X.Label.Text, p.Y.Label.Text = c.XLabel, c.YLabel
	xs, ys := c.xScale(), c.yScale()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xs.Min, xs.Max, ys.Min, ys.Max
	p.X.Tick.Marker, p.Y.Tick.Marker = ticker(xs.ticks(6)), ticker(ys.ticks(5))
	p.Add(&columnPlotter{c})
	for i, name := range directionNames {
		p.Legend.Add(name, legendBox(partColor(i)))
	}
	p.Legend.Top, p.Legend.Padding = true, vg.Points(2)
	return nil
}

type columnPlotter struct{ *columnChart }

// Plot implements plot.Plotter.
func (b *columnPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	tx, ty := p.Transforms(&c)
	for i, x := range b.X {
		fill := func(from, to float64, part int) {
			if to > from {
				c.FillPolygon(partColor(part), []vg.Point{{X: tx(x), Y: ty(from)}, {X: tx(x + b.Step), Y: ty(from)}, {X: tx(x + b.Step), Y: ty(to)}, {X: tx(x), Y: ty(to)}})
			}
		}
		fill(0, b.Down[i], 1)
		fill(b.Down[i], b.Down[i]+b.Up[i], 0)
	}
}
