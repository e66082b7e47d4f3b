// Package mqtt joins a device to its platform by MQTT 3.1.1 or 5 over TLS, as the
// cloud platforms of the large vendors do: X.509 client certificates or passwords,
// a Device Shadow, an Azure IoT hub's device twin and methods, or plain topics for
// telemetry and commands, jobs for firmware updates, and the image over HTTPS or in
// messages.
//
// The device is Eclipse Paho over crypto/tls; the platform is the broker of
// package broker with the services of packages shadow and jobs and a file
// server of package httpfile. All of it runs unmodified on any clients.Host.
//
//	stack, err := mqtt.New(mqtt.DefaultOptions())
//	session, err := clients.Start(ctx, stack, env)
//	err = session.Connect(ctx, reading)
//
// Each end runs alone, too: NewDevice against any broker, NewPlatform for any
// client.
//
// Topics, for a device named THING:
//
//	$aws/things/THING/shadow/...   reports and commands, Topics "shadow"
//	$aws/things/THING/jobs/...     firmware updates
//	$aws/things/THING/streams/...  images, OTA "chunks"
//	v2/fw/{request,response}/JOB/chunk/N   images, OTA "thingsboard"
//	thinlink/firmware/JOB/NNNNNN   images, OTA "push"
//	thinlink/THING/report          reports, Topics "plain"
//	thinlink/THING/command         commands, Topics "plain"
//	thinlink/THING/answer          answers to them, Respond
//	thinlink/THING/status          online or, by its will, offline, Will
//	devices/THING/..., $iothub/... see package azure, Topics "azure"
//
// What the reference experiment (MachNation, April 2020) does not publish was
// chosen so that its sizes come out: the layout of the report (see payload.go)
// and what the device does at every start (see device.go).
//
// What the device keeps over a reboot is in Env.Flash: the image so far with a record of what it is,
// what a persistent session has been granted and not got acknowledged, and the
// number of power-ons. The platform keeps shadows, jobs, images, retained
// messages and persistent MQTT sessions; clean ones end with the connection.
// TLS tickets survive neither a reboot of the device nor, if the configuration
// has none, a connection.
//
// A power cut costs the image bytes since the record was last written: less
// than 4 KiB and one block, or one TLS record over HTTPS. A record never claims
// what is not in the file.
//
// Limitations: a step that is cut short by a lost connection is
// repeated on the next one, so that at QoS 0 and 1 a platform may see a report
// or a device a command twice; paho checks its keep-alive every 5 s, so a PINGREQ
// comes up to 5 s late; a download goes on for ever while the server cannot be
// reached, and fails at once when the server refuses the file or has another.
package mqtt
