package tcp

import (
	"fmt"
	"time"
)

// Config says which of TCP's mechanisms an end uses, and their constants. It
// is plain data; start from [Linux] or [LwIP] and change fields. A change
// never affects connections that exist.
type Config struct {
	// Congestion is the congestion control: "cubic" (RFC 9438) or "reno"
	// (RFC 5681).
	Congestion string `conf:"congestion"`
	// HyStart leaves slow start of CUBIC when the round trip grows or ACKs
	// arrive in a train as long as half a round trip, as Linux does.
	HyStart bool `conf:"hystart"`
	// InitialWindow is the first congestion window in segments (RFC 6928: 10).
	InitialWindow int `conf:"initial_window"`
	// SlowStartAfterIdle halves the window for every RTO of idleness, down to
	// the initial window (RFC 2861; Linux: on).
	SlowStartAfterIdle bool `conf:"slow_start_after_idle"`
	// PRR reduces the window in proportion to what is delivered (RFC 6937);
	// without it the window drops to ssthresh at once (RFC 5681 section 3.2).
	PRR bool `conf:"prr"`
	// RACK detects losses by time (RFC 8985 section 6). Without it a segment
	// is lost when DupThresh segments above it were SACKed (RFC 6675), or
	// after DupThresh duplicate ACKs (RFC 6582).
	RACK bool `conf:"rack"`
	// TLP sends a tail loss probe after two round trips without an ACK
	// (RFC 8985 section 7). It needs SACK.
	TLP bool `conf:"tlp"`
	// FRTO detects a spurious retransmission time-out by what is acknowledged
	// after it (RFC 5682).
	FRTO bool `conf:"frto"`
	// Undo restores the window after retransmissions that D-SACK (RFC 3708)
	// or timestamps (Eifel, RFC 3522) prove to have been spurious.
	Undo bool `conf:"undo"`
	// NewReno keeps fast recovery until all that was outstanding at its start
	// is acknowledged (RFC 6582); without it, and without SACK, recovery ends
	// with the first new ACK (RFC 5681).
	NewReno bool `conf:"newreno"`
	// DupThresh is the number of duplicate ACKs that mean a loss (RFC 5681: 3).
	DupThresh int `conf:"dupthresh"`
	// NoDelay turns Nagle's algorithm off (RFC 9293 section 3.7.4), as Go's
	// net package does for every connection.
	NoDelay bool `conf:"nodelay"`

	// MSS bounds the maximum segment size offered and used; 0 takes it from
	// the MTU: MTU - 40, with IPv6 MTU - 60 (RFC 6691).
	MSS int `conf:"mss"`
	// SACK offers selective acknowledgements (RFC 2018).
	SACK bool `conf:"sack"`
	// DSACK reports duplicates in the first SACK block (RFC 2883).
	DSACK bool `conf:"dsack"`
	// Timestamps offers the timestamps option and with it PAWS (RFC 7323
	// sections 3 and 5).
	Timestamps bool `conf:"timestamps"`
	// WindowScaling offers the window scale option (RFC 7323 section 2).
	WindowScaling bool `conf:"window_scaling"`

	// Tick is the granularity of timers: they fire on its multiples. Linux: 4
	// ms (CONFIG_HZ=250, as Debian builds it).
	Tick time.Duration `conf:"tick"`
	// TimerWheel lets a timer fire late by up to an eighth of its length, as
	// Linux's timer wheel does.
	TimerWheel bool `conf:"timer_wheel"`
	// TimerPhase is where between the grid's points a connection begins, in
	// whole ticks. A kernel's is arbitrary: a time-out rounded up by the wheel
	// may come an eighth of its length earlier or later.
	TimerPhase time.Duration `conf:"timer_phase"`
	// InitialRTO is the retransmission time-out before the first round trip
	// was measured (RFC 6298 section 2.1: 1 s).
	InitialRTO time.Duration `conf:"initial_rto"`
	// MinRTO is the least of the variance part of the RTO in Linux (200 ms),
	// of the RTO as a whole with the estimator "jacobson".
	MinRTO time.Duration `conf:"min_rto"`
	// MaxRTO is the greatest RTO (RFC 6298 section 2.5 allows 60 s and more;
	// Linux: 120 s).
	MaxRTO time.Duration `conf:"max_rto"`
	// RTTEstimator is "linux" (RFC 6298 with Linux's decay of the variance) or
	// "jacobson" (RFC 6298 as it stands).
	RTTEstimator string `conf:"rtt_estimator"`
	// RTTGranularity is the unit in which round trips are measured; 0 is exact.
	RTTGranularity time.Duration `conf:"rtt_granularity"`

	// SYNRetries and SYNACKRetries bound the retransmissions of SYN (Linux: 6)
	// and SYN-ACK (5).
	SYNRetries    int `conf:"syn_retries"`
	SYNACKRetries int `conf:"synack_retries"`
	// Retries gives up a connection when nothing was acknowledged for as long
	// as that many retransmissions from MinRTO on would take (RFC 9293
	// section 3.8.3, R2; Linux's tcp_retries2: 15, 924.6 s).
	Retries int `conf:"retries"`
	// UserTimeout gives up after that long without an acknowledgement instead
	// (RFC 9293 section 3.9.1); 0 leaves it to Retries.
	UserTimeout time.Duration `conf:"user_timeout"`
	// KeepAlive is the idle time before the first probe (RFC 9293 section
	// 3.8.4); 0, the default, sends none.
	KeepAlive time.Duration `conf:"keepalive"`
	// KeepAliveInterval and KeepAliveProbes say how often and how many
	// unanswered probes are sent (Linux: 75 s, 9).
	KeepAliveInterval time.Duration `conf:"keepalive_interval"`
	KeepAliveProbes   int           `conf:"keepalive_probes"`
	// TimeWait is the length of TIME-WAIT, 2 MSL (RFC 9293 section 3.4.2;
	// Linux: 60 s), and of an orphaned FIN-WAIT-2.
	TimeWait time.Duration `conf:"time_wait"`

	// DelayedACKMin and DelayedACKMax bound the delay of an ACK (RFC 9293
	// section 3.8.6.3: below 500 ms; Linux: 40 and 200 ms).
	DelayedACKMin time.Duration `conf:"delayed_ack_min"`
	DelayedACKMax time.Duration `conf:"delayed_ack_max"`
	// QuickACKs is how many ACKs leave at once when a bulk transfer starts
	// (Linux: 16); 0 delays from the first on.
	QuickACKs int `conf:"quick_acks"`

	// ReceiveBuffer and MaxReceiveBuffer are the receive buffer at the start
	// and after auto-tuning, in bytes, half of which is window (Linux's
	// tcp_rmem: 131072, 6291456). Without a MaxReceiveBuffer nothing is tuned
	// and the whole of ReceiveBuffer is window.
	ReceiveBuffer    int `conf:"receive_buffer"`
	MaxReceiveBuffer int `conf:"max_receive_buffer"`
	// SendBuffer fixes the bytes that may wait unacknowledged; 0 lets the
	// buffer grow with twice the congestion window up to MaxSendBuffer (Linux's
	// tcp_wmem: 4194304), which counts the kernel's overhead too: about half
	// of it is payload.
	SendBuffer    int `conf:"send_buffer"`
	MaxSendBuffer int `conf:"max_send_buffer"`
}

