package report

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A namedPlot is a chart on its way to a file.
type namedPlot struct {
	name          string
	plot          *plot.Plot
	width, height vg.Length
	legend        *plot.Legend // to the right of the plot; nil: none there
}

// Plots writes every chart of a folder's page as a file of its own into dir,
// which it creates: format "svg" or "png". It returns the files' names.
func Plots(dir, format string, f *Folder) ([]string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	plots, err := plotsOf(f)
	if err != nil {
		return nil, err
	}
	var names []string
	seen := make(map[string]int)
	for _, p := range plots {
		name := fileName(p.name)
		if seen[name]++; seen[name] > 1 {
			name += fmt.Sprintf("-%d", seen[name])
		}
		name += "." + format
		if err := p.save(filepath.Join(dir, name), format); err != nil {
			return names, fmt.Errorf("%s: %w", name, err)
		}
		names = append(names, name)
	}
	return names, nil
}

// save draws the plot with a margin, and its legend, if it is to stand beside,
// on the right.
func (p *namedPlot) save(file, format string) error {
	var canvas vg.CanvasWriterTo
	if format == "png" {
		// Twice the usual resolution, for print and fine screens.
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(192))}
	} else {
		canvas = vgsvg.New(p.width, p.height)
	}
	const margin = 10
	c := draw.New(canvas)
	c.FillPolygon(color.White, []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}})
	c = draw.Crop(c, margin, -margin, margin, -margin)
	if p.legend != nil {
		const width = 150
		p.legend.Draw(draw.Crop(c, c.Max.X-c.Min.X-width, 0, 0, -20))
		c = draw.Crop(c, 0, -width-margin, 0, 0)
	}
	p.plot.Draw(c)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o666)
}

// sans is a plot's typeface.
func sans(p *plot.Plot) {
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font.Variant = "Sans"
		style.Font.Size = vg.Points(9)
	}
	p.Title.TextStyle.Font.Size = vg.Points(11)
	p.Title.Padding = vg.Points(6)
}

// fileName keeps what is safe in a file's name everywhere.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '=', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	return strings.Trim(s, "-.")
}

// A plotSet collects plots until one of them fails.
type plotSet struct {
	plots []namedPlot
	err   error
}

func (s *plotSet) add(name string, width, height vg.Length, fill func(*plot.Plot) error) {
	if s.err != nil {
		return
	}
	p := plot.New()
	sans(p)
	if err := fill(p); err != nil {
		s.err = fmt.Errorf("plot %s: %w", name, err)
		return
	}
	s.plots = append(s.plots, namedPlot{name: name, plot: p, width: width, height: height})
}

func plotsOf(f *Folder) ([]namedPlot, error) {
	g := f.grid()
	s := &plotSet{}
	for _, view := range g.views {
		for _, m := range heatMetrics {
			if !g.measures(view, m) {
				continue
			}
			maps, scale := g.heatMaps(view, m)
			for _, h := range maps {
				name := "matrix-" + m.name + "-" + view
				if h.Title != view {
					name += "-" + h.Title
				}
				s.add(name, vg.Length(140+58*len(h.Cols)), vg.Length(80+22*len(h.Rows)), func(p *plot.Plot) error {
					p.Title.Text = m.axis() + ": " + view
					if h.Title != view {
						p.Title.Text += " over " + h.Title
					}
					return h.plot(p, scale)
				})
			}
		}
		losses := g.lossesOf(view, "")
		if len(losses) > 1 {
			for _, c := range g.curves(view, completionTime) {
				s.add("curves-"+view+"-"+c.Title, 640, 320, func(p *plot.Plot) error { return c.plot(p, view) })
				s.legendRight()
			}
		}
		for _, loss := range losses {
			suffix := view + map[bool]string{true: "", false: "-loss-" + loss}[loss == ""]
			heading := view
			if loss != "" {
				heading += ", loss " + lossLabel(loss)
			}
			s.bars("layers-"+suffix, heading, g.splits(view, loss, layerNames, layersOf))
			s.bars("directions-"+suffix, heading, g.splits(view, loss, directionNames, directionsOf))
		}
	}
	s.bars("waste", "wasted bytes", g.waste())
	captured, _, _ := captures(f)
	for _, c := range captured {
		for _, chart := range c.Charts {
			s.add("capture-"+chart.Title, 480, 240, chart.plot)
		}
	}
	return s.plots, s.err
}

// legendRight moves the last plot's legend out of the plot.
func (s *plotSet) legendRight() {
	if s.err != nil {
		return
	}
	p := &s.plots[len(s.plots)-1]
	legend := p.plot.Legend
	legend.Padding = vg.Points(2)
	legend.Top, legend.Left = true, true
	p.plot.Legend, p.legend = plot.NewLegend(), &legend
}

func (s *plotSet) bars(name, heading string, charts []*barChart) {
	for _, c := range charts {
		rows := len(c.Rows)
		if c.Grouped {
			rows *= len(c.Parts)
		}
		s.add(name+"-"+c.Title, 560, vg.Length(130+18*rows), func(p *plot.Plot) error { return c.plot(p, heading) })
	}
}
