package coap

import (
	"errors"
	"testing"
	"time"
)

func TestSeenExpiresLazily(t *testing.T) {
	s := seenMessages{lifetimes: lifetimes{247 * time.Second, 145 * time.Second}, byID: map[uint16]*seenMessage{}}
	now := time.Unix(0, 0)
	for i := range 100_000 { // 4 per second: at most 988 live
		if _, duplicate := s.see(uint16(i), i%2 == 0, now); duplicate {
			t.Fatalf("message %d is no duplicate", i)
		}
		now = now.Add(250 * time.Millisecond)
	}
	if len(s.byID) > 1000 || len(s.order) > 2100 {
		t.Errorf("%d entries, %d in order: want about 988", len(s.byID), len(s.order))
	}
	if _, duplicate := s.see(uint16((100_000-500)%65536), true, now); !duplicate {
		t.Error("a confirmable message of 125 s ago is a duplicate")
	}
	// The odd ones were non-confirmable.
	if _, duplicate := s.see(uint16((100_000-601)%65536), false, now); duplicate {
		t.Error("a non-confirmable message of 150 s ago is no duplicate")
	}
}

func TestSeenBoundsReplies(t *testing.T) {
	s := seenMessages{lifetimes: lifetimes{time.Hour, time.Hour}, byID: map[uint16]*seenMessage{}}
	now := time.Unix(0, 0)
	for i := range 10_000 {
		m, _ := s.see(uint16(i), true, now)
		s.setReply(m, make([]byte, 4))    // an empty ACK,
		s.setReply(m, make([]byte, 1100)) // then another
		if s.stored > maxStoredReplies {
			t.Fatalf("%d bytes stored after %d", s.stored, i)
		}
	}
	if m, duplicate := s.see(0, true, now); !duplicate || m.reply != nil {
		t.Error("an old message is still known as a duplicate, without its reply")
	}
	if m, duplicate := s.see(9999, true, now); !duplicate || len(m.reply) != 1100 {
		t.Error("the last reply is kept")
	}
	total := 0
	for _, m := range s.byID {
		total += len(m.reply)
	}
	if total != s.stored {
		t.Errorf("stored is %d, the replies are %d bytes", s.stored, total)
	}
}

func TestMessageIDsNotReused(t *testing.T) {
	ids := messageIDs{next: 65000, lifetime: 247 * time.Second}
	now := time.Unix(0, 0)
	used := map[uint16]bool{}
	var err error
	for err == nil {
		var mid uint16
		if mid, err = ids.take(now); err == nil {
			if used[mid] {
				t.Fatalf("ID %d was used twice", mid)
			}
			used[mid] = true
		}
	}
	if !errors.Is(err, ErrMessageIDs) || len(used) < 1<<16-idsPerPart {
		t.Errorf("%v after %d IDs, want ErrMessageIDs after 61440 or more", err, len(used))
	}
	if _, err := ids.take(now.Add(247 * time.Second)); err != nil {
		t.Errorf("after the lifetime: %v", err)
	}
}
