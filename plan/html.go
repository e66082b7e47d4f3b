package plan

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// WriteHTML writes a page with plots that needs nothing from elsewhere.
func WriteHTML(w io.Writer, answers []*Answer) error {
	type section struct {
		Name   string
		Text   string
		Charts []template.HTML
	}
	page := struct {
		Title    string
		Sections []section
		Compare  [][]string
	}{Title: answers[0].Deployment}
	for _, a := range answers {
		var b strings.Builder
		if err := WriteText(&b, []*Answer{a}); err != nil {
			return err
		}
		page.Sections = append(page.Sections, section{a.name(), b.String(), a.charts()})
	}
	if len(answers) > 1 {
		page.Compare = sideBySide(answers)
	}
	return pageTemplate.Execute(w, page)
}

// A curve is one line of a chart over the hours.
type curve struct {
	name   string
	values []float64
}

func (a *Answer) charts() []template.HTML {
	var use, access []curve
	for _, u := range a.Channels {
		if u.Class == "all" {
			use = append(use, curve{u.Channel, u.ByHour})
		}
	}
	for _, x := range a.Access {
		access = append(access, curve{x.Class, x.ByHour})
	}
	held := []curve{{"connections", a.Connected.ByHour}}
	return []template.HTML{
		chart("utilisation by hour, %", use, 100), chart("random access load by hour, preambles in 100 opportunities", access, 100),
		chart("connections of a cell by hour", held, 1),
	}
}

// chart draws curves as steps over the hours, scaled by a factor.
func chart(title string, curves []curve, factor float64) template.HTML {
	const width, height, left, top, bottom = 640., 240., 50., 10., 40.
	most := 1e-9
	hours := 1
	for _, c := range curves {
		for _, v := range c.values {
			most = max(most, v*factor)
		}
		hours = max(hours, len(c.values))
	}
	var b strings.Builder
	y := func(v float64) float64 { return top + (height-top-bottom)*(1-v/most) }
	x := func(i int) float64 { return left + (width-left)*float64(i)/float64(hours) }
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(&b, `<line class="g" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="2" y="%.1f">%.3g</text>`, left, width, y(v), y(v), y(v)+4, v)
	}
	for i := 0; i <= hours; i += max(1, hours/8) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g">%d</text>`, x(i), height-22, i)
	}
	for n, c := range curves {
		var path strings.Builder
		for i, v := range c.values {
			fmt.Fprintf(&path, "%.1f,%.1f %.1f,%.1f ", x(i), y(v*factor), x(i+1), y(v*factor))
		}
		fmt.Fprintf(&b, `<polyline class="c%d" points="%s"/><text class="t%d" x="%g" y="%g">%s</text>`,
			n%4, strings.TrimSpace(path.String()), n%4, left+float64(n)*130, height-4, template.HTMLEscapeString(c.name))
	}
	// Every text went through HTMLEscapeString; the rest are numbers.
	return template.HTML(fmt.Sprintf(`<figure><figcaption>%s</figcaption><svg viewBox="0 0 %g %g" role="img" aria-label="%s">%s</svg></figure>`,
		template.HTMLEscapeString(title), width, height, template.HTMLEscapeString(title), b.String()))
}

var pageTemplate = template.Must(template.New("plan").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Title}}</title><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
pre{overflow-x:auto;font-size:13px}table{border-collapse:collapse}td{padding:.2rem .8rem .2rem 0;border-bottom:1px solid #8884}
figure{margin:1rem 0}svg{width:100%;max-width:40rem}svg text{font-size:12px;fill:currentColor}.g{stroke:#8884}polyline{fill:none;stroke-width:2}
.c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#009e73}.c3{stroke:#cc79a7}svg .t0{fill:#0072b2}svg .t1{fill:#d55e00}svg .t2{fill:#009e73}svg .t3{fill:#cc79a7}
</style></head><body><h1>{{.Title}}</h1>
{{with .Compare}}<h2>side by side</h2><table>{{range .}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>{{end}}</table>{{end}}
{{range .Sections}}<h2>{{.Name}}</h2>{{range .Charts}}{{.}}{{end}}<pre>{{.Text}}</pre>{{end}}
</body></html>
`))
