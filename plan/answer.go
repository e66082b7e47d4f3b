package plan

// Answer is what a deployment comes to. Its JSON form is one object on a line.
type Answer struct {
	Deployment     string        `json:"deployment"`
	WhatIf         string        `json:"what_if"`
	Technology     string        `json:"technology"`
	Seed           uint64        `json:"seed"`
	Cells          int           `json:"cells"`
	Carriers       int           `json:"carriers_per_cell"`
	Devices        int           `json:"devices"`
	DevicesPerCell int           `json:"devices_per_cell"` // of the fullest cell
	DurationS      float64       `json:"duration_s"`
	Offered        Offered       `json:"offered"`
	Channels       []Use         `json:"utilisation"`
	Access         []Access      `json:"random_access"`
	Connected      Held          `json:"connected"`
	Delay          []Delay       `json:"delay"`
	Blocking       Probability   `json:"blocking"` // a report given up in random access
	Lost           Probability   `json:"lost"`     // a report that no retransmission repaired
	Groups         []GroupAnswer `json:"groups"`
	Capacity       *Capacity     `json:"capacity,omitempty"`
	Assumptions    []string      `json:"assumptions"`
	Warnings       []string      `json:"warnings"`
}

// Offered is what all devices together want, in all cells.
type Offered struct {
	ReportsPerS float64 `json:"reports_per_s"`
	UpBPS       float64 `json:"up_bps"` // IP packets on the air, retransmissions and sessions included, bit/s
	DownBPS     float64 `json:"down_bps"`
}

// Use is a channel's utilisation by one coverage class: the share of its time
// that is available to devices. Above 1 work was left over.
type Use struct {
	Channel string    `json:"channel"`
	Class   string    `json:"class"`
	Mean    float64   `json:"mean"`
	Peak    float64   `json:"peak"` // of the fullest hour
	ByHour  []float64 `json:"by_hour"`
}

// Access is a class's random access.
type Access struct {
	Class     string      `json:"class"`
	Preambles int64       `json:"preambles"`
	PerS      float64     `json:"preambles_per_s_and_cell"`
	Capacity  float64     `json:"opportunities_per_s_and_cell"`
	Collision Probability `json:"collision"`
	// ClosedForm is 1 - exp(-preambles per opportunity), for Poisson arrivals
	// at the mean rate.
	ClosedForm float64   `json:"collision_closed_form"`
	Attempts   float64   `json:"attempts_per_access"` // of those that succeeded
	NoResponse int64     `json:"no_response"`
	Rejected   int64     `json:"rejected"`
	ByHour     []float64 `json:"load_by_hour"` // preambles for each opportunity
}

// Held is connections of a cell.
type Held struct {
	Mean   float64   `json:"mean"`
	Peak   int       `json:"peak"`
	Limit  int       `json:"limit"`
	ByHour []float64 `json:"by_hour"`
}

// Delay is from a report's being due to its exchange's last packet.
type Delay struct {
	Class string  `json:"class"` // "all", or a coverage class
	N     int64   `json:"n"`
	P50S  float64 `json:"p50_s"`
	P95S  float64 `json:"p95_s"`
	P99S  float64 `json:"p99_s"`
}

// GroupAnswer is one device group.
type GroupAnswer struct {
	Name          string      `json:"name"`
	Devices       int         `json:"devices"`
	Stack         string      `json:"stack"`
	Reports       int64       `json:"reports"`
	ReportUp      float64     `json:"report_up_bytes"` // of the first class's signature
	ReportDown    float64     `json:"report_down_bytes"`
	ReportPackets int         `json:"report_packets"`
	SessionS      float64     `json:"session_period_s"` // keep-alive, registration update; 0 is none
	SessionBytes  float64     `json:"session_bytes"`
	Repeated      int64       `json:"retransmissions"`
	Spurious      int64       `json:"retransmissions_spurious"`
	Blocking      Probability `json:"blocking"`
	Delay         Delay       `json:"delay"`
	BytesMonth    float64     `json:"bytes_per_device_and_month"` // 30 days
	Cost          *Cost       `json:"cost,omitempty"`
	Battery       *Life       `json:"battery,omitempty"`
	OTA           *Update     `json:"ota,omitempty"`
}

// Cost is of a month of 30 days.
type Cost struct {
	Currency  string  `json:"currency"`
	PerDevice float64 `json:"per_device_and_month"`
	Group     float64 `json:"group_per_month"`
	OTA       float64 `json:"ota_per_device"` // of an update, all beyond what is included
}

// Life is the distribution of battery life over a group's devices, years.
type Life struct {
	P5   float64   `json:"p5_years"`
	P50  float64   `json:"p50_years"`
	P95  float64   `json:"p95_years"`
	Rows []LifeRow `json:"rows"`
}

// LifeRow is the battery life of those with one class and interval.
type LifeRow struct {
	Class     string  `json:"class"`
	IntervalS float64 `json:"interval_s"`
	Share     float64 `json:"share"`
	MeanMW    float64 `json:"mean_mw"`
	Years     float64 `json:"years"`
}

// Update is a firmware campaign.
type Update struct {
	Stack     string  `json:"stack"`
	Strategy  string  `json:"strategy"`
	Image     int64   `json:"image_bytes"`
	Updated   int64   `json:"updated"`
	Failed    int64   `json:"failed"` // took longer than the time-out, the last time
	Left      int64   `json:"left"`   // not called, or under way at the end
	P50S      float64 `json:"half_after_s"`
	P95S      float64 `json:"p95_after_s"`
	LastS     float64 `json:"last_after_s"`
	DeviceS   float64 `json:"device_p50_s"` // of one update
	UpBytes   float64 `json:"up_bytes"`     // of one update
	DownBytes float64 `json:"down_bytes"`
}
