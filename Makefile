# The few commands. `make demo` and `make test` need a Rust toolchain, a C compiler, make, git and network.
SHELL := /bin/bash
CARGO ?= cargo
MODEL ?=

.PHONY: demo test test-deps lint bench fuzz crash vectors dist build

# There are no examples: naming them has cargo choose the features that the tests need, so that demo and tests share one
# build of every dependency.
build:
	$(CARGO) build -q --workspace --bins --examples

demo: build ## the main job, on real input: make demo [MODEL=path of any file or folder]
	@scripts/demo.sh $(if $(MODEL),"$(MODEL)")

test-deps: ## installs what the tests need (as root), or says which line to run
	@scripts/test-deps.sh

test: test-deps
	$(CARGO) test --workspace
	$(MAKE) --no-print-directory fuzz SECONDS_EACH=$(or $(SECONDS_EACH),3)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: ## speeds against peers; writes nothing, prints a table and JSON lines
	@scripts/bench.sh

fuzz: ## each parser of outside bytes for SECONDS_EACH seconds (60 by default)
	@scripts/fuzz.sh $(or $(SECONDS_EACH),60)

crash: ## kill -9 at random points, ROUNDS times (200 by default), then reopen and check
	@CRASH_ROUNDS=$(or $(ROUNDS),200) $(CARGO) test -q --workspace --test it -- --nocapture kill_9

vectors: ## writes vectors/ again from the independent Python generator
	@scripts/vectors.sh

dist: ## a static binary, the manual, completions and a wheel, into target/dist/out
	@scripts/dist.sh
