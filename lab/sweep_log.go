package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// The files of a directory of results.
const (
	ResultsFile = "results.jsonl"
	SweepFile   = "sweep.json"
)

// syncEvery bounds what a power failure can take: results reach the disk at
// most so much later. The death of the process takes nothing.
const syncEvery = time.Second

// ReadResults reads lines of results as far as they can be read. damaged
// counts the others: the last line of a process that died, or what a power
// failure left. Of several lines with one key the last holds.
func ReadResults(r io.Reader) (results []SweepResult, damaged int, err error) {
	at := map[string]int{} // by key
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) > 0 {
			return results, damaged + 1, nil // torn: a whole line ends
		} else if err == io.EOF {
			return results, damaged, nil
		} else if err != nil {
			return nil, 0, fmt.Errorf("results: %w", err)
		}
		var res SweepResult
		if json.Unmarshal(line, &res) != nil || res.Profile == "" {
			damaged++
			continue
		}
		if i, again := at[res.Key]; again && res.Key != "" {
			results[i] = res
			damaged++
			continue
		}
		at[res.Key] = len(results)
		results = append(results, res)
	}
}

// A resultLog is results.jsonl, open for appending.
type resultLog struct {
	mu    sync.Mutex
	file  *os.File
	size  int64       // of whole lines
	timer *time.Timer // of the next sync; nil: all is on the disk
	err   error       // of a sync in the background
}

// encodeResults writes results as ReadResults reads them.
func encodeResults(results []SweepResult) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, res := range results {
		if err := enc.Encode(res); err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
	}
	return b.Bytes(), nil
}

func openLog(path string) (*resultLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &resultLog{file: f, size: info.Size()}, nil
}

// add appends a line. After an error the file ends with a whole line.
func (l *resultLog) add(res SweepResult) error {
	line, err := json.Marshal(res)
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(len(line)) + 1
	if l.timer == nil {
		l.timer = time.AfterFunc(syncEvery, l.sync)
	}
	return nil
}

func (l *resultLog) sync() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil { // closed meanwhile
		return
	}
	l.timer = nil
	if err := l.file.Sync(); err != nil {
		l.err = err
	}
}

func (l *resultLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	return errors.Join(l.err, l.file.Sync(), l.file.Close())
}

// replaceFile writes a file so that at any moment there is the old one or the
// new one.
func replaceFile(path string, data []byte) error {
	next := path + ".tmp" // what a dead process left of it is overwritten
	f, err := os.Create(next)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes new names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockDir keeps a second sweep out of a directory. The lock ends with the
// process.
func lockDir(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another sweep writes to %s", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return d, nil
}
