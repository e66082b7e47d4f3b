package lwm2m

import (
	"context"
	"errors"
	"io"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/thinlink/thinlink/clients/coap"
	"github.com/thinlink/thinlink/clients/lwm2m/model"
	"github.com/thinlink/thinlink/clients/lwm2m/objects"
)

// push sends the package from where the device has taken it to, or wants it
// from. A refusal is not the end: the device's result tells more.
func (u *campaign) push(ctx context.Context, reg *registration) error {
	size := u.platform.opt.transferSize(u.platform.opt.CoAP.Platform)
	at := max(0, min(u.sent, int64(len(u.image.Data))-1))
	req := coap.NewRequest(codes.PUT, packagePath.String()).WithPayload(coap.Octets, u.image.Data)
	req.Set(coap.RequestTag, u.image.SHA256[:8])
	upload, err := reg.session().Upload(req, coap.UploadOptions{BlockSize: size, Offset: at - at%int64(size)})
	if err != nil {
		return err
	}
	for {
		var b coap.Block
		err := reg.persist(ctx, func(ctx context.Context) (err error) {
			b, err = upload.Next(ctx)
			return err
		})
		var gap *coap.IncompleteError
		var status *coap.StatusError
		switch {
		case err == io.EOF: // not one that a lost session has for its cause
			u.pushed = true
			return nil
		case errors.As(err, &gap) && max(gap.Wanted, 0) < gap.Offset:
			u.sent = max(gap.Wanted, 0)
		case errors.As(err, &status):
			return u.refused(ctx, reg, model.Refuse(status.Code, "to the package"))
		case err != nil:
			return err
		default:
			u.sent = b.Offset + int64(len(b.Data))
		}
	}
}

// refused looks for the result behind the refusal of a package.
func (u *campaign) refused(ctx context.Context, reg *registration, refusal error) error {
	if err := sleep(ctx, 2*reaction); err != nil {
		return err
	}
	result, err := reg.ReadInteger(ctx, firmwarePath(objects.FirmwareResult))
	if err != nil {
		return err
	}
	if FirmwareResult(result) == ResultInitial {
		return refusal
	}
	u.set(func(b *facts) { b.result = FirmwareResult(result) })
	return nil
}
