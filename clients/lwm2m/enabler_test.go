package lwm2m

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/content"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// managed is a device with every object, as its server manages it.
type managed struct {
	*world
	reg *registration
}

// enabler has the test cases of the enabler test specification
// (OMA-ETS-LightweightM2M-V1_1) that a server performs on a registered device, by
// their numbers LightweightM2M-1.1-int-*.
var enabler = map[int]func(*managed){
	201: func(m *managed) { // query in plain text
		m.reads("/3/0/0", content.Text, "thinlink")
		m.reads("/3/0/1", content.Text, "reference")
		m.reads("/3/0/2", content.Text, "0001")
	},
	203: func(m *managed) { m.readsAll("/3/0", content.TLV) },
	204: func(m *managed) { m.readsAll("/3/0", content.JSON) },
	205: func(m *managed) { m.setsEach(content.Text) },
	211: func(m *managed) { // query in CBOR
		m.reads("/3/0/0", content.CBOR, "thinlink")
		m.reads("/3/0/9", content.CBOR, int64(100))
		m.reads("/6/0/0", content.CBOR, 51.4779)
		m.reads("/1/0/6", content.CBOR, false)
	},
	212: func(m *managed) { m.setsEach(content.CBOR) },
	215: func(m *managed) { m.sets(content.TLV) },
	220: func(m *managed) { m.sets(content.JSON) },
	221: func(m *managed) { // the security object is not for servers
		_, err := m.reg.Read(m.t.Context(), at("/0/0/0"), anyFormat)
		m.refused("read", err, codes.Unauthorized)
		m.refused("write", m.reg.WriteText(m.t.Context(), at("/0/0/0"), "x"), codes.Unauthorized)
		m.refused("delete", m.reg.Delete(m.t.Context(), at("/0/0")), codes.Unauthorized)
		_, err = m.reg.Discover(m.t.Context(), at("/0"))
		m.refused("discover", err, codes.Unauthorized)
	},
	222: func(m *managed) { m.readsAll("/1", content.SenMLJSON) },
	223: func(m *managed) { m.readsAll("/1/0", content.SenMLCBOR) },
	224: func(m *managed) { m.reads("/1/0/1", content.SenMLJSON, int64(m.opt.Lifetime/time.Second)) },
	225: func(m *managed) { m.reads("/3/0/7/0", content.SenMLJSON, int64(3800)) },
	226: func(m *managed) { // partial update of an instance leaves the rest
		was := m.device().tree.Values(1, 0)
		m.check("write", m.reg.Write(m.t.Context(), at("/1/0"), false, content.SenMLJSON, []model.Node{node("/1/0/2", int64(5))}))
		was[objects.ServerMinPeriod] = int64(5)
		if got := m.device().tree.Values(1, 0); !reflect.DeepEqual(got, was) {
			m.t.Errorf("%v, want %v", got, was)
		}
	},
	227: func(m *managed) { // replace a resource: of several instances the new ones remain
		m.create()
		m.check("write", m.reg.Write(m.t.Context(), at("/19/0/0"), true, content.SenMLCBOR, []model.Node{node("/19/0/0/3", []byte{3})}))
		m.reads("/19/0/0/3", content.Opaque, []byte{3})
		m.missing("/19/0/0/0")
	},
	228: func(m *managed) { // write a resource instance
		m.create()
		m.check("write", m.reg.Write(m.t.Context(), at("/19/0/0/1"), true, content.Opaque, []model.Node{node("/19/0/0/1", []byte{9})}))
		m.reads("/19/0/0/1", content.Opaque, []byte{9})
		m.reads("/19/0/0/0", content.Opaque, []byte{1})
	},
	229: func(m *managed) { // composite read of resources, instances, instances of resources
		m.readsComposite([]string{"/3/0/0", "/3/0/7/0", "/1/0/1", "/6/0"}, 9)
	},
	230: func(m *managed) { // composite write
		m.check("write", m.reg.WriteComposite(m.t.Context(), content.SenMLJSON, []model.Node{node("/1/0/2", int64(7)), node("/3/0/14", "+02:00")}))
		m.reads("/1/0/2", content.Text, int64(7))
		m.reads("/3/0/14", content.Text, "+02:00")
	},
	231: func(m *managed) { m.readsAll("/3/0", content.SenMLJSON) },
	232: func(m *managed) { m.readsAll("/3/0", content.SenMLCBOR) },
	233: func(m *managed) { m.sets(content.SenMLCBOR) },
	234: func(m *managed) { m.sets(content.SenMLJSON) },
	235: func(m *managed) { // the root stands for everything but the security object
		nodes, err := m.reg.ReadComposite(m.t.Context(), []model.Path{{}}, content.SenMLCBOR)
		m.check("read-composite", err)
		var ids []uint16
		for _, n := range nodes {
			ids = append(ids, n.Path.Object())
		}
		if got := slices.Compact(ids); !slices.Equal(got, []uint16{1, 3, 4, 5, 6, 7, 9, 3303, objects.Reading.ID}) {
			m.t.Errorf("objects %v", got)
		}
	},
	236: func(m *managed) { m.readsComposite([]string{"/3/0/0", "/3/0/22", "/19/7"}, 1) }, // what is there
	237: func(m *managed) { m.readsAll("/3", anyFormat) },
	241: (*managed).reboots,
	256: func(m *managed) { // a write that fails changes nothing
		err := m.reg.Write(m.t.Context(), at("/1/0"), false, content.TLV, []model.Node{node("/1/0/1", int64(60)), node("/1/0/2", int64(-1))})
		m.refused("write", err, codes.BadRequest)
		m.reads("/1/0/1", content.Text, int64(m.opt.Lifetime/time.Second))
	},
	257: func(m *managed) { // as does a composite write
		err := m.reg.WriteComposite(m.t.Context(), content.SenMLJSON, []model.Node{node("/3/0/14", "+02:00"), node("/3/0/0", "x")})
		m.refused("write", err, codes.MethodNotAllowed)
		m.reads("/3/0/14", content.Text, "+00:00")
	},
	260: func(m *managed) { // discover
		m.attribute("/3/0", tree.Attributes{MinPeriod: seconds(10), MaxPeriod: seconds(60)})
		m.attribute("/3/0/7", tree.Attributes{Greater: number(3900), Less: number(3000), Step: number(100)})
		m.discovers("/3/0", `</3/0>;pmin=10;pmax=60,</3/0/0>`, `</3/0/7>;dim=1;gt=3900;lt=3000;st=100`)
		m.discovers("/3", `</3>;ver=1.1,</3/0>;pmin=10;pmax=60,</3/0/0>`)
		m.discovers("/3/0/7", `</3/0/7>;dim=1;pmin=10;pmax=60;gt=3900;lt=3000;st=100,</3/0/7/0>`)
	},
	261: func(m *managed) { // attributes of a resource with instances, and of one of them
		m.attribute("/3/0/7", tree.Attributes{MinPeriod: seconds(10), MaxPeriod: seconds(60)})
		m.attribute("/3/0/7/0", tree.Attributes{Greater: number(3900)})
		m.discovers("/3/0/7", `</3/0/7>;dim=1;pmin=10;pmax=60,</3/0/7/0>;gt=3900`)
		m.refused("write-attributes", m.reg.WriteAttributes(m.t.Context(), at("/3/0"), tree.Attributes{Greater: number(1)}), codes.BadRequest)
	},
	280: func(m *managed) { m.readsComposite([]string{"/3/0/0", "/1/0/1"}, 2) },
	281: func(m *managed) { m.readsComposite([]string{"/3/0/0", "/777/0/1", "/1/0/1"}, 2) },
	301: func(m *managed) { // observe, pmin and pmax
		m.attribute("/3/0/9", tree.Attributes{MinPeriod: seconds(5), MaxPeriod: seconds(15)})
		o := m.observe("/3/0/9")
		m.level(90)
		pass(3 * time.Second)
		o.wants("100")
		pass(3 * time.Second)
		o.wants("100", "90")
		pass(15 * time.Second)
		o.wants("100", "90", "90")
	},
	302: func(m *managed) { // cancel by Reset
		o := m.observe("/3/0/9")
		o.Forget()
		m.level(90) // is answered by a Reset
		pass(time.Second)
		if c := m.cost(func() { m.level(80); pass(time.Minute) }); c.packets() != 0 {
			m.t.Errorf("%d packets", c.packets())
		}
		o.wants("100")
	},
	303: func(m *managed) { // cancel by Observe 1
		o := m.observe("/3/0/9")
		_, err := o.Cancel(m.t.Context())
		m.check("cancel", err)
		if c := m.cost(func() { m.level(90); pass(time.Minute) }); c.packets() != 0 {
			m.t.Errorf("%d packets", c.packets())
		}
	},
	304: func(m *managed) { // observe-composite
		o := m.observeComposite("/3/0/9", "/6/0")
		m.level(90)
		pass(time.Second)
		o.wants(`/3/0/9=100`, `/3/0/9=90`)
	},
	305: func(m *managed) { // and its end
		o := m.observeComposite("/3/0/9", "/6/0")
		_, err := o.Cancel(m.t.Context())
		m.check("cancel", err)
		if c := m.cost(func() { m.level(90); pass(time.Minute) }); c.packets() != 0 {
			m.t.Errorf("%d packets", c.packets())
		}
	},
	308: func(m *managed) { // an instance that is created within what is observed
		o := m.observeComposite("/19", "/3/0/9")
		m.create()
		pass(time.Second)
		o.wants(`/3/0/9=100`, `/3/0/9=100 /19/0/0/0=[1] /19/0/0/1=[2 3] /19/0/1=5`)
	},
	309: func(m *managed) { // or deleted
		m.create()
		o := m.observeComposite("/19", "/3/0/9")
		m.check("delete", m.reg.Delete(m.t.Context(), at("/19/0")))
		pass(time.Second)
		o.wants(`/3/0/9=100 /19/0/0/0=[1] /19/0/0/1=[2 3] /19/0/1=5`, `/3/0/9=100`)
	},
	310: func(m *managed) { // or modified, with attributes
		m.attribute("/3/0/9", tree.Attributes{Step: number(10)})
		o := m.observeComposite("/3/0/9", "/1/0/2")
		m.level(95) // less than a step
		pass(time.Second)
		m.check("write", m.reg.WriteText(m.t.Context(), at("/1/0/2"), int64(1)))
		pass(time.Second)
		o.wants(`/1/0/2=0 /3/0/9=100`, `/1/0/2=1 /3/0/9=95`)
	},
	651: func(m *managed) { // who may do what to the device object
		m.readsAll("/3/0", content.TLV)
		for _, path := range []string{"/3/0/4", "/3/0/5", "/3/0/12"} {
			_, err := m.reg.Read(m.t.Context(), at(path), anyFormat)
			m.refused("read "+path, err, codes.MethodNotAllowed)
		}
		m.refused("write", m.reg.WriteText(m.t.Context(), at("/3/0/0"), "x"), codes.MethodNotAllowed)
		m.refused("execute", m.reg.Execute(m.t.Context(), at("/3/0/0"), ""), codes.MethodNotAllowed)
		m.check("set the clock", m.reg.WriteText(m.t.Context(), at("/3/0/13"), int64(1_900_000_000)))
		m.reads("/3/0/13", content.Text, int64(1_900_000_000))
	},
	652: func(m *managed) { m.reads("/3/0/3", content.Text, m.device().update.flash.Running) },
	655: (*managed).reboots,
	656: func(m *managed) { // factory reset: the device comes again
		m.check("execute", m.reg.Execute(m.t.Context(), at("/3/0/5"), ""))
		pass(time.Minute)
		if m.known().reg == m.reg {
			m.t.Error("the device did not come again")
		}
	},
	657: func(m *managed) { // error codes are notified, and reset
		o := m.observe("/3/0/11/0")
		m.device().tree.Set(objects.Device.ID, 0, model.Values{objects.DeviceErrorCode: model.Multiple{0: int64(1)}})
		pass(time.Second)
		m.check("reset", m.reg.Execute(m.t.Context(), at("/3/0/12"), ""))
		pass(time.Second)
		o.wants("0", "1", "0")
	},
	660: func(m *managed) { m.notifies("/3/0", func() { m.level(90) }) },
	680: func(m *managed) { // single-instance objects have no second
		_, err := m.reg.Create(m.t.Context(), at("/3"), content.TLV, []model.Node{node("/3/1", nil)})
		m.refused("create", err, codes.MethodNotAllowed)
		m.create()
		m.readsAll("/19/0", content.TLV)
	},
	685: func(m *managed) {
		m.refused("delete", m.reg.Delete(m.t.Context(), at("/3/0")), codes.MethodNotAllowed)
		m.create()
		m.check("delete", m.reg.Delete(m.t.Context(), at("/19/0")))
		m.missing("/19/0")
	},
	701: func(m *managed) { m.readsAll("/4/0", content.TLV) },
	710: func(m *managed) {
		m.notifies("/4/0", func() {
			m.device().tree.Set(objects.Connectivity.ID, 0, model.Values{objects.ConnectivitySignal: int64(-110)})
		})
	},
	751: func(m *managed) { m.readsAll("/5/0", content.TLV) },
	755: func(m *managed) { // a package in blocks, without request tag, and the NUL byte that resets
		m.write("/5/0/0", content.Opaque, []byte{0})
		m.firmware(Idle, ResultInitial)
		m.push(image(2500))
		m.firmware(Downloaded, ResultInitial)
		m.write("/5/0/0", content.Opaque, []byte{0})
		m.firmware(Idle, ResultInitial)
	},
	756: func(m *managed) { // a package URI, and the empty one that resets
		m.write("/5/0/1", content.Text, "")
		m.firmware(Idle, ResultInitial)
		m.check("description", m.device().update.expect(image(2500)))
		m.write("/5/0/1", content.Text, m.platform().publish(image(2500)))
		pass(time.Minute)
		m.firmware(Downloaded, ResultInitial)
		m.write("/5/0/1", content.Text, "")
		m.firmware(Idle, ResultInitial)
	},
	760: func(m *managed) { // observation of the state
		m.attribute("/5/0", tree.Attributes{MinPeriod: seconds(2), MaxPeriod: seconds(10)})
		o := m.observe("/5/0/3")
		m.push(image(2500))
		pass(2 * time.Second)
		o.wants("0", "2") // it has been downloading for less than pmin
		pass(10 * time.Second)
		o.wants("0", "2", "2")
	},
	772: func(m *managed) { // nothing to install
		m.refused("execute", m.reg.Execute(m.t.Context(), at("/5/0/2"), ""), codes.MethodNotAllowed)
		m.firmware(Idle, ResultInitial)
	},
	778: func(m *managed) { // a URI where nothing is
		m.write("/5/0/1", content.Text, "coap://203.0.113.10:5683/nothing")
		pass(time.Minute)
		m.firmware(Idle, ResultInvalidURI)
		m.push(image(2500)) // the next one is not the worse for it
		m.firmware(Downloaded, ResultInitial)
	},
	801: func(m *managed) { m.readsAll("/6/0", content.TLV) },
	810: func(m *managed) {
		m.notifies("/6/0", func() {
			m.device().tree.Set(objects.Location.ID, 0, model.Values{objects.LocationLatitude: 48.8566, objects.LocationLongitude: 2.3522})
		})
	},
	901: func(m *managed) { // a collection between start and stop
		m.check("start", m.reg.Execute(m.t.Context(), at("/7/0/6"), ""))
		for range 20 {
			m.readsAll("/3", content.SenMLJSON)
		}
		m.check("stop", m.reg.Execute(m.t.Context(), at("/7/0/7"), ""))
		sent, err := m.reg.ReadInteger(m.t.Context(), at("/7/0/2"))
		m.check("read", err)
		if m.readsAll("/3", content.SenMLJSON); sent != 9 {
			m.t.Errorf("%d kB sent, want 20 responses of about 470 bytes", sent)
		}
		m.reads("/7/0/2", content.Text, sent) // nothing more after the stop
	},
	905: func(m *managed) { // a collection period ends by itself
		m.check("write", m.reg.WriteText(m.t.Context(), at("/7/0/8"), int64(30)))
		m.check("start", m.reg.Execute(m.t.Context(), at("/7/0/6"), ""))
		pass(time.Minute)
		for range 20 {
			m.readsAll("/3", content.SenMLJSON)
		}
		m.reads("/7/0/2", content.Text, int64(0))
	},
	910: func(m *managed) {
		m.attribute("/7/0", tree.Attributes{MaxPeriod: seconds(10)})
		o := m.observe("/7/0")
		pass(21 * time.Second)
		if n := len(o.notified()); n != 3 {
			m.t.Errorf("%d notifications", n)
		}
	},
}

