package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// Names answers DNS queries in the platform's namespace.
type Names struct {
	// Hosts have addresses of their own; names are in lower case without the
	// dot at the end.
	Hosts map[string][]netip.Addr
	// Upstream is asked for every other name; without one they do not exist.
	Upstream netip.AddrPort
}

// Serve answers queries at an address, on UDP port 53 (RFC 1035 section 4.2.1),
// until the bed closes.
func (b *Bed) Serve(n *Names, at netip.Addr) error {
	conn, err := b.Platform().ListenPacket("udp", netip.AddrPortFrom(at, 53).String())
	if err != nil {
		return fmt.Errorf("tun: name server: %w", err)
	}
	b.closers = append(b.closers, conn)
	b.tasks.Go(func() {
		buf := make([]byte, 4096)
		for {
			size, from, err := conn.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue // an ICMP error about an answer
			}
			query := append([]byte(nil), buf[:size]...)
			b.tasks.Go(func() {
				if answer := n.answer(query); answer != nil {
					_, _ = conn.WriteTo(answer, from)
				}
			})
		}
	})
	return nil
}

// ttl is that of answers, s: names do not change in a run.
const ttl = 3600

// answer is the response to a query, nil for what is none.
func (n *Names) answer(query []byte) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	addrs, known := n.Hosts[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	if !known && n.Upstream.IsValid() {
		return n.ask(query)
	}
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, OpCode: header.OpCode, Authoritative: true,
			RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{q},
	}
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		rr := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: ttl}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: rr, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: rr, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// ask passes a query on.
func (n *Names) ask(query []byte) []byte {
	const patience = 10 * time.Second
	conn, err := net.DialTimeout("udp", n.Upstream.String(), patience)
	if err != nil {
		return nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	if _, err := conn.Write(query); err != nil {
		return nil
	}
	size, err := conn.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:size]
}

// resolvConf is where the C library finds its name servers (resolv.conf(5)).
const resolvConf = "/etc/resolv.conf"

// Upstream is the first name server of this machine, invalid if there is none.
func Upstream() netip.AddrPort {
	text, _ := os.ReadFile(resolvConf)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "nameserver" {
			if addr, err := netip.ParseAddr(fields[1]); err == nil {
				return netip.AddrPortFrom(addr, 53)
			}
		}
	}
	return netip.AddrPort{}
}

// Furnish gives the processes of this mount and process namespace, which is
// Reexec's, their own view of processes and, unless it is the zero Addr, a name
// server. The error is a *MissingError where a container forbids that.
func Furnish(nameServer netip.Addr) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("tun: mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return &MissingError{"no /proc of one's own here (" + err.Error() + ")", "a container that hides parts of /proc forbids it: unmask /proc, or run thinlink outside"}
	}
	if !nameServer.IsValid() {
		return nil
	}
	target, err := filepath.EvalSymlinks(resolvConf)
	if err != nil {
		return nil // no resolver to tell
	}
	f, err := os.CreateTemp("", "thinlink-resolv-")
	if err != nil {
		return fmt.Errorf("tun: %s: %w", resolvConf, err)
	}
	defer os.Remove(f.Name()) // the mount keeps it
	_, err = fmt.Fprintf(f, "nameserver %v\noptions timeout:60 attempts:2\n", nameServer)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = unix.Mount(f.Name(), target, "", unix.MS_BIND, "")
	}
	if err != nil {
		return fmt.Errorf("tun: %s: %w", resolvConf, err)
	}
	return nil
}
