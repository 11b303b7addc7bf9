# .ci/run is lint, build, test and test-race; fuzz, bench and golden are for people.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
STAMP    := -X nodepush/agent.version=$(VERSION) -X nodepush/agent.revision=$(shell git rev-parse HEAD 2>/dev/null) \
            -X nodepush/agent.branch=$(shell git rev-parse --abbrev-ref HEAD 2>/dev/null) \
            -X nodepush/agent.buildDate=$(shell git log -1 --format=%cI 2>/dev/null)
BINARY   ?= nodepush
FUZZTIME ?= 5s
PKGS     := $(shell go list ./... | grep -v /e2e)

.PHONY: all build demo test test-unit test-race test-e2e lint fuzz bench bench-wal golden clean

all: build

build: ## the static binary ./nodepush
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(STAMP)' -o $(BINARY) .

demo: build ## the main job against an embedded receiver; Ctrl-C ends it
	./nodepush demo

test: ## everything; the end-to-end tests install Prometheus' Debian packages when they are missing
	go test -count=1 ./...

test-unit: ## without the end-to-end tests
	go test $(PKGS)

test-race:
	go test -race $(PKGS)

test-e2e:
	go test -v ./e2e

lint: ## vet, staticcheck; the import arrows are a test (arch_test.go)
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go tool staticcheck ./...

fuzz: ## every fuzz target for FUZZTIME each
	@set -e; for pkg in $(PKGS); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

bench: ## one table: this agent beside node_exporter + vmagent, into the same sink
	go test ./e2e -run '^$$' -bench SideBySide -benchtime 1x -timeout 20m

bench-wal: ## bytes per sample of the log over 20 minutes of real rounds of 1 s
	go test ./e2e -run '^$$' -bench LogBytes -benchtime 1x -timeout 40m

golden: ## rewrite the recorded output and the generated documentation; review the diff
	go test -p 1 ./collector ./agent -run "Golden|Document|Tables" -update

clean:
	rm -f nodepush
