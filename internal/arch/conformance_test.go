package arch

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that a page on conformance names exists, in the packages that the
// page is about.
func TestConformancePages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/conformance-*.md")
	if err != nil || len(pages) != 3 {
		t.Fatalf("%v, %v", pages, err)
	}
	for page, dirs := range map[string][]string{
		"mqtt": {"clients/mqtt"}, "lwm2m": {"clients/lwm2m", "clients/dgram", "interop"}, "coap": {"clients/coap", "clients/dgram", "clients/lwm2m"},
	} {
		text, err := os.ReadFile("../../docs/conformance-" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		tests := map[string]bool{}
		for _, dir := range dirs {
			testsIn(t, dir, tests)
		}
		names := regexp.MustCompile(`\b(Test|Example|Fuzz)[A-Z]\w*`).FindAllString(string(text), -1)
		if len(names) < 50 {
			t.Errorf("%s: names %d tests", page, len(names))
		}
		for _, name := range names {
			if !tests[name] {
				t.Errorf("%s: there is no %s", page, name)
			}
		}
	}
}

// testsIn collects the names of the tests in and below a directory.
func testsIn(t *testing.T, dir string, tests map[string]bool) {
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)\w*)\(`)
	err := filepath.WalkDir("../../"+dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range declared.FindAllStringSubmatch(string(source), -1) {
			tests[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
