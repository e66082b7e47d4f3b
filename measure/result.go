package measure

import "github.com/thinlink/thinlink/power"

// Result is what one run came to. Its JSON form is the command's contract.
type Result struct {
	Profile   string `json:"profile"`
	Scenario  string `json:"scenario"`
	Stack     string `json:"stack"`
	Engine    string `json:"engine"`
	Seed      uint64 `json:"seed"`
	Timers    string `json:"timers,omitempty"` // "profile": those the profile recommends
	Completed bool   `json:"completed"`
	Error     string `json:"error"`

	WindowS     float64 `json:"window_s"`     // measured window, s
	CompletionS float64 `json:"completion_s"` // from the window's start to the end of the last step, s
	WallS       float64 `json:"wall_s"`       // real time the run took, start of the worker included, s

	Up   Counts `json:"up"`
	Down Counts `json:"down"`
	// Ports divides them among the platform's ports where a device has several
	// servers.
	Ports []PortCounts `json:"ports,omitempty"`

	Retransmissions Retransmissions `json:"retransmissions"`
	Layers          Layers          `json:"layers"`
	SMS             *SMS            `json:"sms,omitempty"` // on a link of short messages
	OTA             *OTA            `json:"ota,omitempty"`
	Ping            *Ping           `json:"ping,omitempty"`
	Bulk            *Bulk           `json:"bulk,omitempty"`
	Exec            *Exec           `json:"exec,omitempty"`
	Kernel          *Kernel         `json:"kernel,omitempty"` // on engines tc and vm

	EnergyJ  float64         `json:"energy_j"` // of the window, by a meter, the module model or the profile's mean powers
	Energy   *power.Summary  `json:"energy,omitempty"`
	Measured *power.Measured `json:"measured,omitempty"`
	RadioS   RadioS          `json:"radio_s"`

	Warnings []string `json:"warnings"`
	Files    Files    `json:"files"`
}

// Counts are one direction's packets at the tap: sent, whatever became of
// them. Bytes are IP packets; BytesEthernet adds 14 per packet.
type Counts struct {
	Packets       int64 `json:"packets"`
	Bytes         int64 `json:"bytes"`
	BytesEthernet int64 `json:"bytes_ethernet"`
	Dropped       int64 `json:"dropped"`
	BytesDropped  int64 `json:"bytes_dropped"`
}

// Retransmissions by protocol. A spurious one repeats what had arrived or was
// still on its way.
type Retransmissions struct {
	TCP          int64 `json:"tcp"`
	TCPSpurious  int64 `json:"tcp_spurious"`
	CoAP         int64 `json:"coap"`
	CoAPSpurious int64 `json:"coap_spurious"`
	DTLS         int64 `json:"dtls"`
	// Both are left out where no MQTT-SN was spoken, or nothing sent again.
	MQTTSN         int64 `json:"mqtt_sn,omitempty"`
	MQTTSNSpurious int64 `json:"mqtt_sn_spurious,omitempty"`
	TLSHandshakes  int64 `json:"tls_handshakes"` // full and resumed, TLS and DTLS
}

// Kernel is what Linux itself counts (TCP_INFO) in the window, on both hosts, of
// each connection until it is closed.
type Kernel struct {
	TCPRetransmissions int64 `json:"tcp_retransmissions"` // segments sent again
}

// SMS are the short messages of each direction, segments of longer ones counted
// each, and their price, in the currency of the profile.
type SMS struct {
	Up   int64   `json:"up"`
	Down int64   `json:"down"`
	Cost float64 `json:"cost"`
}

// Layers split the bytes of both directions. They add up to Up.Bytes +
// Down.Bytes; what is retransmitted counts again in its own layer.
type Layers struct {
	IP        int64 `json:"ip"`        // IP headers
	Transport int64 `json:"transport"` // TCP, UDP and ICMP headers, protocols of short messages
	Security  int64 `json:"security"`  // TLS and DTLS: handshakes, record headers, nonces, tags
	Protocol  int64 `json:"protocol"`  // MQTT, CoAP and HTTP headers
	Payload   int64 `json:"payload"`   // what the application wanted to say
}

// OTA is how an update went.
type OTA struct {
	ImageBytes    int64 `json:"image_bytes"`
	ReceivedBytes int64 `json:"received_bytes"` // image bytes that reached the device, repeats included
	WastedBytes   int64 `json:"wasted_bytes"`   // of these, not part of a first useful delivery
	Interruptions int   `json:"interruptions"`
	// Resumed is true if after every interruption the device went on where it
	// had stopped, or before that by less than a tenth of what it had.
	Resumed bool `json:"resumed"`
	// LostS is, for each interruption, the time from its start to the next
	// image byte that the device did not have, s.
	LostS    []float64 `json:"lost_s,omitempty"`
	SHA256OK bool      `json:"sha256_ok"`
}

// Ping is the round trips of scenario ping: the first of each train from idle,
// the others connected.
type Ping struct {
	Idle      PingStats `json:"idle"`
	Connected PingStats `json:"connected"`
}

// PingStats describe round trips, ms.
type PingStats struct {
	Sent     int     `json:"sent"`
	Received int     `json:"received"`
	MinMS    float64 `json:"min_ms"`
	P5MS     float64 `json:"p5_ms"`
	P50MS    float64 `json:"p50_ms"`
	MeanMS   float64 `json:"mean_ms"`
	P95MS    float64 `json:"p95_ms"`
	P99MS    float64 `json:"p99_ms"`
	MaxMS    float64 `json:"max_ms"`
}

// Bulk is the transfer of scenario bulk.
type Bulk struct {
	Direction  string  `json:"direction"`
	Bytes      int64   `json:"bytes"`       // application bytes that arrived
	DurationS  float64 `json:"duration_s"`  // TCP: from accept to end of stream; UDP: first to last datagram, s
	GoodputBPS float64 `json:"goodput_bps"` // application bit/s
	RateBPS    float64 `json:"rate_bps"`    // delivered IP bit/s between first and last packet
}

// Exec is the program of scenario exec.
type Exec struct {
	Command    []string `json:"command"`
	ExitStatus int      `json:"exit_status"` // 128 and the number for a signal
}

// RadioS is the time the radio spent in each state, s.
type RadioS struct {
	TX        float64 `json:"tx"`
	RX        float64 `json:"rx"`
	Connected float64 `json:"connected"` // includes set-up; neither sending nor receiving
	Idle      float64 `json:"idle"`
	PSM       float64 `json:"psm"`
}

// Files are the artefacts of a run, relative to the output directory.
type Files struct {
	PCAPNG string `json:"pcapng,omitempty"`
	KeyLog string `json:"keylog,omitempty"`
	Events string `json:"events,omitempty"`
	Power  string `json:"power,omitempty"` // CSV of the samples of a meter
}