func TestEnabler(t *testing.T) {
	for id, run := range enabler {
		t.Run(fmt.Sprintf("LightweightM2M-1.1-int-%d", id), func(t *testing.T) {
			opt := DefaultOptions()
			opt.Security, opt.Objects, opt.Extended = NoSec, optionalObjects, true
			inWorld(t, lan(), opt, func(w *world) {
				w.connect()
				run(&managed{w, w.known().reg})
			})
		})
	}
}

// enablerCases are all of the specification, in its order.
var enablerCases = []int{
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 101, 102, 103, 104, 105, 107, 108, 109, 201, 203, 204, 205, 211, 212, 215, 220, 221, 222, 223, 224, 225, 226, 227,
	228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 241, 256, 257, 260, 261, 280, 281, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310, 311, 401,
	651, 652, 655, 656, 657, 660, 680, 685, 701, 710, 751, 755, 756, 760, 770, 771, 772, 773, 774, 775, 776, 777, 778, 779, 780, 801, 810, 901, 905,
	910, 950, 951,
}

// docs/conformance-lwm2m.md has every case once, in order, and those that
// TestEnabler performs with its name.
func TestConformanceTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance-lwm2m.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []int
	for _, row := range regexp.MustCompile(`(?m)^\| ([0-9, ]+) \|(.*)$`).FindAllStringSubmatch(string(page), -1) {
		for _, number := range strings.Split(row[1], ", ") {
			id := must(strconv.Atoi(number))
			listed = append(listed, id)
			if _, here := enabler[id]; here != strings.Contains(row[2], "`TestEnabler`") {
				t.Errorf("case %d: %s", id, row[2])
			}
		}
	}
	if !slices.Equal(listed, enablerCases) {
		t.Errorf("the page has cases %v, want %v", listed, enablerCases)
	}
}