// Linux returns the configuration of Linux 6.1 with default settings.
func Linux() Config {
	return Config{
		Congestion:         "cubic",
		HyStart:            true,
		InitialWindow:      10,
		SlowStartAfterIdle: true,
		PRR:                true,
		RACK:               true,
		TLP:                true,
		FRTO:               true,
		Undo:               true,
		NewReno:            true,
		DupThresh:          3,
		NoDelay:            true,
		SACK:               true,
		DSACK:              true,
		Timestamps:         true,
		WindowScaling:      true,
		Tick:               4 * time.Millisecond,
		TimerWheel:         true,
		InitialRTO:         time.Second,
		MinRTO:             200 * time.Millisecond,
		MaxRTO:             120 * time.Second,
		RTTEstimator:       "linux",
		RTTGranularity:     time.Microsecond,
		SYNRetries:         6,
		SYNACKRetries:      5,
		Retries:            15,
		KeepAliveInterval:  75 * time.Second,
		KeepAliveProbes:    9,
		TimeWait:           60 * time.Second,
		DelayedACKMin:      40 * time.Millisecond,
		DelayedACKMax:      200 * time.Millisecond,
		QuickACKs:          16,
		ReceiveBuffer:      131072,
		MaxReceiveBuffer:   6291456,
		MaxSendBuffer:      4 << 20,
	}
}

