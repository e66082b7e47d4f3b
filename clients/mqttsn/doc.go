// Package mqttsn joins a device to its platform by MQTT-SN 1.2 over UDP or
// DTLS: MQTT for sensor networks, whose messages are short because topics are
// numbers, and whose clients may sleep.
//
// A client speaks to a Gateway, which is an aggregating one (section 4.2): it
// shares the platform's broker among its clients. Topics are registered, or
// predefined on both ends, or two characters long. Messages travel at QoS 1, 0
// or, from a client that never connects, -1 on predefined or short topics.
//
//	stack, err := mqttsn.New(mqttsn.DefaultOptions())
//
// Whatever wants an answer is sent again every T_retry, N_retry times (section
// 6.13); one exchange is under way at a time in each direction (section 6.12).
//
// A sleeping client (section 6.14) says for how long by DISCONNECT; the gateway
// keeps its messages until it asks for them by PINGREQ. To send, it connects
// again, which costs two messages.
//
// The standard is "MQTT For Sensor Networks (MQTT-SN) Protocol Specification
// Version 1.2" of 14 November 2013
// (https://www.oasis-open.org/committees/download.php/66091/MQTT-SN_spec_v1.2.pdf).
//
// Limitations: no search for gateways (ADVERTISE is ignored, SEARCHGW is
// answered by GWINFO), no forwarder encapsulation, no updates of a will; QoS 2
// is granted as 1 and refused when published; no firmware updates. The one kept
// library in Go binds the gateway to sockets of the operating system, so the
// protocol is our own.
package mqttsn
