// Package objects defines the objects that the device has
// (OMA-TS-LightweightM2M_Core-V1_1 appendix E), as data.
package objects