// LwIP returns the configuration of lwIP 2.1 as cellular modules ship it: a
// window of four segments, Reno with its early end of fast recovery, no
// option but MSS, timers on a grid of 250 ms and round trips measured in
// units of 500 ms (TCP_FAST_INTERVAL, TCP_SLOW_INTERVAL).
func LwIP() Config {
	const mss = 1318
	return Config{
		Congestion:        "reno",
		InitialWindow:     3, // 4380 bytes, RFC 3390
		DupThresh:         3,
		NoDelay:           true,
		Tick:              250 * time.Millisecond,
		InitialRTO:        3 * time.Second,
		MinRTO:            500 * time.Millisecond,
		MaxRTO:            128 * time.Second,
		RTTEstimator:      "jacobson",
		RTTGranularity:    500 * time.Millisecond,
		SYNRetries:        6,
		SYNACKRetries:     6,
		Retries:           12,
		KeepAliveInterval: 75 * time.Second,
		KeepAliveProbes:   9,
		TimeWait:          120 * time.Second,
		DelayedACKMin:     250 * time.Millisecond,
		DelayedACKMax:     250 * time.Millisecond,
		ReceiveBuffer:     4 * mss,
		SendBuffer:        4 * mss,
		MaxSendBuffer:     4 * mss,
	}
}

// Validate says which field has a value that a connection cannot work with.
func (cfg *Config) Validate() error {
	oneOf := func(name, v, a, b string) error {
		if v == a || v == b {
			return nil
		}
		return fmt.Errorf("tcp: %s: %q, want %q or %q", name, v, a, b)
	}
	if err := oneOf("congestion", cfg.Congestion, "cubic", "reno"); err != nil {
		return err
	}
	if err := oneOf("rtt_estimator", cfg.RTTEstimator, "linux", "jacobson"); err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		v     int64
		least int64
	}{
		{"initial_window", int64(cfg.InitialWindow), 1},
		{"dupthresh", int64(cfg.DupThresh), 1},
		{"mss", int64(cfg.MSS), 0},
		{"tick", int64(cfg.Tick), int64(time.Microsecond)},
		{"timer_phase", int64(cfg.TimerPhase), 0},
		{"initial_rto", int64(cfg.InitialRTO), int64(cfg.Tick)},
		{"min_rto", int64(cfg.MinRTO), int64(cfg.Tick)},
		{"max_rto", int64(cfg.MaxRTO), int64(max(cfg.InitialRTO, cfg.MinRTO))},
		{"rtt_granularity", int64(cfg.RTTGranularity), 0},
		{"syn_retries", int64(cfg.SYNRetries), 0},
		{"synack_retries", int64(cfg.SYNACKRetries), 0},
		{"retries", int64(cfg.Retries), 0},
		{"user_timeout", int64(cfg.UserTimeout), 0},
		{"keepalive", int64(cfg.KeepAlive), 0},
		{"time_wait", int64(cfg.TimeWait), 0},
		{"delayed_ack_min", int64(cfg.DelayedACKMin), 0},
		{"delayed_ack_max", int64(cfg.DelayedACKMax), int64(cfg.DelayedACKMin)},
		{"quick_acks", int64(cfg.QuickACKs), 0},
		{"receive_buffer", int64(cfg.ReceiveBuffer), 1024},
		{"max_receive_buffer", int64(cfg.MaxReceiveBuffer), 0},
		{"send_buffer", int64(cfg.SendBuffer), 0},
	} {
		if f.v < f.least {
			return fmt.Errorf("tcp: %s: %d, want at least %d", f.name, f.v, f.least)
		}
	}
	switch {
	case cfg.SendBuffer == 0 && cfg.MaxSendBuffer < 4096:
		return fmt.Errorf("tcp: max_send_buffer: %d, want at least 4096 without a send_buffer", cfg.MaxSendBuffer)
	case cfg.MaxReceiveBuffer > 0 && cfg.MaxReceiveBuffer < cfg.ReceiveBuffer:
		return fmt.Errorf("tcp: max_receive_buffer: %d, want 0 or at least receive_buffer, %d", cfg.MaxReceiveBuffer, cfg.ReceiveBuffer)
	case cfg.KeepAlive > 0 && cfg.KeepAliveInterval < cfg.Tick:
		return fmt.Errorf("tcp: keepalive_interval: %v, want at least a tick, %v", cfg.KeepAliveInterval, cfg.Tick)
	}
	return nil
}
