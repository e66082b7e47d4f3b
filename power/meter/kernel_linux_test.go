package meter

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestKernelSensors reads the kernel's own drivers of two power sensors through
// IIO and hwmon. The chips are the kernel's i2c-stub, whose registers the test
// sets. It runs in the virtual machine of make test-kernel.
func TestKernelSensors(t *testing.T) {
	if os.Getenv("THINLINK_VM") == "" {
		t.Skip("needs i2c-stub and the right to load drivers: make test-kernel")
	}
	const bus = "/sys/bus/i2c/devices/i2c-0"
	name, err := os.ReadFile(bus + "/name")
	if err != nil || string(name) != "SMBus stub driver\n" {
		t.Fatalf("bus 0 is %q, %v", name, err)
	}
	stub, err := os.OpenFile("/dev/i2c-0", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stub.Close()
	// INA219: 5 V on the bus are 1250 times 4 mV above three flags, of which the
	// second says that a conversion is done; 0.5 A through the driver's default
	// shunt of 10 milliohm are 5 mV, 500 times 10 uV. The chip would work out power
	// and current itself: 2.5 W are 125 times 20 mW, 500 times 1 mA.
	setWords(t, stub, 0x40, map[byte]uint16{0: 0x399f, 1: 500, 2: 1250<<3 | 2, 3: 125, 4: 500})
	// LTC4215: SENSE has 151 uV a bit (data sheet, table 4) over the driver's 4
	// milliohm, ADIN 4.82 mV behind the driver's divider by 12.5.
	setBytes(t, stub, 0x44, map[byte]byte{4: 100, 6: 200})
	for chip, address := range map[string]string{"ina219": "0x40", "ltc4215": "0x44"} {
		if err := os.WriteFile(bus+"/new_device", []byte(chip+" "+address), 0); err != nil {
			t.Fatalf("%s: %v", chip, err)
		}
	}
	all, err := Sensors(os.DirFS("/sys"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"ina219": 2.5, "ltc4215": 100 * 151e-6 / 4e-3 * 200 * 4.82e-3 * 12.5}
	for i := range all {
		w, ok := want[all[i].Name]
		delete(want, all[i].Name)
		got, err := all[i].Power()
		t.Logf("%s (%s): %v W, %v", all[i].Path, all[i].Name, got, err)
		if err != nil || ok && (got < 0.98*w || got > 1.02*w) {
			t.Errorf("%s (%s): %v W, %v: want %v", all[i].Path, all[i].Name, got, err, w)
		}
	}
	if len(want) > 0 {
		t.Errorf("no sensor found for %v among %v", want, all)
	}
}

// From linux/i2c-dev.h and linux/i2c.h.
const (
	i2cSlave     = 0x0703
	i2cSMBus     = 0x0720
	smbusWrite   = 0
	smbusByte    = 2 // I2C_SMBUS_BYTE_DATA
	smbusWord    = 3 // I2C_SMBUS_WORD_DATA
	smbusDataLen = 34
)

// smbusCall is struct i2c_smbus_ioctl_data.
type smbusCall struct {
	readWrite byte
	command   byte
	size      uint32
	data      *[smbusDataLen]byte
}

// setWords sets registers that hold big-endian words; SMBus sends the low byte
// first.
func setWords(t *testing.T, f *os.File, address int, words map[byte]uint16) {
	t.Helper()
	for register, v := range words {
		set(t, f, address, register, smbusWord, byte(v>>8), byte(v))
	}
}

func setBytes(t *testing.T, f *os.File, address int, bytes map[byte]byte) {
	t.Helper()
	for register, v := range bytes {
		set(t, f, address, register, smbusByte, v)
	}
}

func set(t *testing.T, f *os.File, address int, register byte, size uint32, value ...byte) {
	t.Helper()
	var data [smbusDataLen]byte
	copy(data[:], value)
	call := smbusCall{smbusWrite, register, size, &data}
	err := unix.IoctlSetInt(int(f.Fd()), i2cSlave, address)
	if err == nil {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), i2cSMBus, uintptr(unsafe.Pointer(&call))); errno != 0 {
			err = errno
		}
	}
	if err != nil {
		t.Fatal(fmt.Errorf("set register %d of %#x: %w", register, address, err))
	}
}
