// Package streams delivers files over MQTT in blocks, as AWS IoT Core does
// ("MQTT-based file delivery"): a thing asks for the blocks that it lacks and
// gets each in a message of its own.
//
// A stream is a file under a name, with a version that grows when the file is
// replaced. Below $aws/things/THING/streams/STREAM/ are
//
//	get/cbor       a Request: some blocks by their number or by a bitmap
//	data/cbor      the answers: one Block each
//	rejected/cbor  a Rejection
//
// in CBOR (RFC 8949), which is a third shorter than the JSON with base64 that
// the service offers as well.
//
//	s := streams.New()
//	version := s.Put("update-1", image)
//	err := s.Serve(b)
//
// It follows the developer guide, "Using AWS IoT MQTT-based file delivery in
// devices"
// (https://docs.aws.amazon.com/iot/latest/developerguide/mqtt-based-file-delivery-in-devices.html),
// with its limits: blocks of 256 B to 128 KiB, and at most 128 KiB for one
// request, after which the thing asks again. Everything is sent at QoS 0, as
// that service does. Limitations: one file for each stream, its number 0; CBOR
// only, in definite lengths; no describe, whose answer the job carries.
package streams
