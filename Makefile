# `make demo` and `make test` do all their set-up: packages, Kafka, InfluxDB, build.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/efd
KAFKA := $(CACHE)/kafka-4.3.1
INFLUXD2 := $(CACHE)/influxdb2-2.8.0/influxd
GO := $(CACHE)/go
HELM := $(CACHE)/helm-4.3.1
INFLUXDB ?= 1
VERSION ?= $(shell sed -n 's/^appVersion: //p' helm/efd/Chart.yaml)
export PATH := $(PATH):$(GO)/bin
export EFD_KAFKA_JARS := $(KAFKA)
export EFD_INFLUXD2 ?= $(INFLUXD2)

.PHONY: help demo test unit check deny chart images e2e bench servers influxdb2 clean

help: ## Show this list
	@grep -E '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: servers $(if $(filter 2,$(INFLUXDB)),influxdb2) ## Run a whole EFD here; DURATION=60s stops by itself, INFLUXDB=2 takes InfluxDB 2.x
	cargo build --locked --release -p efd
	target/release/efd demo --influxdb $(INFLUXDB) $(if $(DURATION),--duration $(DURATION))

test: servers influxdb2 check ## All tests, on real Kafka and on InfluxDB 1.x and 2.x
	cargo build --locked --workspace
	cargo test --locked --workspace
	tests/chart/run $(HELM)

unit: ## Tests that need no server
	cargo test --locked --workspace --exclude efd-tests

check: ## Format, lints, sizes, and the paths that the documents name
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	tests/check-tree

deny: ## Licences and sources of the dependencies
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny --locked check licenses bans sources

chart: servers ## The chart and the scripts for k3s, without a cluster
	tests/chart/run $(HELM)

images: servers ## Build the images of all services; VERSION is their tag
	docker/with-engine $(CACHE)/docker docker/build-images $(VERSION) $(KAFKA)

e2e: servers ## Images and chart on a real Kubernetes, under load too; SCENE=install,load for some
	cargo build --locked --workspace
	cargo test --locked --workspace --test e2e --no-run
	tests/cluster/run $(CACHE) $(VERSION) cargo test --locked --offline --workspace --test e2e -- run $(if $(SCENE),--scene $(SCENE))

bench: servers ## How fast it is here, one table
	cargo run --locked --release -p efd-benches

# Services and suite in one build, so that their dependencies are built once.
FAULTS := --locked --release -p efd-ingest -p efd-registry -p efd-sink -p efd-tests --test faults
# The default of INFLUXDB above is the demo's.
GENERATION := $(if $(filter file,$(origin INFLUXDB)),both,$(INFLUXDB))

.PHONY: faults
faults: servers influxdb2 ## Every fault under load on both InfluxDBs, one table; FAULT=broker,influxdb-5 for some, INFLUXDB=1 for one
	cargo build $(FAULTS) --bins
	cargo test $(FAULTS) -- run --influxdb $(GENERATION) $(if $(FAULT),--fault $(FAULT))

servers: ## Install packages and fetch Kafka
	tests/servers/install-packages $(GO)
	tests/servers/fetch-kafka $(KAFKA)

influxdb2: servers ## Build InfluxDB 2.x once
	tests/servers/build-influxdb2 $(INFLUXD2)

clean: ## Remove what was built here; the servers in the cache folder stay
	cargo clean
