package dgram

import (
	"encoding/json"
	"errors"
	"io/fs"
	"sync"

	"github.com/pion/dtls/v3"

	"github.com/thinlink/thinlink/clients/flash"
)

// Sessions remembers DTLS sessions, so that they can be resumed by an
// abbreviated handshake. It implements dtls.SessionStore. The zero value is in
// memory.
type Sessions struct {
	// Flash, if not nil, keeps the sessions over a reboot.
	Flash flash.Store

	mu     sync.Mutex
	loaded bool
	byKey  map[string]dtls.Session
	order  []string // oldest first
}

// maxSessions bounds what a server remembers.
const maxSessions = 10_000

// sessionRecord is the name in flash memory.
const sessionRecord = "dtls-sessions"

// Set implements dtls.SessionStore.
func (s *Sessions) Set(key []byte, session dtls.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load()
	if _, known := s.byKey[string(key)]; !known {
		s.order = append(s.order, string(key))
	}
	s.byKey[string(key)] = session
	if len(s.order) > maxSessions {
		delete(s.byKey, s.order[0])
		s.order = s.order[1:]
	}
	return s.save()
}

// Get implements dtls.SessionStore; an unknown session is the zero one.
func (s *Sessions) Get(key []byte) (dtls.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load()
	return s.byKey[string(key)], nil
}

// Del implements dtls.SessionStore.
func (s *Sessions) Del(key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load()
	if _, known := s.byKey[string(key)]; !known {
		return nil
	}
	delete(s.byKey, string(key))
	for i, k := range s.order {
		if k == string(key) {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	return s.save()
}

// load reads what is in flash memory, once. What cannot be read is forgotten:
// the next handshake is a full one.
func (s *Sessions) load() {
	if s.loaded {
		return
	}
	s.loaded, s.byKey = true, map[string]dtls.Session{}
	if s.Flash == nil {
		return
	}
	data, err := s.Flash.Load(sessionRecord)
	if err != nil || json.Unmarshal(data, &s.byKey) != nil || s.byKey == nil {
		s.byKey = map[string]dtls.Session{}
	}
	for key := range s.byKey {
		s.order = append(s.order, key)
	}
}

func (s *Sessions) save() error {
	if s.Flash == nil {
		return nil
	}
	data, err := json.Marshal(s.byKey)
	if err == nil {
		err = s.Flash.Save(sessionRecord, data)
	}
	if errors.Is(err, fs.ErrClosed) { // the power is off
		return nil
	}
	return err
}

var _ dtls.SessionStore = (*Sessions)(nil)
