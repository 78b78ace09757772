# Needs make, Python 3.11 or newer and, unless another control plane is at hand, Go (see sandbox/controlplane).
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV ?= .venv
# Stories mostly wait for a world with delays; each worker has a control plane of its own (half a gigabyte).
WORKERS ?= 3
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PIP := $(PY) -m pip --disable-pip-version-check --no-input
LOCKS := requirements/dev.txt requirements/build.txt
# These need helm, kustomize, promtool and more; `make lint-deploy` has them and runs these tests.
TOOL_TESTS := tests/deploy_tools tests/gitops tests/observability

# The text of CMD as it was given: make would expand a $ in it.
export SANDBOX_CMD = $(value CMD)
# Off a terminal nobody wants colours or progress bars.
export PIP_PROGRESS_BAR ?= off

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "SANDBOX_SCALE=0.1 make sandbox   runs AWS and DNS ten times as fast as in reality"
	@echo "SANDBOX_SAMPLES=all make sandbox applies deploy/samples first"

$(STAMP): $(LOCKS) pyproject.toml
	@python=; \
	for each in $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3); do \
	  if "$$each" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$each; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "MailEgress needs Python 3.11 or newer with its venv module; found: $$($(or $(PYTHON),python3) --version 2>&1 | head -n 1)." >&2; \
	  echo "Install it (Debian and Ubuntu: python3.11-venv too), or name one: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	echo "venv: installing the locked packages into $(VENV) ($$("$$python" --version)); this takes a minute"; \
	[ -x $(PY) ] || "$$python" -m venv $(VENV)
	@$(PIP) install --quiet --require-hashes --no-deps -r requirements/build.txt -r requirements/dev.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: $(STAMP) ## Python environment in .venv, from the hash-locked requirements

.PHONY: controlplane
controlplane: $(STAMP) ## build the control plane into the user's cache, once (about 10 minutes)
	@$(PY) -m sandbox.controlplane find

.PHONY: demo
demo: $(STAMP) ## one MailEgress from apply to Ready to gone, in about a minute
	@$(PY) -m sandbox demo

.PHONY: demo-external-dns
demo-external-dns: $(STAMP) ## the same with an A record that external-dns makes at another DNS provider
	@$(PY) -m sandbox demo-external-dns

.PHONY: sandbox
sandbox: $(STAMP) ## local Kubernetes, AWS, DNS and operator until Ctrl-C
	@$(PY) -m sandbox up

.PHONY: sandbox-exec
sandbox-exec: $(STAMP) ## the same around one command: make sandbox-exec CMD='kubectl get meg -A'
	@$(PY) -m sandbox exec "$$SANDBOX_CMD"

.PHONY: test
test: $(STAMP) ## unit tests, contract tests and stories; writes build/junit.xml
	@$(PY) -m scripts.test_suite $(WORKERS) \
	  --stories-manifest=tests/stories.yaml --rights=build $(TOOL_TESTS:%=--ignore=%)

.PHONY: test-sim
test-sim: $(STAMP) ## every promise under faults, fuzz and planted bugs, in virtual time; 15 minutes; writes build/sim.json
	@$(PY) scripts/test_sim.py full

.PHONY: test-sim-quick
test-sim-quick: $(STAMP) ## the same in 5 minutes, with every story and every planted bug
	@$(PY) scripts/test_sim.py quick

.PHONY: sim-story
sim-story: $(STAMP) ## one simulated run's time line: make sim-story STORY=rename FAULT='crash after route53.change\#0'
	@$(PY) scripts/test_sim.py play "$(STORY)" "$(value FAULT)" "$(if $(HASTY),hasty)"

.PHONY: planted-bug
planted-bug: $(STAMP) ## plant one bug in a copy and see which test finds it: make planted-bug BUG=upsert
	@$(PY) scripts/test_sim.py bug $(BUG)

.PHONY: test-process
test-process: $(STAMP) controlplane ## ten minutes of kills, stops and restarts under edits; writes build/process.json
	@MAILEGRESS_PROCESS_SECONDS=600 $(PY) -m pytest tests/process --timeout=3600

.PHONY: test-process-quick
test-process-quick: $(STAMP) controlplane ## every kind of it once, in three to four minutes
	@MAILEGRESS_PROCESS_SECONDS=60 $(PY) -m pytest tests/process --timeout=3600

