// Package content is how values travel: the content formats of LwM2M
// (OMA-TS-LightweightM2M_Core-V1_1 section 7.4) and the CoRE link format. It
// reads and writes bytes by object definitions, and knows no device.
package content
