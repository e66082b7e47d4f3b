// Package web joins a device to its platform without a protocol for devices, as
// the baselines that others are held against: plain CoAP and HTTPS.
//
// CoAP: the device POSTs readings to /report over UDP or DTLS, the platform PUTs
// commands to /command on the same association, and firmware is a GET in blocks
// from /firmware, which a PUT to /update announces.
//
// HTTPS: the device POSTs readings to /report over HTTP/1.1. Nobody can call it,
// so it asks: by a long poll of /next on a connection of its own, which the
// platform answers when there is something, at the latest after Hold; or by a
// poll every PollInterval. Firmware is one GET of a file, which an answer to
// /next announces.
//
// In both, how the update ended is a POST to /status. Readings and commands are
// those of package reading.
//
// Limitations: firmware is kept in memory while it comes, so that a reboot
// begins the download again; a lost connection does not.
package web