// Send, by a device that reports by it, in every composite format (cases 306 and
// 311), and muted by its server (307).
func TestSend(t *testing.T) {
	for _, format := range []string{"senml-json", "senml-cbor", "lwm2m-cbor"} {
		opt := DefaultOptions()
		opt.Security, opt.Report, opt.Format, opt.Version = NoSec, ReportSend, format, content.V12
		inWorld(t, lan(), opt, func(w *world) {
			w.connect()
			w.check("report", w.session.Report(w.t.Context(), reading(1)))
			if got := w.known().reading; got != reading(1) {
				t.Errorf("%s: the server has %+v", format, got)
			}
			reg := w.known().reg
			w.check("mute", reg.WriteText(w.t.Context(), model.NewPath(objects.Server.ID, 0, objects.ServerMuteSend), true))
			if c := w.cost(func() { w.check("muted send", w.device().send(w.t.Context())) }); c.packets() != 0 {
				t.Errorf("%s: %d packets of a muted device", format, c.packets())
			}
		})
	}
}

// reboots checks that an executed reboot makes the device come again.
func (m *managed) reboots() {
	m.check("execute", m.reg.Execute(m.t.Context(), at("/3/0/4"), ""))
	pass(time.Minute)
	if now := m.known().reg; now == m.reg || m.noted("reboot") != 1 {
		m.t.Error("the device did not reboot")
	}
}

