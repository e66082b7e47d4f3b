package lwm2m

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/thinlink/thinlink/clients/coap"
)

// Why an update ends without a package.
var (
	errIntegrity   = errors.New("the package's digest is wrong")
	errPackageType = errors.New("the package is for another device")
	errNoRoom      = errors.New("the package is larger than the room for it")
	errFlash       = errors.New("flash memory failed")
	errSilence     = errors.New("the server has stopped sending")
)

// judge refuses a package by its description, and by its size as far as that is
// known, otherwise -1; mu is held.
func (u *updater) judge(size int64) error {
	opt := u.device.opt
	switch {
	case opt.Package != "" && u.flash.Name != opt.Package:
		return errPackageType
	case opt.Storage > 0 && size > int64(opt.Storage):
		return errNoRoom
	}
	return nil
}

// verify checks the package's digest; mu is held.
func (u *updater) verify() error {
	digest := sha256.New()
	if _, err := io.Copy(digest, u.flash.content()); err != nil {
		return fmt.Errorf("%w: %w", errFlash, err)
	}
	if !bytes.Equal(digest.Sum(nil), u.flash.Wanted[:]) {
		return errIntegrity
	}
	return nil
}

// resultOf is the update result of a download's error.
func resultOf(err error) FirmwareResult {
	switch {
	case err == nil:
		return ResultInitial
	case errors.Is(err, errIntegrity):
		return ResultIntegrity
	case errors.Is(err, errFlash), errors.Is(err, errNoRoom):
		return ResultNoFlash
	case errors.Is(err, errPackageType):
		return ResultUnsupportedPackage
	case errors.Is(err, coap.ErrTooLarge):
		return ResultNoRAM
	case isFinal(err):
		return ResultInvalidURI
	}
	return ResultConnectionLost
}
