package tc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thinlink/thinlink/netem"
)

// TestMain plays a program that is killed while it shapes or builds a testbed.
func TestMain(m *testing.M) {
	var err error
	switch os.Getenv("THINLINK_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "shape":
		StateDir = os.Getenv("THINLINK_TEST_STATE")
		err = Shape("shaped0", "test", Match{}, Plan{Up: Netem{Limit: 9}, Down: Netem{Limit: 9}})
	case "testbed":
		_, err = NewTestbed(Config{
			Plan:   Plan{MTU: 1500, Up: Netem{Limit: 9}, Down: Netem{Limit: 9}},
			Device: HostConfig{Addr: device4}, Platform: HostConfig{Addr: platform4},
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	time.Sleep(time.Hour)
}

// shaped is an interface of this machine with another one behind it.
func shaped(t *testing.T) (own, far *Host) {
	t.Helper()
	var missing *MissingError
	if err := Check(); errors.As(err, &missing) && os.Getenv("THINLINK_VM") == "" {
		t.Skipf("this machine lacks something (make test-kernel runs it in a virtual one): %v", err)
	}
	StateDir = t.TempDir()
	return wired(t, "shaped0", 2)
}

// wired makes an interface of this machine, 192.0.n.1, with a host behind it,
// 192.0.n.2, which knows this machine as its gateway; 2001:db8:n:: likewise.
func wired(t *testing.T, name string, n byte) (own, far *Host) {
	t.Helper()
	root, err := here()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.close)
	peer, err := newNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(peer.close)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = hostDevice, netlink.NsFd(int(peer.Handle))
	if err := root.links.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.links.LinkDel(veth) })
	var hosts []*Host
	for i, end := range []struct {
		ns   *namespace
		name string
	}{{root, name}, {peer, hostDevice}} {
		link, err := end.ns.links.LinkByName(end.name)
		if err != nil {
			t.Fatal(err)
		}
		a := netip.AddrFrom4([4]byte{192, 0, n, byte(1 + i)})
		six := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, n, 15: byte(1 + i)})
		if err := errors.Join(
			end.ns.links.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(24, 32)}}),
			end.ns.links.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: six.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}),
			end.ns.links.LinkSetUp(link),
		); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, end.ns.host(HostConfig{Addr: a}, nil))
	}
	gateway := &netlink.Route{Gw: hosts[0].Addr().AsSlice(), Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}}
	if err := peer.links.RouteAdd(gateway); err != nil {
		t.Fatal(err)
	}
	return hosts[0], hosts[1]
}