func at(s string) model.Path { return must(model.ParsePath(s)) }

func seconds(n int) *time.Duration {
	d := time.Duration(n) * time.Second
	return &d
}

func number(f float64) *float64 { return &f }

func (m *managed) refused(what string, err error, want codes.Code) {
	m.t.Helper()
	var status *model.StatusError
	if !errors.As(err, &status) || status.Code != want {
		m.t.Errorf("%s: %v, want %s", what, err, coap.CodeString(want))
	}
}

// reads checks one value.
func (m *managed) reads(path string, format message.MediaType, want any) {
	m.t.Helper()
	nodes, err := m.reg.Read(m.t.Context(), at(path), format)
	m.check("read "+path, err)
	if len(nodes) != 1 || nodes[0].Path != at(path) || !reflect.DeepEqual(nodes[0].Value, want) {
		m.t.Errorf("%s: %v, want %v", path, nodes, want)
	}
}

func (m *managed) missing(path string) {
	m.t.Helper()
	_, err := m.reg.Read(m.t.Context(), at(path), anyFormat)
	m.refused("read "+path, err, codes.NotFound)
}

// readsAll checks that the server reads at a path what the device has there.
func (m *managed) readsAll(path string, format message.MediaType) {
	m.t.Helper()
	nodes, err := m.reg.Read(m.t.Context(), at(path), format)
	m.check("read "+path, err)
	nodes = slices.DeleteFunc(model.Flat(nodes), func(n model.Node) bool { return n.Value == nil })
	want := slices.DeleteFunc(model.Flat(m.device().tree.Nodes(at(path).Object())), func(n model.Node) bool {
		return !at(path).Contains(n.Path) || objects.Schema(n.Path).Ops&model.R == 0
	})
	if len(want) == 0 || !reflect.DeepEqual(nodes, want) {
		m.t.Errorf("%s: %v, want %v", path, nodes, want)
	}
}

