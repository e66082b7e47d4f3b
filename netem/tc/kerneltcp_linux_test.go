package tc

import (
	"io"
	"math"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// download moves size bytes from platform to device over one TCP connection
// and returns the time from accept to end of stream.
func download(t *testing.T, b *Testbed, size int64) time.Duration {
	t.Helper()
	ln, err := b.Platform().Listen("tcp", net.JoinHostPort(b.Platform().Addr().String(), "5201"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan time.Time, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		defer c.Close()
		accepted <- time.Now()
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Error(err)
		}
	}()
	c, err := b.Device().DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n, err := io.Copy(io.Discard, c)
	if err != nil || n != size {
		t.Fatalf("%d of %d bytes: %v", n, size, err)
	}
	return time.Since(<-accepted)
}

// TestKernelTCP repeats a measured transfer: 1 MiB at 26 kbit/s and 800 ms with
// a queue of twelve packets took Linux 6.1 339.2 s and 939 data packets.
func TestKernelTCP(t *testing.T) {
	var mu sync.Mutex
	var infos []TCPInfo
	cfg := netem.Config{
		MTU: 1358,
		Up:  netem.DirectionConfig{Rate: 60_000, Overhead: 14, Delay: 800 * ms},
		Down: netem.DirectionConfig{Rate: 26_000, Overhead: 14, Delay: 800 * ms,
			Queue: netem.QueueConfig{Packets: 12}}, // limit 14, as was measured
	}
	plan, _, err := NewPlan(cfg, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	b := testbedOf(t, Config{Plan: plan, Device: HostConfig{Addr: device4}, Platform: HostConfig{Addr: platform4}, TCP: func(i TCPInfo) {
		if !i.Closed {
			return
		}
		mu.Lock()
		infos = append(infos, i)
		mu.Unlock()
	}})
	took := download(t, b, 1<<20)
	time.Sleep(10 * time.Second)
	data := 0
	for _, p := range passagesOf(t, b)[netem.Down] {
		if len(p.Data) > 100 {
			data++
		}
	}
	t.Logf("%v, %d data packets, limit %d, %v", took, data, plan.Down.Limit, infos)
	if math.Abs(took.Seconds()/339.2-1) > 0.01 || math.Abs(float64(data)/939-1) > 0.02 {
		t.Errorf("%v and %d data packets, want 339.2 s and 939", took, data)
	}
	mu.Lock()
	defer mu.Unlock()
	retransmitted := 0
	for _, i := range infos {
		retransmitted += i.Retransmissions
		if client := i.Local.(*net.TCPAddr).IP.String() == device4.String(); client && (i.MinRTT < 1600*ms || i.MinRTT > 1700*ms) {
			t.Errorf("%v: smallest round trip %v, want 1.6 s and the airtime", i.Local, i.MinRTT)
		}
	}
	if len(infos) != 2 || retransmitted < 100 || retransmitted > 140 {
		t.Errorf("%d connections closed, %d retransmissions; want 2 and about 121", len(infos), retransmitted)
	}
}

// TestKernelHosts opens every kind of socket over both families.
func TestKernelHosts(t *testing.T) {
	for _, hosts := range [][2]netip.Addr{{device4, platform4}, {device6, platform6}} {
		cfg := netem.Config{MTU: 1280, Up: netem.DirectionConfig{Delay: 30 * ms}, Down: netem.DirectionConfig{Delay: 20 * ms}}
		plan, _, err := NewPlan(cfg, 1, false)
		if err != nil {
			t.Fatal(err)
		}
		b := testbedOf(t, Config{Plan: plan, Device: HostConfig{Addr: hosts[0]}, Platform: HostConfig{Addr: hosts[1]}})
		start := time.Now()
		download(t, b, 100_000)
		if took := time.Since(start); took < 100*ms || took > time.Second {
			t.Errorf("%v: 100 kB took %v", hosts, took)
		}
		by := passagesOf(t, b)
		for dir, list := range by {
			for _, p := range list {
				if len(p.Data) > 1280 || p.Lost != "" {
					t.Errorf("%v: a packet of %d bytes, lost %q", netem.Direction(dir), len(p.Data), p.Lost)
				}
			}
		}
		if len(by[netem.Up]) < 10 || len(by[netem.Down]) < 80 {
			t.Errorf("%v: the tap saw %d packets up and %d down", hosts, len(by[netem.Up]), len(by[netem.Down]))
		}
	}
}

// TestKernelSilence: hosts that nobody uses send nothing, neighbours are known.
func TestKernelSilence(t *testing.T) {
	plan, _, err := NewPlan(netem.Config{}, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, hosts := range [][2]netip.Addr{{device4, platform4}, {device6, platform6}} {
		b := testbedOf(t, Config{Plan: plan, Device: HostConfig{Addr: hosts[0]}, Platform: HostConfig{Addr: hosts[1]}})
		time.Sleep(200 * ms)
		if by := passagesOf(t, b); len(by[0])+len(by[1]) > 0 {
			t.Errorf("%v: %d packets of nobody's", hosts, len(by[0])+len(by[1]))
		}
	}
}