// inventory is what ip and tc would print of this machine.
func inventory(t *testing.T) string {
	t.Helper()
	root, err := here()
	if err != nil {
		t.Fatal(err)
	}
	defer root.close()
	links, err := root.links.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range links {
		a := l.Attrs()
		qdiscs, err := root.links.QdiscList(l)
		if err != nil {
			t.Fatal(err)
		}
		on, err := offloads(a.Name, slices.Concat(joining, checksums))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s mtu %d qlen %d flags %v offloads %v", a.Name, a.MTU, a.TxQLen, a.Flags, on))
		for _, q := range qdiscs {
			lines = append(lines, fmt.Sprintf("  %s %+v", q.Type(), q.Attrs()))
			filters, err := root.links.FilterList(l, q.Attrs().Parent)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range filters {
				lines = append(lines, fmt.Sprintf("    %s %+v", f.Type(), f.Attrs()))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// roundTrip is the time that a datagram takes from one host to the other's
// address and back, with neighbours known. user is whose socket sends it.
func roundTrip(t *testing.T, own, far *Host, address string, user int) time.Duration {
	t.Helper()
	echo, err := far.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			echo.WriteTo(buf[:n], from)
		}
	}()
	var c net.Conn
	err = own.Do(func() (err error) {
		unix.SetfsuidRetUid(user) // of this thread, which ends
		c, err = net.Dial("udp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var took time.Duration
	for range 2 { // the first resolves the neighbour
		start := time.Now()
		if _, err := c.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(start.Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		took = time.Since(start)
	}
	return took
}

const far4, far6 = "192.0.2.2", "[2001:db8:2::2]"

// TestKernelMatch shapes some of the traffic and leaves the rest alone.
func TestKernelMatch(t *testing.T) {
	peers := func(list ...string) (m Match) {
		for _, p := range list {
			m.To = append(m.To, netip.MustParseAddrPort(p))
		}
		return m
	}
	user := uint32(1000)
	plan := Plan{Up: Netem{Limit: 99, Delay: 30 * ms}, Down: Netem{Limit: 99, Delay: 50 * ms}}
	for _, test := range []struct {
		name  string
		match Match
		to    string
		user  int
		want  time.Duration
	}{
		{"host", peers("192.0.2.2:0"), far4 + ":7", 0, 80 * ms},
		{"host of IPv6", peers("[2001:db8:2::2]:0"), far6 + ":7", 0, 80 * ms},
		{"another host", peers("192.0.2.3:0", "[2001:db8:2::3]:0"), far4 + ":7", 0, 0},
		{"another host of IPv6", peers("192.0.2.2:0", "[2001:db8:2::3]:0"), far6 + ":7", 0, 0},
		{"port", peers("192.0.2.2:7"), far4 + ":7", 0, 80 * ms},
		{"port of IPv6", peers("[2001:db8:2::2]:7"), far6 + ":7", 0, 80 * ms},
		{"another port", peers("192.0.2.2:8", "[2001:db8:2::2]:8"), far4 + ":7", 0, 0},
		{"another port of IPv6", peers("192.0.2.2:7", "[2001:db8:2::2]:8"), far6 + ":7", 0, 0},
		{"user", Match{UID: &user}, far4 + ":7", 1000, 30 * ms},
		{"user of IPv6", Match{UID: &user}, far6 + ":7", 1000, 30 * ms},
		{"another user", Match{UID: &user}, far4 + ":7", 1001, 0},
		{"root", Match{UID: &user}, far4 + ":7", 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			own, far := shaped(t)
			before := inventory(t)
			if err := Shape("shaped0", "test", test.match, plan); err != nil {
				t.Fatal(err)
			}
			if took := roundTrip(t, own, far, test.to, test.user); took < test.want || took > test.want+2*ms {
				t.Errorf("round trip %v, want %v", took, test.want)
			}
			list, err := Shapings()
			if err != nil || len(list) != 1 {
				t.Fatalf("shapings %+v, %v", list, err)
			}
			if drift, err := list[0].Drift(); err != nil || len(drift) > 0 {
				t.Errorf("drift %q, %v", drift, err)
			}
			if err := Unshape("shaped0"); err != nil {
				t.Fatal(err)
			}
			if after := inventory(t); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// TestKernelGateway: this machine forwards for a device under test, whose
// traffic is shaped; its own is not, and not that of another device.
func TestKernelGateway(t *testing.T) {
	own, far := shaped(t)
	_, device := wired(t, "lan0", 3)
	_, other := wired(t, "lan1", 4)
	machine, err := here()
	if err != nil {
		t.Fatal(err)
	}
	defer machine.close()
	if err := machine.sysctl(map[string]string{"ipv4/ip_forward": "1"}); err != nil {
		t.Fatal(err)
	}
	before := inventory(t)
	plan := Plan{Up: Netem{Limit: 99, Delay: 30 * ms}, Down: Netem{Limit: 99, Delay: 50 * ms}}
	for _, match := range []Match{
		{From: "lan0"},
		{From: "lan0", To: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.2:7")}},
	} {
		if err := Shape("shaped0", "test", match, plan); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			from *Host
			port string
			want time.Duration
		}{{device, ":7", 80 * ms}, {other, ":7", 0}, {own, ":7", 0}, {device, ":9", 80 * ms}} {
			if test.port == ":9" && len(match.To) > 0 {
				test.want = 0
			}
			if took := roundTrip(t, test.from, far, far4+test.port, 0); took < test.want || took > test.want+2*ms {
				t.Errorf("%v from %v: round trip %v, want %v", match, test.from.Addr(), took, test.want)
			}
		}
		if err := Unshape("shaped0"); err != nil {
			t.Fatal(err)
		}
		if after := inventory(t); after != before {
			t.Errorf("%v, before:\n%s\nafter:\n%s", match, before, after)
		}
	}
}

func TestKernelShape(t *testing.T) {
	own, far := shaped(t)
	before := inventory(t)
	plan, _, err := NewPlan(netem.Config{Up: netem.DirectionConfig{Delay: 30 * ms}, Down: netem.DirectionConfig{Delay: 50 * ms}}, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := Shape("shaped0", "test", Match{}, plan); err != nil {
		t.Fatal(err)
	}
	if took := roundTrip(t, own, far, far4+":7", 0); took < 80*ms || took > 82*ms {
		t.Errorf("round trip %v, want 80 ms", took)
	}
	list, err := Shapings()
	if err != nil || len(list) != 1 || !list[0].Whole || list[0].Device != "shaped0" || list[0].Down.Delay != 50*ms {
		t.Errorf("shapings %+v, %v", list, err)
	}
	if err := Shape("shaped0", "test", Match{}, plan); err == nil || !strings.Contains(err.Error(), "clear it first") {
		t.Errorf("shaped twice: %v", err)
	}
	if err := Unshape("shaped0"); err != nil {
		t.Fatal(err)
	}
	if after := inventory(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if took := roundTrip(t, own, far, far4+":7", 0); took > 2*ms {
		t.Errorf("round trip %v after clearing", took)
	}
	if err := Unshape("shaped0"); !errors.Is(err, ErrNotShaped) {
		t.Errorf("cleared twice: %v", err)
	}
}

// An interface that somebody else shapes is left alone.
func TestKernelShapeRefuses(t *testing.T) {
	shaped(t)
	root, err := here()
	if err != nil {
		t.Fatal(err)
	}
	defer root.close()
	link, err := root.links.LinkByName("shaped0")
	if err != nil {
		t.Fatal(err)
	}
	prio := netlink.NewPrio(netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT})
	if err := root.links.QdiscAdd(prio); err != nil {
		t.Fatal(err)
	}
	before := inventory(t)
	if err := Shape("shaped0", "test", Match{}, Plan{Up: Netem{Limit: 1}, Down: Netem{Limit: 1}}); err == nil || !strings.Contains(err.Error(), "prio") {
		t.Errorf("got %v", err)
	}
	if after := inventory(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if list, err := Shapings(); err != nil || len(list) > 0 {
		t.Errorf("shapings %v, %v", list, err)
	}
}

// TestKernelKilled kills programs at random moments of shaping an interface
// and of building a testbed; what is left behind is found and removed.
func TestKernelKilled(t *testing.T) {
	shaped(t)
	before := inventory(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	found := 0
	for i := range 100 {
		child := exec.Command(self)
		role := []string{"shape", "testbed"}[i%2]
		child.Env = append(os.Environ(), "THINLINK_TEST_CHILD="+role, "THINLINK_TEST_STATE="+StateDir)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.IntN(60)) * ms)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait()
		list, err := Shapings()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			found++
			if err := Unshape(s.Device); err != nil {
				t.Fatal(err)
			}
		}
		if after := inventory(t); after != before {
			t.Fatalf("%s %d, before:\n%s\nafter:\n%s", role, i, before, after)
		}
	}
	if found < 10 {
		t.Errorf("%d of 50 shapings were cut short after they had begun: the moments do not cover them", found)
	}
	t.Logf("%d of 50 shapings had begun when they were killed", found)
}