.PHONY: test-hostile
test-hostile: $(STAMP) ## every bound against hostile peers, in at most 10 minutes; writes build/hostile.json
	@MAILEGRESS_HOSTILE=full MAILEGRESS_HOSTILE_REPORT=build/hostile.json $(PY) -m pytest tests/hostile

.PHONY: test-python
test-python: ## unit tests and simulation with another Python: make test-python VERSION=3.12
	@scripts/test_python "$(VERSION)" $(PYTHON)

.PHONY: test-arm64
test-arm64: $(STAMP) ## the image's locked packages for arm64, and mailegress --help under emulation
	@scripts/test_arm64

.PHONY: test-kubernetes
test-kubernetes: $(STAMP) ## CRD, RBAC and twenty stories on another API server: make test-kubernetes VERSION=1.34
	@mkdir -p build
	@$(PY) -m scripts.test_kubernetes "$(VERSION)" $(WORKERS)

.PHONY: fuzz
MINUTES ?= 10
fuzz: $(STAMP) ## random deeds, faults and crashes in virtual time: make fuzz MINUTES=30 (SEED=n repeats a round)
	@$(PY) -m tests.support.simulation.fuzz $(MINUTES) $(SEED)

.PHONY: bench
bench: $(STAMP) ## measure against the floor that AWS's quotas set; about 85 minutes; writes bench/results.json
	@$(PY) -m bench

.PHONY: bench-quick
bench-quick: $(STAMP) controlplane ## the same with 200 MailEgresses in minutes; only counts decide
	@mkdir -p build
	@$(PY) -m bench --quick

.PHONY: image
image: $(STAMP) ## build the container image into build/image.tar and print its size
	@$(PY) -m sandbox.image

.PHONY: e2e
e2e: $(STAMP) ## the chart on a real node, from helm install to nothing left; writes build/e2e.json
	@$(PY) -m sandbox.e2e

.PHONY: e2e-upgrade
e2e-upgrade: $(STAMP) ## from the last release to this one and back, on a real node: make e2e-upgrade (FROM=v0.1.0)
	@$(PY) -m sandbox.e2e upgrade $(FROM)

.PHONY: lint
lint: $(STAMP) ## ruff
	@$(PY) -m ruff check .

.PHONY: types
types: $(STAMP) ## mypy --strict on the operator and the sandbox
	@$(PY) -m mypy

.PHONY: contracts
contracts: $(STAMP) ## the direction of imports
	@$(VENV)/bin/lint-imports

build/audit/.installed: $(STAMP) requirements/audit.txt
	@mkdir -p build && $(PY) -m venv build/audit
	@build/audit/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
	  --require-hashes --only-binary :all: --no-deps -r requirements/audit.txt
	@touch $@

.PHONY: audit
audit: build/audit/.installed ## bandit on the operator, zizmor on the workflows
	@build/audit/bin/bandit --quiet --configfile pyproject.toml --recursive operator
	@build/audit/bin/zizmor --offline --no-progress .github

.PHONY: sbom
sbom: $(STAMP) ## bill of materials of the image's Python packages (CycloneDX): build/sbom.cdx.json
	@$(PY) scripts/sbom.py build/sbom.cdx.json

.PHONY: manifests
manifests: $(STAMP) ## renew the chart's generated parts and deploy/install.yaml
	@$(PY) -m sandbox.tools.lint --write

.PHONY: lint-deploy
lint-deploy: $(STAMP) controlplane ## chart, kustomizations and alerts, held against the tools that deliver them
	@$(PY) -m sandbox.tools.lint

.PHONY: docs
docs: $(STAMP) ## the documentation site, into build/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet
	@echo "docs: build/site/index.html"

.PHONY: pictures
pictures: $(STAMP) controlplane ## the pictures in docs/pictures: the benchmark from bench/results.json, a session in the sandbox
	@PYTHONPATH=.:operator $(PY) scripts/pictures.py

.PHONY: lock
lock: ## renew requirements/*.txt (needs uv)
	@scripts/lock

.PHONY: lock-kubernetes
lock-kubernetes: $(STAMP) ## renew the pins of an API server of another minor: make lock-kubernetes RELEASE=v1.34.4 (needs Go)
	@$(PY) -m scripts.lock_kubernetes "$(RELEASE)"

.PHONY: clean
clean: ## remove the environment and everything built in this folder
	@rm -rf $(VENV) build
