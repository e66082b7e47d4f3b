//go:build !linux

package guest

// Main returns: only Linux programs are /init.
func Main() {}
