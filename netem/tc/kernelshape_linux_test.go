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
		err = Shape("shaped0", "test", Plan{Up: Netem{Limit: 9}, Down: Netem{Limit: 9}})
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
	attrs.Name = "shaped0"
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
	}{{root, "shaped0"}, {peer, hostDevice}} {
		link, err := end.ns.links.LinkByName(end.name)
		if err != nil {
			t.Fatal(err)
		}
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)})
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(24, 32)}}
		if err := errors.Join(end.ns.links.AddrAdd(link, addr), end.ns.links.LinkSetUp(link)); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, end.ns.host(HostConfig{Addr: a}, nil))
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
		qdiscs, err := root.links.QdiscList(l)
		if err != nil {
			t.Fatal(err)
		}
		on, err := offloads(l.Attrs().Name, slices.Concat(joining, checksums))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s mtu %d offloads %v", l.Attrs().Name, l.Attrs().MTU, on))
		for _, q := range qdiscs {
			lines = append(lines, fmt.Sprintf("  %s %+v", q.Type(), q.Attrs()))
		}
	}
	return strings.Join(lines, "\n")
}

// roundTrip is the time that a datagram takes from one host to the other and
// back, with neighbours known.
func roundTrip(t *testing.T, own, far *Host) time.Duration {
	t.Helper()
	echo, err := far.ListenPacket("udp", far.Addr().String()+":7")
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
	c, err := own.DialContext(t.Context(), "udp", far.Addr().String()+":7")
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

func TestKernelShape(t *testing.T) {
	own, far := shaped(t)
	before := inventory(t)
	plan, _, err := NewPlan(netem.Config{Up: netem.DirectionConfig{Delay: 30 * ms}, Down: netem.DirectionConfig{Delay: 50 * ms}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := Shape("shaped0", "test", plan); err != nil {
		t.Fatal(err)
	}
	if took := roundTrip(t, own, far); took < 80*ms || took > 82*ms {
		t.Errorf("round trip %v, want 80 ms", took)
	}
	list, err := Shapings()
	if err != nil || len(list) != 1 || !list[0].Whole || list[0].Device != "shaped0" || !strings.Contains(list[0].In, "delay 50ms") {
		t.Errorf("shapings %+v, %v", list, err)
	}
	if err := Shape("shaped0", "test", plan); err == nil || !strings.Contains(err.Error(), "clear it first") {
		t.Errorf("shaped twice: %v", err)
	}
	if err := Unshape("shaped0"); err != nil {
		t.Fatal(err)
	}
	if after := inventory(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if took := roundTrip(t, own, far); took > 2*ms {
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
	if err := Shape("shaped0", "test", Plan{Up: Netem{Limit: 1}, Down: Netem{Limit: 1}}); err == nil || !strings.Contains(err.Error(), "prio") {
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
