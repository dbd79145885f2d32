# Every target does its own set-up: Python >= 3.11, Rust >= 1.85 and a C compiler are enough.
# `make demo` and `make test` are the two to know; ARGS passes options on (make demo ARGS=--json).

.PHONY: test demo check bench verify interop build emit docs clean
.DEFAULT_GOAL := test

test: ## everything, ends with pytest's summary line
	@tools/check --all $(ARGS)

demo: build ## one trading session in a box
	@.venv/bin/pyoms demo $(ARGS)

check: ## the quick loop of a developer
	@tools/check $(ARGS)

bench: build ## the latency cases, one line each
	@.venv/bin/pyoms bench $(ARGS)

verify: build ## long campaigns, VERIFY_MINUTES (20), one JSON object each, goes on where it stopped
	@tools/verify

interop: build ## against other people's libraries
	@.venv/bin/pytest -m interop $(ARGS)

build: ## .venv with both distributions built from this tree
	@tools/build

emit: ## the generated files, after a change of rust/layout or of the C table
	@tools/emit

docs: build ## the reference pages of docs/, from their sources
	@tools/docs

clean: ## everything built, but not uv
	@rm -rf target build dist .venv core/pyoms_core/*.so *.egg-info