// readsComposite checks a read of several paths, which finds n resources.
func (m *managed) readsComposite(paths []string, n int) {
	m.t.Helper()
	list := make([]model.Path, len(paths))
	for i, p := range paths {
		list[i] = at(p)
	}
	for _, format := range []message.MediaType{content.SenMLJSON, content.SenMLCBOR} {
		nodes, err := m.reg.ReadComposite(m.t.Context(), list, format)
		m.check("read-composite", err)
		if len(nodes) != n {
			m.t.Errorf("%v, want %d", nodes, n)
		}
		for _, got := range nodes {
			value := m.device().tree.Get(got.Path.Object(), got.Path.Instance(), got.Path.Resource())
			if several, ok := value.(model.Multiple); ok {
				value = several[got.Path.ResourceInstance()]
			}
			if !reflect.DeepEqual(got.Value, value) || !slices.ContainsFunc(list, func(p model.Path) bool { return p.Contains(got.Path) }) {
				m.t.Errorf("%v, the device has %v", got, value)
			}
		}
	}
}

// write writes one resource.
func (m *managed) write(path string, format message.MediaType, value any) {
	m.t.Helper()
	m.check("write "+path, m.reg.Write(m.t.Context(), at(path), true, format, []model.Node{node(path, value)}))
}

// push writes a package in blocks as a server does that knows no request tags.
func (m *managed) push(img clients.Image) {
	m.t.Helper()
	m.check("description", m.device().update.expect(img))
	upload := must(m.reg.session().Upload(coap.NewRequest(codes.PUT, packagePath.String()).WithPayload(coap.Octets, img.Data), coap.UploadOptions{}))
	for b := (coap.Block{}); !b.Last; {
		var err error
		b, err = upload.Next(m.t.Context())
		m.check("push", err)
	}
}

