package tc

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/thinlink/thinlink/internal/units"
	"github.com/thinlink/thinlink/netem"
)

// Netem is one netem discipline in the kernel's units: probabilities of 32
// bits, rates in bytes per second. Its zero value but for Limit shapes
// nothing.
type Netem struct {
	Limit         uint32 // packets held at once, those in flight included
	Delay, Jitter time.Duration
	// Table is the jitter's distribution; nil is uniform.
	Table        []int16            `json:"-"`
	Distribution netem.Distribution // names Table for people
	Loss         uint32             // independent losses
	Gemodel      *Gemodel           // instead of Loss
	Duplicate    uint32
	Corrupt      uint32
	Rate         uint64 // bytes/s; 0 is no limit
	Overhead     int32  // bytes added to each Ethernet frame where Rate counts it
	// Seed is of the discipline's own generator, where the kernel has one.
	Seed uint64
}

// Gemodel is tc's Gilbert-Elliott loss model with the probabilities as the
// kernel takes them: P and R of changing to the bad state and back, H of
// delivery in the bad state, K1 of loss in the good one.
type Gemodel struct{ P, R, H, K1 uint32 }

// String is what tc calls the discipline: the arguments after "netem". A
// distribution that tc has no file for is a comment.
func (n *Netem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "limit %d", n.Limit)
	if n.Delay > 0 || n.Jitter > 0 {
		fmt.Fprintf(&b, " delay %v", n.Delay)
	}
	comment := ""
	if n.Jitter > 0 {
		fmt.Fprintf(&b, " %v", n.Jitter)
		switch n.Distribution {
		case netem.Normal, netem.Pareto, netem.ParetoNormal:
			fmt.Fprintf(&b, " distribution %s", n.Distribution)
		case netem.LogNormal, netem.Table:
			comment = fmt.Sprintf(" # distribution %s, for which tc has no file", n.Distribution)
		}
	}
	if g := n.Gemodel; g != nil {
		fmt.Fprintf(&b, " loss gemodel %s %s %s %s", percent(share(g.P)), percent(share(g.R)), percent(1-share(g.H)), percent(share(g.K1)))
	} else if n.Loss > 0 {
		fmt.Fprintf(&b, " loss %s", percent(share(n.Loss)))
	}
	if n.Duplicate > 0 {
		fmt.Fprintf(&b, " duplicate %s", percent(share(n.Duplicate)))
	}
	if n.Corrupt > 0 {
		fmt.Fprintf(&b, " corrupt %s", percent(share(n.Corrupt)))
	}
	if n.Rate > 0 {
		fmt.Fprintf(&b, " rate %v", units.BitRate(8*n.Rate))
		if n.Overhead != 0 {
			fmt.Fprintf(&b, " %d", n.Overhead)
		}
	}
	return b.String() + comment
}

// Describe says what the discipline does, for people.
func (n *Netem) Describe() string {
	list := []string{"any rate"}
	if n.Rate > 0 && n.Rate != inOrder {
		list[0] = units.BitRate(8 * n.Rate).Human()
	}
	if n.Delay > 0 || n.Jitter > 0 {
		list = append(list, n.Delay.String()+" late")
	}
	if n.Jitter > 0 {
		form := n.Distribution
		if form == "" {
			form = netem.Uniform
		}
		list = append(list, fmt.Sprintf("give or take %v (%s)", n.Jitter, form))
	}
	for _, s := range []struct {
		of   uint32
		what string
	}{{n.Loss, "lost"}, {n.Duplicate, "twice"}, {n.Corrupt, "damaged"}} {
		if s.of > 0 {
			list = append(list, fmt.Sprintf("%.3g %% %s", 100*share(s.of), s.what))
		}
	}
	if n.Gemodel != nil {
		list = append(list, "losses in bursts")
	}
	if n.Limit != unlimited {
		list = append(list, fmt.Sprintf("at most %d packets inside", n.Limit))
	}
	return strings.Join(list, ", ")
}

func percent(p float64) string {
	return strconv.FormatFloat(100*p, 'g', 6, 64) + "%"
}

// differences names what the kernel holds otherwise than asked for.
func (n *Netem) differences(got *Netem) []string {
	var list []string
	differ := func(name string, want, got any) {
		if want != got {
			list = append(list, fmt.Sprintf("%s: asked for %v, the kernel has %v", name, want, got))
		}
	}
	ge := func(g *Gemodel) Gemodel {
		if g == nil {
			return Gemodel{}
		}
		return *g
	}
	differ("limit", n.Limit, got.Limit)
	differ("delay", n.Delay, got.Delay)
	differ("jitter", n.Jitter, got.Jitter)
	differ("loss", n.Loss, got.Loss)
	differ("loss gemodel", ge(n.Gemodel), ge(got.Gemodel))
	differ("duplicate", n.Duplicate, got.Duplicate)
	differ("corrupt", n.Corrupt, got.Corrupt)
	differ("rate", n.Rate, got.Rate)
	if n.Rate > 0 {
		differ("overhead", n.Overhead, got.Overhead)
	}
	return list
}
