// Package model has the nouns of LwM2M's data model: the Path of an object,
// instance or resource, the values that resources have by their Type, the
// definitions of objects and resources, and the refusal of an operation
// (OMA-TS-LightweightM2M_Core-V1_1 section 7 and appendix C).
package model
