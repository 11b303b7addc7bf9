# .ci/run is lint, build, test and test-race; fuzz, bench and golden are for people.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
STAMP    := -X nodepush/agent.version=$(VERSION) -X nodepush/agent.revision=$(shell git rev-parse HEAD 2>/dev/null) \
            -X nodepush/agent.branch=$(shell git rev-parse --abbrev-ref HEAD 2>/dev/null) \
            -X nodepush/agent.buildDate=$(shell git log -1 --format=%cI 2>/dev/null)
BINARY   ?= nodepush
FUZZTIME ?= 5s
DIST     ?= dist
IMAGE    ?= nodepush:$(VERSION)
PKGS     := $(shell go list ./... | grep -v /e2e)

.PHONY: vm test-vm all build demo test test-unit test-race test-e2e lint fuzz bench bench-wal cross test-cross golden deb image clean FORCE

all: build

build: ## the static binary ./nodepush
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(STAMP)' -o $(BINARY) .

demo: build ## the main job against an embedded receiver; Ctrl-C ends it
	./nodepush demo

test: ## everything; the end-to-end tests install Prometheus' Debian packages when they are missing
	go test -count=1 $(PKGS)
	go test -count=1 -timeout 30m ./e2e # by itself: it looks at rounds that must not be late

test-unit: ## without the end-to-end tests
	go test $(PKGS)

test-race:
	go test -race $(PKGS)

test-e2e:
	go test -v -timeout 30m ./e2e

lint: ## vet, staticcheck; the import arrows are a test (arch_test.go)
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags vm ./e2e/vm/...
	go tool staticcheck ./...
	go tool staticcheck -tags vm ./e2e/vm/...

fuzz: ## every fuzz target for FUZZTIME each
	@set -e; for pkg in $(PKGS); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

bench: ## two tables: this agent beside node_exporter + vmagent, into the same sink; bytes on the wire by protocol and batch
	go test ./e2e -run '^$$' -bench 'SideBySide|WireBytes' -benchtime 1x -timeout 30m

bench-wal: ## bytes per sample of the log over 20 minutes of real rounds of 1 s
	go test ./e2e -run '^$$' -bench LogBytes -benchtime 1x -timeout 40m

# env of one architecture: armv7 is GOARCH=arm GOARM=7; MIPS chips of edge hosts have no FPU
cross_env = CGO_ENABLED=0 GOOS=linux $(if $(filter armv%,$1),GOARCH=arm GOARM=$(1:armv%=%),GOARCH=$1 $(if $(filter mips%,$1),GOMIPS=softfloat))

cross: $(foreach arch,amd64 arm64 armv7 armv6 386 riscv64 mipsle,$(DIST)/nodepush-linux-$(arch)) ## a static binary for each architecture, in $(DIST)
	@wc -c $^

$(DIST)/nodepush-linux-%: FORCE
	$(call cross_env,$*) go build -trimpath -ldflags '-s -w $(STAMP)' -o $@ .

# qemu-user writes /proc/self/stat itself and leaves the memory fields 0.
NOT_IN_QEMU := TestProcessIsThisOne/memory

test-cross: ## the unit tests as 386, and under qemu-user as arm64 and armv7; vet where they do not run
	@command -v qemu-arm-static >/dev/null || { echo "qemu-user-static is missing: apt-get install qemu-user-static" >&2; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user-static >&2; }
	$(call cross_env,riscv64) go vet $(PKGS)
	$(call cross_env,mipsle) go vet $(PKGS)
	$(call cross_env,386) go test -count=1 $(PKGS)
	@echo "under qemu-user without $(NOT_IN_QEMU): it writes /proc/self/stat itself, with zeros for memory"
	NODEPUSH_TEST_EMULATOR=qemu-aarch64-static $(call cross_env,arm64) go test -count=1 -exec qemu-aarch64-static -skip '$(NOT_IN_QEMU)' $(PKGS)
	NODEPUSH_TEST_EMULATOR=qemu-arm-static $(call cross_env,armv7) go test -count=1 -exec qemu-arm-static -skip '$(NOT_IN_QEMU)' $(PKGS)

golden: ## rewrite the recorded output and the generated documentation; review the diff
	go test -p 1 ./collector ./agent ./view -run "Golden|Document|Tables" -update

deb: ## $(DIST)/nodepush_VERSION_ARCH.deb for GOARCH and GOARM
	GOMIPS=softfloat $(MAKE) build BINARY=$(DIST)/deb/nodepush
	packaging/deb.sh $(DIST)/deb/nodepush "$(VERSION)" $(DIST)

image: build ## the container image $(IMAGE), with whatever builder docker has; needs no network
	mkdir -p dist
	env -u GOOS -u GOARCH -u GOARM go run packaging/rootfs.go $(BINARY) > dist/rootfs.tar
	docker build --tag $(IMAGE) .

# The base of the test VM is kept by the hash of what makes it. VMS machines run
# at a time: each has two processors, which are emulated.
VMS ?= 1
VM = .cache/vm/$(shell cat e2e/vm/recipe.sh e2e/vm/base/* | sha256sum | cut -c 1-12)

vm: ## the disk that machines of test-vm begin with, once; installs qemu when it is missing
	e2e/vm/recipe.sh $(VM)

test-vm: vm ## the package on a Debian with systemd in qemu: power cuts, wrong clocks, full disks
	NODEPUSH_VM=$(abspath $(VM)) go test -tags vm -count=1 -v -timeout 30m -parallel $(VMS) ./e2e/vm

clean:
	rm -rf nodepush $(DIST) .cache
