// Package mqtt joins a device to its platform by MQTT 3.1.1 over TLS, as the
// cloud platforms of the large vendors do: X.509 client certificates, a Device
// Shadow or plain topics for telemetry and commands, jobs for firmware updates
// and the image over HTTPS.
//
// The device is Eclipse Paho over crypto/tls; the platform is the broker of
// package broker with the services of packages shadow and jobs and a file
// server of package httpfile. All of it runs unmodified on any clients.Host.
//
//	stack, err := mqtt.New(mqtt.DefaultOptions())
//	session, err := stack.Start(ctx, env)
//	err = session.Connect(ctx, reading)
//
// Topics, for a device named THING:
//
//	$aws/things/THING/shadow/...   reports and commands, Topics "shadow"
//	$aws/things/THING/jobs/...     firmware updates
//	v2/fw/{request,response}/JOB/chunk/N   images, OTA "chunks"
//	thinlink/THING/report          reports, Topics "plain"
//	thinlink/THING/command         commands, Topics "plain"
//
// What the reference experiment (MachNation, April 2020) does not publish was
// chosen so that its sizes come out: the layout of the report (see payload.go)
// and what the device does at every start (see device.go).
//
// A session is a clients.Rebooter and a clients.PlatformRestarter. The image
// lives in Env.Flash; shadows, jobs and images survive the platform's restart.
//
// Limitations: one device; MQTT sessions do not survive the platform's restart; a step that is cut short by a lost connection is
// repeated on the next one, so that at QoS 0 and 1 a platform may see a report
// or a device a command twice; paho checks its keep-alive every 5 s, so a PINGREQ
// comes up to 5 s late.
package mqtt
