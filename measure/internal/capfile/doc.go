// Package capfile reads and writes capture files: pcap
// (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), and finds the
// IP packet in a captured frame.
//
// Nouns: a File is a whole capture in memory; its Packets share the bytes it
// was parsed from. A Writer writes one pcapng section, block by block.
//
// It exists beside gopacket's pcapgo because a trace needs custom options (the
// fate of a packet), reading without a copy of each packet, and the reader's
// offset in every error.
//
// Limitations: files are read whole; compressed files are refused; of pcapng's
// blocks only sections, interfaces, packets and decryption secrets are read,
// others are skipped.
package capfile

import "time"

// File is a capture.
type File struct {
	Application string // what wrote it (pcapng)
	Comment     string // the section's comment (pcapng)
	// Custom is the section's custom string (pcapng), if it is ours.
	Custom  string
	Packets []Packet
	// KeyLog holds the TLS secrets in the file, NSS key log format.
	KeyLog []byte
	// Truncated says that the file ends in the middle of a packet or block.
	Truncated bool
}

// Packet is one captured frame.
type Packet struct {
	Time      time.Time
	Interface string // its name, pcapng only
	LinkType  uint16
	Data      []byte // as much as was captured
	Length    int    // as it was on the wire, bytes
	// Custom is the packet's custom option (pcapng), if it is ours.
	Custom []byte
}
