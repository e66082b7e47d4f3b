// Package tree is a device's side of device management without the network:
// its objects, instances, values and attributes, and the operations on them
// (OMA-TS-LightweightM2M_Core-V1_1 sections 5.1 and 6.3).
package tree
