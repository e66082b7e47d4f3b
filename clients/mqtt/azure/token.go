package azure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// apiVersion is that of the protocol.
const apiVersion = "2021-04-12"

// UserName is a device's user name at a hub.
func UserName(hub, device string) string { return hub + "/" + device + "/?api-version=" + apiVersion }

// Resource is what a device's token is for.
func Resource(hub, device string) string { return hub + "/devices/" + device }

// RegistrationUser is a device's user name at a provisioning service, by the
// identifier of its scope.
func RegistrationUser(scope, registration string) string {
	return RegistrationResource(scope, registration) + "/api-version=2019-03-31"
}

// RegistrationResource is what a token for provisioning is for.
func RegistrationResource(scope, registration string) string {
	return scope + "/registrations/" + registration
}

const tokenPrefix = "SharedAccessSignature "

// Token is a shared access signature, a password that expires: an HMAC-SHA256
// by the device's key over what it is for and when it expires. policy names the
// key, "registration" for provisioning; a device's own has no name.
func Token(resource string, key []byte, expires time.Time, policy string) string {
	sr, se := url.QueryEscape(resource), strconv.FormatInt(expires.Unix(), 10)
	t := tokenPrefix + "sr=" + sr + "&sig=" + url.QueryEscape(sign(sr, se, key)) + "&se=" + se
	if policy != "" {
		t += "&skn=" + policy
	}
	return t
}

// sign is the signature over the resource as it is escaped in the token.
func sign(sr, se string, key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(sr + "\n" + se))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Verify tells why a token does not let in.
func Verify(token, resource string, key []byte, now time.Time) error {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return errors.New("not a SharedAccessSignature")
	}
	raw := map[string]string{} // sr is signed as it is escaped
	for _, field := range strings.Split(rest, "&") {
		name, value, _ := strings.Cut(field, "=")
		raw[name] = value
	}
	sr, err1 := url.QueryUnescape(raw["sr"])
	sig, err2 := url.QueryUnescape(raw["sig"])
	se, err3 := strconv.ParseInt(raw["se"], 10, 64)
	switch {
	case errors.Join(err1, err2, err3) != nil:
		return errors.New("malformed SharedAccessSignature")
	case !strings.EqualFold(sr, resource):
		return fmt.Errorf("token is for %s, not for %s", sr, resource)
	case now.Unix() >= se:
		return errors.New("token has expired")
	case !hmac.Equal([]byte(sig), []byte(sign(raw["sr"], raw["se"], key))):
		return errors.New("wrong signature")
	}
	return nil
}
