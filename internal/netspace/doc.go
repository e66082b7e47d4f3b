// Package netspace makes Linux network namespaces without names and runs code
// inside them.
//
//	ns, err := netspace.New()
//	defer ns.Close()
//	err = ns.Do(func() error { ...sockets made here stay in the namespace... })
package netspace