// firmware checks what the server reads of an update a second later.
func (m *managed) firmware(state FirmwareState, result FirmwareResult) {
	m.t.Helper()
	pass(time.Second)
	m.reads("/5/0/3", content.Text, int64(state))
	m.reads("/5/0/5", content.Text, int64(result))
}

// settings of the server object, as the specification sets them.
var settings = []model.Node{node("/1/0/1", int64(600)), node("/1/0/2", int64(5)), node("/1/0/3", int64(90)), node("/1/0/6", true), node("/1/0/7", "U")}

// sets writes them to the instance, setsEach one by one.
func (m *managed) sets(format message.MediaType) {
	m.t.Helper()
	m.check("write", m.reg.Write(m.t.Context(), at("/1/0"), false, format, settings))
	m.has(settings, format)
}

func (m *managed) setsEach(format message.MediaType) {
	m.t.Helper()
	for _, n := range settings {
		m.check("write", m.reg.Write(m.t.Context(), n.Path, true, format, []model.Node{n}))
	}
	m.has(settings, format)
}

func (m *managed) has(nodes []model.Node, format message.MediaType) {
	m.t.Helper()
	for _, n := range nodes {
		m.reads(n.Path.String(), format, n.Value)
	}
	pass(time.Second)
	if m.reg.lifetime != 600*time.Second {
		m.t.Errorf("the server has a lifetime of %v", m.reg.lifetime)
	}
}

