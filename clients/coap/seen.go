package coap

import "time"

// maxStoredReplies bounds the replies kept for duplicates, in bytes. A peer
// that keeps to NSTART 1 needs the last one only; beyond the bound the oldest
// are dropped, and a duplicate of theirs is then ignored, never acted upon.
const maxStoredReplies = 256 << 10

type lifetimes struct{ confirmable, non time.Duration }

// seenMessages remembers which message IDs arrived, so that a duplicate is
// answered as the original was and not executed again (RFC 7252 section 4.5).
// Entries expire when a later message arrives: nothing ticks.
type seenMessages struct {
	lifetimes
	byID map[uint16]*seenMessage
	// order lists entries by arrival, head first; replyHead is the first that
	// may still hold a reply.
	order     []*seenMessage
	head      int
	replyHead int
	stored    int // bytes of replies
}

// seenMessage is one received confirmable or non-confirmable message.
type seenMessage struct {
	mid     uint16
	expires time.Time
	reply   []byte // encoded ACK or RST, nil if there is none (yet)
	dropped bool   // reply is not to be kept any more
}

// see notes a message and reports whether it is a duplicate.
func (s *seenMessages) see(mid uint16, confirmable bool, now time.Time) (m *seenMessage, duplicate bool) {
	s.expire(now)
	if m := s.byID[mid]; m != nil && now.Before(m.expires) {
		return m, true
	}
	lifetime := s.non
	if confirmable {
		lifetime = s.confirmable
	}
	m = &seenMessage{mid: mid, expires: now.Add(lifetime)}
	s.byID[mid] = m
	s.order = append(s.order, m)
	return m, false
}

func (s *seenMessages) setReply(m *seenMessage, reply []byte) {
	if m.dropped {
		return
	}
	s.stored += len(reply) - len(m.reply)
	m.reply = reply
	for s.stored > maxStoredReplies && s.replyHead < len(s.order) {
		oldest := s.order[s.replyHead]
		if oldest == m {
			break
		}
		s.drop(oldest)
		s.replyHead++
	}
}

func (s *seenMessages) drop(m *seenMessage) {
	s.stored -= len(m.reply)
	m.reply, m.dropped = nil, true
}

// expire forgets entries from the oldest on. A short-lived entry behind a
// long-lived one stays in memory, but see does not take it for valid.
func (s *seenMessages) expire(now time.Time) {
	for s.head < len(s.order) && !now.Before(s.order[s.head].expires) {
		m := s.order[s.head]
		s.drop(m)
		if s.byID[m.mid] == m {
			delete(s.byID, m.mid)
		}
		s.order[s.head] = nil
		s.head++
	}
	s.replyHead = max(s.replyHead, s.head)
	if s.head > 64 && s.head > len(s.order)/2 {
		s.order = append(s.order[:0], s.order[s.head:]...)
		s.replyHead -= s.head
		s.head = 0
	}
}

// messageIDs hands out message IDs in sequence from a random start
// (RFC 7252 section 4.4).
type messageIDs struct {
	next     uint16
	lifetime time.Duration
	// lastUsed is when an ID of each sixteenth of the space was used last, to
	// keep an ID from being used twice within EXCHANGE_LIFETIME.
	lastUsed [16]time.Time
}

const idsPerPart = 1 << 12

func (ids *messageIDs) take(now time.Time) (uint16, error) {
	part := &ids.lastUsed[ids.next/idsPerPart]
	entering := ids.next%idsPerPart == 0
	if entering && !part.IsZero() && now.Sub(*part) < ids.lifetime {
		return 0, ErrMessageIDs
	}
	*part = now
	mid := ids.next
	ids.next++
	return mid, nil
}
