// Package meter reads measured power: CSV exports of Nordic's Power Profiler
// Kit II, Qoitech's Otii and Joulescope, and the kernel's sensors INA219,
// INA226, INA260 and their relatives through hwmon and IIO.
//
//	capture, err := meter.Read(file, meter.Options{Voltage: 3.7})
//	capture.EnergyJ, capture.MeanW, capture.Warnings
//	sensors := meter.Sensors(os.DirFS("/sys"))
//	watts, err := sensors[0].Power()
//	wired, err := meter.ParseI2C("i2c:ina219@1:0x40,shunt=0.1")
//	watts, err = wired.On(bus).Power() // without a driver
//
// A Capture is integrated as it is read, so that an hour at 100,000 samples
// per second fits; what is kept are its Bins. Columns are found by the names
// and units of the header line; without units they are s, A, V and W.
//
// What is doubtful is a warning: gaps (they are left out, not bridged), samples
// that are missing or not numbers, time that goes back, a maximum that looks
// like the end of the range, a sign that looks like reversed leads, and, with
// the modem's model, a peak that only a wrong unit or a wrong shunt explains.
//
// Limitations: times must be numbers, not dates; the binary forms (.ppk2, .jls,
// .otii3) are not read; a capture is aligned with a run by the clocks of both, which
// Around checks and does not correct; a chip on I2C is read as it is after
// power-on, with its slowest range and without averaging.
package meter
