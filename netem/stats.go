package netem

// Stats counts the packets of one direction since the link's start. Always
//
//	In + Duplicated = Out + sum of Dropped + Held
type Stats struct {
	In, Out           uint64 // offered, delivered
	InBytes, OutBytes uint64 // the same in bytes of IP packets
	Duplicated        uint64 // delivered a second time; counted in Out, too
	Dropped           map[Drop]uint64
	// Waiting packets are in the queue, Held are all that are in the link:
	// waiting, in service and in flight.
	Waiting, Held int
	// WaitingBytes is what the queue's limit in bytes counts.
	WaitingBytes int
}

// Stats returns the counts of a direction.
func (l *Link) Stats(dir Direction) Stats {
	d := l.dirs[dir]
	s := d.stats.Stats
	s.Dropped = make(map[Drop]uint64)
	for i, n := range d.stats.dropped {
		if n > 0 {
			s.Dropped[drops[i]] = n
		}
	}
	s.Waiting = d.queue.len()
	s.WaitingBytes = d.queuedBytes
	s.Held = s.Waiting + d.flight.len()
	if d.serving {
		s.Held++
	}
	return s
}

// drops indexes counts of drops, so that counting needs no map.
var drops = [...]Drop{DropQueue, DropLoss, DropOutage, DropCorrupt, DropMTU}

type counts struct {
	Stats
	dropped [len(drops)]uint64
}

func (d *direction) dropped(why Drop) {
	for i := range drops {
		if drops[i] == why {
			d.stats.dropped[i]++
		}
	}
}