// create makes instance 0 of the application data container.
func (m *managed) create() {
	m.t.Helper()
	path, err := m.reg.Create(m.t.Context(), at("/19"), content.TLV, []model.Node{node("/19/0/0", model.Multiple{0: []byte{1}, 1: []byte{2, 3}}), node("/19/0/1", int64(5))})
	m.check("create", err)
	if path != at("/19/0") {
		m.t.Errorf("created %v", path)
	}
}

func (m *managed) attribute(path string, a tree.Attributes) {
	m.t.Helper()
	m.check("write-attributes", m.reg.WriteAttributes(m.t.Context(), at(path), a))
}

// discovers checks what is in the links below a path: the first of want at their
// beginning.
func (m *managed) discovers(path string, want ...string) {
	m.t.Helper()
	links, err := m.reg.Discover(m.t.Context(), at(path))
	m.check("discover", err)
	got := string(content.AppendLinks(nil, links))
	for i, w := range want {
		if i == 0 && !strings.HasPrefix(got, w) || !strings.Contains(got, w) {
			m.t.Errorf("%s: %s, want %s", path, got, w)
		}
	}
}

// level is a new battery level.
func (m *managed) level(percent int64) {
	m.device().tree.Set(objects.Device.ID, 0, model.Values{objects.DeviceBatteryLevel: percent})
}

// watched is an observation and what it has told.
type watched struct {
	*coap.Observation
	m *managed

	mu  sync.Mutex
	got []string
}

func (w *watched) add(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, text)
}

func (m *managed) observe(path string) *watched {
	m.t.Helper()
	w := &watched{m: m}
	o, err := m.reg.Observe(m.t.Context(), at(path), anyFormat, func(r *coap.Response) { w.add(string(r.Payload)) })
	m.check("observe", err)
	w.Observation = o
	return w
}

// observeComposite writes each notification as path=value.
func (m *managed) observeComposite(paths ...string) *watched {
	m.t.Helper()
	w := &watched{m: m}
	list := make([]model.Path, len(paths))
	for i, p := range paths {
		list[i] = at(p)
	}
	o, err := m.reg.ObserveComposite(m.t.Context(), list, content.SenMLCBOR, func(r *coap.Response) {
		var values []string
		for _, n := range must(nodesOf(r, model.Path{})) {
			if n.Path.Object() != objects.Location.ID {
				values = append(values, fmt.Sprintf("%v=%v", n.Path, n.Value))
			}
		}
		w.add(strings.Join(values, " "))
	})
	m.check("observe-composite", err)
	w.Observation = o
	return w
}

func (w *watched) notified() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

func (w *watched) wants(want ...string) {
	w.m.t.Helper()
	if got := w.notified(); !slices.Equal(got, want) {
		w.m.t.Errorf("notified of %q, want %q", got, want)
	}
}

// notifies checks that a change is notified, with what can then be read.
func (m *managed) notifies(path string, change func()) {
	m.t.Helper()
	o := m.observe(path)
	change()
	pass(time.Second / 2)
	payload, _, err := m.device().tree.As(shortServerID).Read(at(path), 0, false)
	m.check("read", err)
	if got := o.notified(); len(got) != 2 || got[1] != string(payload) || got[0] == got[1] {
		m.t.Errorf("notified of %q, want %q", got, payload)
	}
	if n := len(m.recorded(clients.EventWarning)); n != 0 {
		m.t.Errorf("%d warnings", n)
	}
}
