package lwm2m

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// Values of Update State of the software management object
// (OMA-TS-LWM2M_SwMgmt-V1_0 section 5.1.2).
const (
	softwareInitial   = int64(0)
	softwareDelivered = int64(3)
	softwareInstalled = int64(4)
)

// Values of its Update Result.
const (
	softwareNone       = int64(0)
	softwareDone       = int64(2)
	softwareVerified   = int64(3)
	softwareNoStorage  = int64(50)
	softwareUnexpected = int64(54) // unsupported package type
)

// component is one instance of the software management object: packages are
// pushed to it, installed, activated, deactivated and uninstalled. The device
// takes any package that is not empty and fits its storage; there is nothing to
// run.
type component struct {
	tree    *tree.Tree
	id      uint16
	storage int // bytes; 0 is enough
}

// instance is a component without software.
func (c *component) instance() *tree.Instance {
	return &tree.Instance{
		Values: model.Values{
			objects.SoftwareName: "component", objects.SoftwareVersion: "", objects.SoftwarePackage: nil,
			objects.SoftwareState: softwareInitial, objects.SoftwareSupportedObjects: false,
			objects.SoftwareResult: softwareNone, objects.SoftwareActive: false,
		},
		OnWrite: c.write,
		Execute: map[uint16]func(string) error{
			objects.SoftwareInstall:    c.step(softwareDelivered, model.Values{objects.SoftwareState: softwareInstalled, objects.SoftwareResult: softwareDone}),
			objects.SoftwareUninstall:  c.uninstall,
			objects.SoftwareActivate:   c.step(softwareInstalled, model.Values{objects.SoftwareActive: true}),
			objects.SoftwareDeactivate: c.step(softwareInstalled, model.Values{objects.SoftwareActive: false}),
		},
	}
}

func (c *component) state() any { return c.tree.Get(objects.Software.ID, c.id, objects.SoftwareState) }

// write takes a package, in state INITIAL, and judges it.
func (c *component) write(v model.Values) (model.Values, error) {
	p, ok := v[objects.SoftwarePackage].([]byte)
	switch {
	case !ok:
		return v, nil
	case c.state() != softwareInitial:
		return nil, model.Refuse(codes.MethodNotAllowed, "there is a package")
	}
	delete(v, objects.SoftwarePackage)
	switch {
	case len(p) == 0:
		v[objects.SoftwareResult] = softwareUnexpected
	case c.storage > 0 && len(p) > c.storage:
		v[objects.SoftwareResult] = softwareNoStorage
	default:
		v[objects.SoftwareState], v[objects.SoftwareResult] = softwareDelivered, softwareVerified
	}
	return v, nil
}

// step is an execution that one state allows.
func (c *component) step(state int64, becomes model.Values) func(string) error {
	return func(string) error {
		if c.state() != state {
			return model.Refuse(codes.MethodNotAllowed, "not in this state")
		}
		c.tree.Set(objects.Software.ID, c.id, becomes)
		return nil
	}
}

// uninstall removes the software or, before it is installed, its package.
func (c *component) uninstall(string) error {
	if c.state() == softwareInitial {
		return model.Refuse(codes.MethodNotAllowed, "there is no package")
	}
	c.tree.Set(objects.Software.ID, c.id, model.Values{
		objects.SoftwareState: softwareInitial, objects.SoftwareResult: softwareNone, objects.SoftwareActive: false,
	})
	return nil
}
