// Package tlsdec looks into TLS and DTLS from outside, with the secrets of a
// key log: which bytes are the protocol's own, and what the application sent.
//
// Nouns: Keys are parsed from an NSS key log; a Connection is a TLS connection
// whose two byte streams are known from the first byte; a Session is a DTLS
// association that is fed datagram by datagram.
//
// Versions: TLS 1.2 (RFC 5246) and 1.3 (RFC 8446), DTLS 1.2 (RFC 6347) with
// and without connection identifiers (RFC 9146). Protection: AES-GCM, AES-CCM,
// AES-CCM-8, ChaCha20-Poly1305, AES-CBC with HMAC (MAC-then-encrypt and
// RFC 7366).
//
// Limitations: no renegotiation, no compression, no TLS below 1.2, no DTLS
// 1.3. What cannot be decrypted is reported as such, never guessed.
package tlsdec
