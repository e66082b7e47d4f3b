// Package tcp is TCP as a pure state machine: segments and the time go in,
// segments and the next timer come out. It reads no clock, holds no lock and
// starts no goroutine; its owner serialises the calls.
//
// The nouns: a [Segment] is what travels; a [Conn] is one end of a connection
// (RFC 9293); a [Config] says which mechanisms that end uses and with which
// constants. [Linux] behaves like the kernel's TCP, version 6.1, [LwIP] like
// the small stack of many cellular modules.
//
//	c := tcp.Dial(tcp.Linux(), now, 49152, 443, iss, 1358, false)
//	c.Output(now, send)                  // the SYN
//	c.Input(now, synAck)                 // what arrives
//	c.Output(now, send)                  // what that allows to leave
//	at, ok := c.Next()                   // when to call Tick
//
// After every call that may change something (Input, Tick, Write, Read,
// CloseWrite, Close, Abort) the owner calls Output and looks at Next again.
// Time must not go backwards.
//
// Limitations: no urgent data (the bit is ignored), no ECN, no TCP Fast Open,
// no path MTU discovery (the MTU is an argument), no pacing, no segmentation
// offload, no compression of SACKs. Buffers are counted in payload bytes plus
// an estimate of the kernel's per-packet overhead.
package tcp
