package lwm2m

import (
	"strings"
	"testing"
	"time"

	"github.com/thinlink/thinlink/clients"
)

// A pre-shared key costs a handshake of a third of what certificates take:
// handshake, registration and its response are 1,099 bytes of IP, measured with
// Anjay, and 1,140 with a connection ID.
func TestPSKCost(t *testing.T) {
	for id, want := range map[bool]int{false: 1099, true: 1140} {
		opt := DefaultOptions()
		opt.Security, opt.ConnectionID = PSK, id
		inWorld(t, lan(), opt, func(w *world) {
			c := w.cost(func() { w.check("join", w.device().all()[0].enter(w.t.Context())) })
			got := c.total() - 14*c.packets()
			if got < want*97/100 || got > want*103/100 {
				t.Errorf("connection ID %v: %d bytes of IP in %d packets, %d measured with Anjay", id, got, c.packets(), want)
			}
			t.Logf("connection ID %v: %d bytes of IP, Anjay %d", id, got, want)
		})
	}
}

// A key that the platform does not have ends the handshake, and is said.
func TestWrongKey(t *testing.T) {
	opt := DefaultOptions()
	opt.Security, opt.PSKKey, opt.RetryCount = PSK, "00112233445566778899aabbccddeeff", 0
	opt.DTLS.Device.HandshakeTimeout = time.Minute
	inWorld(t, lan(), opt, func(w *world) {
		w.platform().opt.PSKKey = "ffeeddccbbaa99887766554433221100"
		err := w.session.Connect(w.t.Context(), reading(0))
		if err == nil || !strings.Contains(err.Error(), "DTLS handshake") {
			t.Errorf("connect: %v", err)
		}
	})
}

// After a reboot a device that keeps its session in flash memory resumes it; one
// that keeps it in memory shakes hands in full; after a restart of the platform,
// which forgets, so do both.
func TestResumption(t *testing.T) {
	for _, c := range []struct {
		resumption string
		restart    bool
		resumed    bool
	}{{ResumeFlash, false, true}, {ResumeMemory, false, false}, {ResumeFlash, true, false}, {ResumeNone, false, false}} {
		opt := DefaultOptions()
		opt.Security, opt.Resumption = PSK, c.resumption
		inWorld(t, lan(), opt, func(w *world) {
			w.connect()
			if c.restart {
				w.check("restart", w.platform().Restart(w.t.Context()))
			}
			from := w.tap.mark()
			w.session.PowerOff()
			w.check("boot", w.session.PowerOn(w.t.Context()))
			if got := w.keyExchanges(from) == 0; got != c.resumed {
				t.Errorf("%+v: resumed %v", c, got)
			}
			w.check("report", w.session.Report(w.t.Context(), reading(1)))
		})
	}
}

// keyExchanges counts the ClientKeyExchange messages since a mark: an abbreviated
// handshake has none (RFC 5246 section 7.3).
func (w *world) keyExchanges(from int) (n int) {
	const clientKeyExchange = 16
	w.tap.mu.Lock()
	defer w.tap.mu.Unlock()
	for _, s := range w.tap.log[from:] {
		const record = 20 + 8 // IPv4, UDP
		if d := s.ip[record:]; len(d) > 13 && d[0] == 22 && d[3] == 0 && d[4] == 0 && d[13] == clientKeyExchange {
			n++
		}
	}
	return n
}

// A device that has lost its session for good, with a new address and no
// connection ID, resumes it by an abbreviated handshake.
func TestResumptionAfterRebinding(t *testing.T) {
	opt := DefaultOptions()
	opt.Security, opt.Resumption, opt.Notify = PSK, ResumeMemory, NotifyCon
	inWorld(t, lan(), opt, func(w *world) {
		w.connect()
		from := w.tap.mark()
		w.net.Rebind()
		w.check("report", w.session.Report(w.t.Context(), reading(1)))
		if n := w.keyExchanges(from); n != 0 {
			t.Errorf("%d full handshakes", n)
		}
		if len(w.recorded(clients.EventReport)) == 0 {
			t.Error("the report did not arrive")
		}
	})
}
