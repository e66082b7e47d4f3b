// Package shadow is a Device Shadow service as AWS IoT Core offers it: a JSON
// document for each thing with what its application desires and what the
// device reports, kept by the platform while the device is away.
//
// Shadow is one document, a pure state machine that gets its time as an
// argument. Serve answers the topics of all things of a broker:
//
//	$aws/things/THING/shadow/update   {"state":{"reported":{...}},"clientToken":"..."}
//	$aws/things/THING/shadow/get      {"clientToken":"..."} or empty
//	$aws/things/THING/shadow/delete   likewise
//
// with an answer on the same topic + "/accepted" or "/rejected" and, after an
// update, the whole on update/documents and a difference on update/delta.
//
// What it does follows the developer guide, "Device Shadow service documents"
// (https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html).
// Keys come out sorted, so that equal states have equal bytes. Limitations:
// classic shadows only, no named ones; a deleted shadow's version is never
// forgotten (AWS keeps it for 48 hours).
package shadow
