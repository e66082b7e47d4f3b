package httpfile

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestParseContentRange(t *testing.T) {
	first, size, err := parseContentRange("bytes 500-999/1000")
	if err != nil || first != 500 || size != 1000 {
		t.Errorf("got %d %d %v", first, size, err)
	}
	for _, bad := range []string{"", "500-999/1000", "bytes 500-998/1000", "bytes */1000", "bytes -1-999/1000",
		"bytes 1000-999/1000", "bytes 5/10", "bytes 1-9/*"} {
		if _, _, err := parseContentRange(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestDigest(t *testing.T) {
	// RFC 9530 appendix B.1: {"hello": "world"} and a line feed.
	sum := sha256.Sum256([]byte("{\"hello\": \"world\"}\n"))
	want := "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
	if got := digest(sum); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if got := parseDigest(want); string(got) != string(sum[:]) {
		t.Errorf("parsed %x", got)
	}
	for _, bad := range []string{"", "sha-256=abc", "sha-256=:AAAA:", "md5=:AAAA:", "sha-256=:?:"} {
		if parseDigest(bad) != nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("bytes 500-999/1000", "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:")
	f.Fuzz(func(t *testing.T, contentRange, digest string) {
		if first, size, err := parseContentRange(contentRange); err == nil {
			again := fmt.Sprintf("bytes %d-%d/%d", first, size-1, size)
			if f2, s2, err := parseContentRange(again); err != nil || f2 != first || s2 != size {
				t.Errorf("%q does not repeat: %q", contentRange, again)
			}
		}
		if sum := parseDigest(digest); sum != nil && len(sum) != sha256.Size {
			t.Errorf("digest of %d bytes", len(sum))
		}
	})
}
