package tc

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An offload of a device is read and set by two requests of ethtool's
// (include/uapi/linux/ethtool.h).
type offload struct {
	name     string
	get, set uint32
}

// joining are the offloads that make one packet of several.
var joining = []offload{{"tso", 0x1e, 0x1f}, {"gso", 0x23, 0x24}, {"gro", 0x2b, 0x2c}}

// checksums are those that leave checksums to the hardware, and packets in a
// capture without.
var checksums = []offload{{"tx-checksum", 0x16, 0x17}, {"rx-checksum", 0x14, 0x15}}

// offloads names those of a device that are on.
func offloads(device string, list []offload) (on []string, err error) {
	for _, o := range list {
		value, err := ethtool(device, o.get, 0)
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
		if err == nil && value != 0 {
			on = append(on, o.name)
		}
	}
	return on, nil
}

// offloadsOff makes every packet on a device what it would be on a wire. It
// works in the thread's namespace.
func offloadsOff(device string, list []offload) error {
	on, err := offloads(device, list)
	if err != nil {
		return err
	}
	for _, o := range list {
		if !slices.Contains(on, o.name) {
			continue
		}
		if _, err := ethtool(device, o.set, 0); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	return nil
}

// offloadsOn is its inverse.
func offloadsOn(device string, names []string) error {
	var errs []error
	for _, name := range names {
		for _, o := range joining {
			if o.name != name {
				continue
			}
			if _, err := ethtool(device, o.set, 1); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// ethtool makes a request with one value and returns the value.
func ethtool(device string, cmd, data uint32) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	value := struct{ cmd, data uint32 }{cmd, data}
	var request struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	request.data = unsafe.Pointer(&value)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, errno
	}
	return value.data, nil
}

// OnePacketEach turns off what makes one packet of several on a device of the
// thread's namespace, so that a capture shows what a wire would.
func OnePacketEach(device string) error { return offloadsOff(device, joining) }
