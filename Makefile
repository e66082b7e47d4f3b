# make         builds bin/thinlink and its virtual-time worker bin/thinlink-sim
# make demo    the reference experiment of 2020 over a LAN and over NB-IoT
# make test    every test, with the race detector where a C compiler is there
# make test-kernel   the tests that need the kernel's netem, in a virtual machine
# make test-kernel-arm64   the same under an arm64 kernel, which stands in for a Raspberry Pi
# make check   format, vet, lint, import directions
# make interop the peers: Mosquitto, libcoap, Leshan and others, installed if missing
# make bench   speed of the simulator and its parts
# make fuzz    each fuzz target for FUZZTIME

GO       ?= go
FUZZTIME ?= 20s
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   = -ldflags '-s -w -X main.version=$(VERSION)'
# The race detector needs cgo and a C compiler; without one the tests run plain.
RACE      = $(shell $(GO) env CGO_ENABLED | grep -q 1 && command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

.PHONY: build demo test check bench fuzz clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath $(LDFLAGS) -o bin/thinlink ./cmd/thinlink
	CGO_ENABLED=0 $(GO) build -trimpath $(LDFLAGS) -tags faketime -o bin/thinlink-sim ./cmd/thinlink-sim

demo: build
	bin/thinlink run paper-2020 -p ethernet,nbiot

test: build
	$(GO) test $(RACE) ./...

check:
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$fmt" || { echo "not gofmt-ed: $$fmt"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags faketime ./cmd/thinlink-sim
	$(GO) vet -tags interop ./interop
	$(GO) run $(STATICCHECK) ./...
	$(GO) test ./internal/arch

bench: build
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz:
	@$(GO) list ./... | while read -r pkg; do \
	  for f in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$pkg" || exit 1; \
	  done; done

clean:
	rm -rf bin dist

# The tests that need the kernel's netem, under a stock Debian kernel in QEMU:
# no root, no KVM. The kernel is downloaded, not installed, into the user's
# cache directory.
KERNEL_TESTS = ./netem/tc ./lab ./cmd/thinlink

.PHONY: test-kernel test-kernel-arm64
test-kernel:
	$(GO) run ./internal/vm/kerneltest -run '^TestKernel' $(KERNEL_TESTS)
ifeq ($(shell $(GO) env GOARCH),amd64) # other kernels have no i2c-stub, which the power sensors' drivers need
	$(GO) run ./internal/vm/kerneltest -generic -module 'i2c_stub chip_addr=0x40,0x44' -module i2c_dev -module ina2xx_adc -module ltc4215 \
	  -run '^TestKernel' ./power/meter
endif

test-kernel-arm64:
	$(GO) run ./internal/vm/kerneltest -arch arm64 -limit 30m -run '^TestKernel' $(KERNEL_TESTS)

# Engines sim and vm side by side: the table of VALIDATION.md.
.PHONY: agreement
agreement: build
	THINLINK_AGREEMENT=$(CURDIR)/agreement.md THINLINK_GUEST=$(CURDIR)/bin/thinlink THINLINK_SIM=$(CURDIR)/bin/thinlink-sim \
	  $(GO) test -count=1 -timeout 4h -run '^TestAgreement$$/$(PART)' -v ./lab

# Static archives and Debian packages for amd64, arm64 and armv7 in dist/.
.PHONY: dist
dist:
	packaging/build $(VERSION)

# Brokers, clients and servers that others wrote, of the versions in
# interop/peers.env, against ours. UPDATE=1 writes the tables of docs/interop.md.
.PHONY: interop
interop:
	interop/install
	THINLINK_INTEROP_UPDATE=$(UPDATE) $(GO) test -tags interop -count=1 -timeout 25m -v ./interop
