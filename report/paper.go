package report

// Paper is what the reference experiment of 2020 published for one test and
// one side: MachNation, "Comparing the efficiency of LwM2M and MQTT", April
// 2020. Bytes are Ethernet frames.
type Paper struct {
	Bytes   float64 // total of both directions
	Packets float64 // 0: not published
	UpShare float64 // share of the bytes from device to platform; 0: not published
}

// paper2020 is keyed by scenario and stack. OTA bytes are those the paper
// gives in MB; LwM2M by CoAP is derived from "MQTT is 11 % below it".
var paper2020 = map[[2]string]Paper{
	{"connect", "mqtt"}:             {Bytes: 14907, Packets: 46, UpShare: .40}, // 324 B mean
	{"connect", "lwm2m"}:            {Bytes: 4213, Packets: 14, UpShare: .67},  // 295 B mean
	{"steady", "mqtt"}:              {Bytes: 260, Packets: 3, UpShare: .63},
	{"steady", "lwm2m"}:             {Bytes: 179, Packets: 2, UpShare: .54},
	{"observe", "mqtt"}:             {Bytes: 15394, Packets: 30, UpShare: .53},
	{"observe", "lwm2m"}:            {Bytes: 1820, Packets: 10, UpShare: 1},
	{"command", "mqtt-plain-topic"}: {Bytes: 217, Packets: 2, UpShare: .30},
	{"command", "lwm2m"}:            {Bytes: 181, Packets: 2, UpShare: .46},
	{"ota", "mqtt-https"}:           {Bytes: 1.11e6},
	{"ota", "lwm2m-coap-pull"}:      {Bytes: 1.25e6},
	{"ota", "lwm2m-https-pull"}:     {Bytes: 1.15e6},
}
