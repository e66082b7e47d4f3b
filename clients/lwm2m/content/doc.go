// Package content is how values travel: the content formats of LwM2M
// (OMA-TS-LightweightM2M_Core-V1_1 section 7.4, V1_2 section 7.5) and the CoRE
// link format.
//
//	payload, err := content.Encode(content.SenMLCBOR, path, nodes)
//	nodes, err := content.Decode(content.SenMLCBOR, path, schema, payload)
//
// Every format carries a list of nodes below a path. A definition of a resource,
// where there is one, decides of what type its value is; otherwise the format
// does. Nothing here knows a device.
package content
