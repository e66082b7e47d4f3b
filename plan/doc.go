// Package plan answers how many devices a cellular network carries, how long
// their messages take, what saturates first, and what data and batteries cost.
//
// Nouns: a Deployment is a YAML file of cells, coverage classes and device
// groups. A Signature is the traffic of one group in one class, measured by
// running the real stack on engine sim. A cell is a discrete-event model of
// random access, control and data channels that carries the signatures. An
// Answer is what came out, with its confidence intervals and assumptions.
//
//	d, err := plan.Load("city.yaml")
//	m := plan.NewMeter(pool) // a lab.Pool with engine sim; caches signatures
//	a, err := plan.Solve(ctx, d, m)
//	err = a.WriteText(os.Stdout)
//
// The cell model is pure: it reads no clock, starts no goroutine, and the same
// deployment and seed give the same answer. Times inside are microseconds.
//
// Limitations. A channel is a fluid server: work is served in the order of its
// arrival, packets may share it without fragmentation, and a packet's whole
// work is queued at once. Colliding preambles are all lost (no capture), and
// no preamble is missed for noise. Cells do not interfere and devices do not
// move. Paging is modelled for firmware campaigns only. The battery life takes
// the energy of an empty cell; attempts repeated because of load are not in it.
package plan
