package vnet

import (
	"bytes"
	"net"
	"os"
	"testing"
	"time"

	"github.com/thinlink/thinlink/netem"
)

// inSMS runs f with a link that carries short messages.
func inSMS(t *testing.T, centre netem.SMSConfig, change func(*Config), f func(t *testing.T, n *Network)) {
	t.Helper()
	cfg := config(symmetric(8_000, 100*time.Millisecond), false)
	cfg.Bearer, cfg.Link.SMS = netem.BearerSMS, &centre
	if change != nil {
		change(&cfg)
	}
	inBubble(t, cfg, f)
}

// smsPair is a socket of the platform and one of the device that has sent once.
func smsPair(t *testing.T, n *Network) (platform net.PacketConn, device net.Conn, from net.Addr) {
	t.Helper()
	platform = must(n.Platform().ListenPacket("udp", ":5683"))
	device = must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683")))
	must(device.Write([]byte("hi")))
	b := make([]byte, 100)
	k, from, err := platform.ReadFrom(b)
	if err != nil || string(b[:k]) != "hi" {
		t.Fatalf("%q, %v", b[:k], err)
	}
	return platform, device, from
}

// TestSMSKnownAnswer: a message of 2 bytes is 30 bytes of the control protocol
// and 9 of NAS, 39 ms at 8 kbit/s; the service centre takes 5 s. Each of the
// transfer's four messages is on the link: RP-DATA, CP-ACK, RP-ACK, CP-ACK.
func TestSMSKnownAnswer(t *testing.T) {
	inSMS(t, netem.SMSConfig{Delay: netem.Latency{Fixed: 5 * time.Second}}, nil, func(t *testing.T, n *Network) {
		start := time.Now()
		platform, device, from := smsPair(t, n)
		elapsed(t, start, 39*time.Millisecond+100*time.Millisecond+5*time.Second)
		up, down := n.Stats(netem.Up), n.Stats(netem.Down)
		if up.In != 2 || up.InBytes != 30+2 || down.In != 2 || down.InBytes != 2+5 {
			t.Errorf("up %+v, down %+v", up, down)
		}
		// 200 bytes are two messages, the second after the first one's RP-ACK.
		start = time.Now()
		data := bytes.Repeat([]byte{7}, 200)
		must(platform.WriteTo(data, from))
		b := make([]byte, 1000)
		if k := must(device.Read(b)); !bytes.Equal(b[:k], data) {
			t.Errorf("%d bytes", k)
		}
		if down := n.Stats(netem.Down); down.In != 2+3 { // RP-DATA, CP-ACK, RP-DATA
			t.Errorf("down %+v", down)
		}
		if took := time.Since(start); took < 5300*time.Millisecond || took > 5800*time.Millisecond {
			t.Errorf("two messages took %v", took)
		}
	})
}

// TestSMSLoss: what the centre loses never comes, a datagram with it.
func TestSMSLoss(t *testing.T) {
	inSMS(t, netem.SMSConfig{Loss: 0.2}, nil, func(t *testing.T, n *Network) {
		platform := must(n.Platform().ListenPacket("udp", ":5683"))
		device := must(n.Device().DialContext(t.Context(), "udp", at(n.Platform(), "5683")))
		const sent = 300
		for range sent {
			must(device.Write(make([]byte, 268))) // two segments
			time.Sleep(5 * time.Second)
		}
		got := 0
		platform.SetReadDeadline(time.Now().Add(time.Minute))
		for b := make([]byte, 300); ; got++ {
			if _, _, err := platform.ReadFrom(b); err != nil {
				break
			}
		}
		const want, deviation = sent * 0.64, 8.3 // both arrive
		if d := float64(got) - want; d > 3*deviation || d < -3*deviation {
			t.Errorf("%d of %d arrived, want %.0f", got, sent, want)
		}
	})
}

// TestSMSOutage: what an outage takes from the air is sent again, and arrives
// once; the link's loss does not apply.
func TestSMSOutage(t *testing.T) {
	change := func(cfg *Config) {
		cfg.Link.Up.Loss.Rate, cfg.Link.Down.Loss.Rate = 1, 1
		cfg.Link.OutageLose = true
	}
	inSMS(t, netem.SMSConfig{}, change, func(t *testing.T, n *Network) {
		platform, device, from := smsPair(t, n)
		time.Sleep(time.Second)
		must(device.Write([]byte("first")))
		time.Sleep(150 * time.Millisecond) // it is there, its RP-ACK is on the way
		if err := n.Outage(15 * time.Second); err != nil {
			t.Fatal(err)
		}
		must(device.Write([]byte("second")))
		must(platform.WriteTo([]byte("down"), from))
		b := make([]byte, 100)
		start := time.Now()
		for _, want := range []string{"first", "second"} {
			k, _, err := platform.ReadFrom(b)
			if err != nil || string(b[:k]) != want {
				t.Fatalf("%q, %v, want %q", b[:k], err, want)
			}
		}
		if k := must(device.Read(b)); string(b[:k]) != "down" {
			t.Errorf("%q", b[:k])
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		platform.SetReadDeadline(time.Now().Add(time.Hour))
		if _, _, err := platform.ReadFrom(b); !os.IsTimeout(err) {
			t.Errorf("%q came as well, %v", b, err)
		}
	})
}

// TestSMSGivesUp: a transfer that never gets through does not keep the next one
// waiting for ever.
func TestSMSGivesUp(t *testing.T) {
	inSMS(t, netem.SMSConfig{}, func(cfg *Config) { cfg.Link.OutageLose = true }, func(t *testing.T, n *Network) {
		platform, device, _ := smsPair(t, n)
		time.Sleep(time.Second)
		if err := n.Outage(45 * time.Second); err != nil {
			t.Fatal(err)
		}
		must(device.Write([]byte("lost")))
		time.Sleep(46 * time.Second)
		must(device.Write([]byte("next")))
		b := make([]byte, 100)
		if k, _, err := platform.ReadFrom(b); err != nil || string(b[:k]) != "next" {
			t.Errorf("%q, %v", b[:k], err)
		}
	})
}
