package clients

import "context"

// Stack is one way of joining a device to its platform, configured.
type Stack interface {
	// NewPlatform brings the platform's end up. It sends nothing.
	NewPlatform(env *Env) (Platform, error)
	// NewDevice prepares the device's end, whose power is off. It sends
	// nothing.
	NewDevice(env *Env) (Device, error)
}

// Device is the device's end of a stack. Its steps are called one at a time;
// power is cut and restored also during a step.
type Device interface {
	// Connect takes the device from power-on to where the platform has, or may
	// ask for, the first reading. arrived is as in Report.
	Connect(ctx context.Context, first Reading, arrived <-chan struct{}) error
	// Report sends one changed reading. arrived is closed when the platform's
	// application has it. It is nil where nobody can tell: then Report returns
	// when the device has done, and knows, all that its protocol offers.
	Report(ctx context.Context, r Reading, arrived <-chan struct{}) error
	// Command returns when an integer has reached the device's application.
	// send makes the platform send it and is called again when it may have been
	// lost; nil waits for one that comes by itself, of any value.
	Command(ctx context.Context, value int64, send func(context.Context) error) error
	// Expect gives the device the signed description of its next firmware.
	Expect(img Image) error
	Rebooter
	// Close switches the device off and releases everything it holds. It need
	// not be polite to the link.
	Close() error
}

// Platform is the platform's end of a stack: its servers and the application
// behind them, which knows devices by name.
type Platform interface {
	// Connected returns when the application has done all that it does with a
	// device that connects.
	Connected(ctx context.Context, device string) error
	// Await returns a channel that is closed when a reading of a device reaches
	// the application. Only the last one that is awaited of a device counts.
	Await(device string, r Reading) (arrived <-chan struct{}, err error)
	// Command sends one integer to a device.
	Command(ctx context.Context, device string, value int64) error
	// Update offers an image to a device that is connected, and returns when
	// the platform knows how the update ended.
	Update(ctx context.Context, device string, img Image) error
	// Restart ends all servers, whose sockets may have vanished, and starts
	// them again on what the platform keeps in its database.
	Restart(ctx context.Context) error
	// Close releases everything the platform holds.
	Close() error
}

// Rebooter is what survives a reboot during an update: it goes on from what
// Env.Flash holds.
type Rebooter interface {
	// PowerOff cuts the device's power: everything in its memory is gone, and
	// it says good-bye to nobody. Its sockets have vanished already.
	PowerOff()
	// PowerOn boots the device, which connects and goes on with an update by
	// itself. It returns when the device is connected.
	PowerOn(ctx context.Context) error
}
