// Package lwm2m is a LwM2M device and its server, versions 1.0 to 1.2, over CoAP
// and DTLS 1.2 or TLS: bootstrap, registration, device management, observation
// and firmware update as in OMA-TS-LightweightM2M_Core-V1_1, whose sections the
// comments cite.
//
//	stack, err := lwm2m.New(lwm2m.DefaultOptions())
//	session, err := clients.Start(ctx, stack, env)
//	defer session.Close()
//	err = session.Connect(ctx, reading) // handshake, register, discover, observe
//	err = session.Report(ctx, reading)  // one notification
//	err = session.Command(ctx, 42)      // one write
//	err = session.Update(ctx, image)    // object 5, pulled over CoAP or HTTPS
//
// Each end runs alone, too: NewDevice against any server, NewPlatform for any
// client.
//
// The data side is in packages of its own: model (paths, values, definitions),
// objects (the standard's), content (formats) and tree (a device's objects and
// the operations on them). This package has the network side.
//
// Nouns: a tree.Tree is a device's objects; a model.Path names a place in it;
// Firmware is the state machine of object 5. The device keeps one session with
// each server and mends it: what is lost is registered anew, over a new DTLS
// session. The server has one registration per endpoint.
//
// Lost notifications. A report is a non-confirmable notification by default,
// and whoever sends one accepts that it may be lost: Report then returns
// without error after Options.ReportWait and records an EventWarning. With
// Notify "con" it ends when the server has acknowledged it. Notifications of
// object 5 are always confirmable, since the server waits for them.
//
// Firmware. Option Delivery is coap-pull (Block2), coap-push (Block1 to the
// Package resource), https-pull, or coap-tcp-pull (RFC 8323, BERT blocks). Pulls
// use a session of their own, as AVSystem Anjay's do, unless SameSession is set.
// They resume at the block, or over HTTPS at the byte, where they stopped, if the
// entity tag is still the same. A push goes on from the block that the device
// wants; the request tag (RFC 9175) says that it is still the same package.
//
// What the device keeps in clients.Env.Flash over a reboot is the state of the update, the package so
// far and its entity tag; what the platform keeps is registrations and
// packages, not DTLS sessions, which the device finds out by silence.
//
// What sizes depend on, where the reference experiment is silent: tokens have
// 8 bytes, location paths 4 characters ("/rd/0001"), floats 8 bytes, entity
// tags of packages 8 bytes, connection IDs 6 bytes; a single resource is
// written as plain text, an instance is read as TLV.
//
// Several servers (Options.MoreServers). A device has an account per server, with
// a session, a registration and timers of its own; a Platform runs all of them,
// each with its registry, at ports 10 apart.
//
// Limitations: servers of different versions make the device's objects those of
// the oldest. No raw public keys (pion/dtls lacks RFC 7250), no OSCORE. Binding T is without
// queue mode and bootstrap, binding N without bootstrap. No binding S: an SMS takes
// another way than packets do, with its own delay, cost and segments, and a link
// here has one way in each direction and prices nothing. DTLS sessions with client
// certificates are not resumed: pion/dtls gives them no ID.
package lwm2m
