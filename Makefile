# `make test` sets up a fresh Debian machine with Rust and runs every suite. `make help` lists the rest.

CARGO ?= cargo
# The program that goes into the image is the one that the suites run.
RELEASE = target/image/podmeter
# Suites that start a real cluster or a guest kernel say in one line that they are skipped where the tools are not found.
export PODMETER_TEST_BIN = $(abspath $(RELEASE))

.PHONY: help setup build image image-test image-twice demo test unit integration chart tools kernel cluster install-test lint deny fuzz bench bench-proxy docs manifests

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## installs what the tests need from Debian's packages
	@tests/setup

build: ## the release binary, static, in target/image
	@deploy/image/compile

image: build ## the image, its digest and its bill of materials in target/image; IMAGE=REGISTRY/podmeter names it
	@deploy/image/sbom
	@deploy/image/pack

image-test: image ## what is in the image, and that it runs by itself
	target/venv/bin/python -m pytest tests/image

image-twice: image ## builds the last commit again from another clone and compares the digests, ten minutes
	@deploy/image/twice

demo: ## real containers, pods and series on this machine, no cluster needed
	$(CARGO) run --release -- demo

test: setup unit integration image-test chart tools kernel cluster install-test ## every suite

unit: ## unit and property tests of both crates
	$(CARGO) test --workspace --lib --bins

integration: build ## the real binary against cgroup trees, a fake API server, clients and pods
	$(CARGO) test -p agent --test watch --test cli --test access --test stuck --test state --test allocations
	$(CARGO) test -p agent --test proxy -- --test-threads 8

chart: build ## the chart and the manifests, by Helm, kustomize, the schemas of Kubernetes and the release binary
	@tests/chart/setup
	target/venv/bin/python -m pytest tests/chart

tools: build ## the proxy of the release binary between curl, nginx, haproxy, h2load, testssl, gRPC and others
	$(CARGO) test -p agent --test tools

kernel: build ## the real binary on this machine's kernel and on a guest's cgroup v2
	$(CARGO) test -p agent --test kernel -- --nocapture

cluster: build ## the release binary on a real one-node Kubernetes
	$(CARGO) test -p agent --test cluster -- --nocapture

install-test: build ## the chart and the manifests on a real one-node Kubernetes, with the release binary in an image
	@tests/chart/setup
	$(CARGO) test -p agent --test install -- --nocapture

lint: ## formatting, clippy, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

deny: ## licences, sources, duplicate crates; advisories where the database can be had
	@tests/deny

fuzz: ## every fuzz target for a few seconds; SECONDS_EACH=600 for a real run
	@fuzz/run

bench: ## the benchmarks; rewrites the table in benches/README.md
	@benches/run

bench-proxy: ## the proxy beside nginx and HAProxy, five minutes; rewrites its table in benches/README.md
	@env -u PODMETER_TEST_BIN benches/proxy/run # Its profile wants names of functions, which the image's program has not.

docs: ## regenerates what is generated from the code: docs/metrics.md and the golden files
	UPDATE_GOLDEN=1 $(CARGO) test --workspace --quiet

manifests: ## regenerates what follows from the chart: its README, its schema's descriptions, deploy/manifests
	@deploy/generate
