package lwm2m

import (
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
	"github.com/thinlink/thinlink/clients/lwm2m/tree"
)

// optionalObjects are those of Options.Objects.
var optionalObjects = []int{4, 6, 7, 9, 19, 3303}

// furnish adds the objects that Options.Objects names.
func (d *device) furnish() {
	add := map[int]func(){
		4: d.addConnectivity, 6: d.addLocation, 9: d.addSoftware, 19: d.addAppData, 3303: d.addTemperature,
		7: func() { d.tree.Add(objects.Statistics, 0, d.traffic.instance()) },
	}
	for _, id := range d.opt.Objects {
		add[id]()
	}
}

// addConnectivity describes a narrowband bearer, with values of no particular
// cell.
func (d *device) addConnectivity() {
	const nbIoT = 7 // appendix E.5, resource 0
	d.tree.Add(objects.Connectivity, 0, &tree.Instance{Values: model.Values{
		objects.ConnectivityBearer: int64(nbIoT), 1: model.Multiple{0: int64(nbIoT)}, objects.ConnectivitySignal: int64(-95),
		objects.ConnectivityQuality: int64(-10), objects.ConnectivityAddresses: model.Multiple{0: d.env.Device.Addr().String()},
		7: model.Multiple{0: "iot"}, objects.ConnectivityCell: int64(1), 9: int64(1), 10: int64(1), // the test network's codes
	}})
}

// addLocation is a place that does not move: the Greenwich meridian.
func (d *device) addLocation() {
	d.tree.Add(objects.Location, 0, &tree.Instance{Values: model.Values{
		objects.LocationLatitude: 51.4779, objects.LocationLongitude: 0.0, 2: 46.0, 3: 10.0,
		objects.LocationTimestamp: d.env.Now().Unix(), 6: 0.0,
	}})
}

// addSoftware has one component, and takes others that servers create: none of
// its resources need be given.
func (d *device) addSoftware() {
	d.tree.Define(objects.Software, func(id uint16, v model.Values) (*tree.Instance, error) {
		c := &component{tree: d.tree, id: id, storage: d.opt.Storage}
		return c.instance(), nil
	})
	c := &component{tree: d.tree, storage: d.opt.Storage}
	d.tree.Add(objects.Software, 0, c.instance())
}

// addAppData has no instance: servers create them for the data they have.
func (d *device) addAppData() {
	d.tree.Define(objects.AppData, func(_ uint16, v model.Values) (*tree.Instance, error) {
		inst := &tree.Instance{Values: model.Values{}}
		for i := range objects.AppData.Resources {
			inst.Values[objects.AppData.Resources[i].ID] = nil // supported
		}
		for id := range v {
			inst.Values[id] = v[id]
		}
		return inst, nil
	})
}

// addTemperature is a sensor that measures the float of the observed object.
func (d *device) addTemperature() {
	d.tree.Add(objects.Temperature, 0, &tree.Instance{
		Values: model.Values{
			objects.TemperatureValue: 0.0, objects.TemperatureMin: nil, objects.TemperatureMax: nil,
			objects.TemperatureRangeMin: -40.0, objects.TemperatureRangeMax: 85.0, objects.TemperatureUnits: "Cel",
			objects.TemperatureApplication: "", objects.TemperatureTimestamp: nil,
		},
		Execute: map[uint16]func(string) error{objects.TemperatureReset: func(string) error {
			now := d.tree.Get(objects.Temperature.ID, 0, objects.TemperatureValue)
			d.tree.Set(objects.Temperature.ID, 0, model.Values{objects.TemperatureMin: now, objects.TemperatureMax: now})
			return nil
		}},
	})
}

// measure gives the temperature sensor, if there is one, the float of a reading.
func (d *device) measure(r clients.Reading) {
	was := d.tree.Values(objects.Temperature.ID, 0)
	if was == nil {
		return
	}
	low, high := r.Float, r.Float
	if v, ok := was[objects.TemperatureMin].(float64); ok {
		low = min(low, v)
	}
	if v, ok := was[objects.TemperatureMax].(float64); ok {
		high = max(high, v)
	}
	d.tree.Set(objects.Temperature.ID, 0, model.Values{
		objects.TemperatureValue: r.Float, objects.TemperatureMin: low, objects.TemperatureMax: high,
		objects.TemperatureTimestamp: d.env.Now().Unix(),
	})
}

// extend gives the device object the optional resources that the reference
// experiment's lacks.
func (d *device) extend(inst *tree.Instance) {
	if !d.opt.Extended {
		return
	}
	inst.Values[objects.DeviceCurrentTime] = nil
	inst.Refresh = func(v model.Values) { v[objects.DeviceCurrentTime] = d.env.Now().Unix() + d.clockOffset.Load() }
	inst.OnWrite = func(v model.Values) (model.Values, error) {
		if t, ok := v[objects.DeviceCurrentTime].(int64); ok {
			d.clockOffset.Store(t - d.env.Now().Unix())
		}
		if zone, ok := v[objects.DeviceUTCOffset].(string); ok && !isOffset(zone) {
			return nil, model.Refuse(codes.BadRequest, "UTC offset "+zone)
		}
		return v, nil
	}
	inst.Execute[objects.DeviceResetErrorCode] = func(string) error {
		d.tree.Set(objects.Device.ID, 0, model.Values{objects.DeviceErrorCode: model.Multiple{0: int64(0)}})
		return nil
	}
	inst.Execute[objects.DeviceFactoryReset] = func(string) error {
		time.AfterFunc(reaction, d.restart)
		return nil
	}
}

// isOffset reports whether a string is an offset to UTC (appendix E.4, resource
// 14; ISO 8601).
func isOffset(s string) bool {
	_, err := time.Parse("-07:00", s)
	return err == nil
}
