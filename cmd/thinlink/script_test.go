package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// worker is the virtual-time worker that the scripts run with.
var worker string

// TestMain builds the worker as make does, and lets scripts call thinlink.
func TestMain(m *testing.M) {
	if address := os.Getenv("THINLINK_TEST_SSHD"); address != "" {
		sshd(address)
	}
	dir, err := os.MkdirTemp("", "thinlink-test")
	if err != nil {
		panic(err)
	}
	worker = filepath.Join(dir, "thinlink-sim")
	// Not in the commands that testscript starts, and not where there is no Go.
	if os.Getenv("THINLINK_TEST_BUILT") == "" && os.Getenv("THINLINK_VM") == "" {
		build := exec.Command("go", "build", "-tags", "faketime", "-o", worker, "../thinlink-sim")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			panic(string(out))
		}
	}
	testscript.Main(cleanup{m, dir}, map[string]func(){
		"thinlink": main,
		"fetch":    fetch,
	})
}

// sshd is a server that accepts and waits.
func sshd(address string) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write([]byte("r"))
	for {
		c, err := ln.Accept()
		if err != nil {
			panic(err)
		}
		go io.Copy(io.Discard, c)
	}
}

// cleanup removes the worker when the tests are over.
type cleanup struct {
	*testing.M
	dir string
}

func (c cleanup) Run() int {
	defer os.RemoveAll(c.dir)
	return c.M.Run()
}

// TestScripts runs one script per user story.
func TestScripts(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello over the link") }))
	t.Cleanup(web.Close) // the scripts run in parallel, after this function
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			case "tun":
				_, err := os.Stat("/dev/net/tun")
				return os.Geteuid() == 0 && err == nil || os.Getenv("THINLINK_REQUIRE_TUN") == "1", nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("THINLINK_SIM", worker)
			env.Setenv("THINLINK_TEST_BUILT", "1")
			env.Setenv("WEB_PORT", web.URL[strings.LastIndexByte(web.URL, ':')+1:])
			return nil
		},
	})
}
