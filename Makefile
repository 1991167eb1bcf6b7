# `make` alone lists the targets. Everything runs in the workspace's own environment, .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

CACHE := $(or $(CAMPAIGNS_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/campaigns)
PYTHON := .venv/bin/python
DEVSTACK := $(PYTHON) -m devstack
# uv from the PATH, else one of our own in the cache.
UV = $(shell command -v uv || echo $(CACHE)/uv/bin/uv)
# Node.js verifies webhooks in tests: the machine's own from version 18 on, else the one of uv.lock.
NODE = $(shell (node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' && npm --version) >/dev/null 2>&1 || echo --group node)
MEMBERS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml tools/*/pyproject.toml)
# What a command line sets reaches the commands, as their environment variables.
export ORG ROLE LINES FOLLOW FORCE ONLY SEED

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- environment ----------------------------------------------------------------------------------

.PHONY: setup
setup: bytecode ## Create or refresh .venv (does nothing when it is current)

# The packages are compiled here, once: else each process compiles what it imports, all of a stack at the
# same moment, and every time where PYTHONDONTWRITEBYTECODE is set.
.venv/.synced: uv.lock pyproject.toml Makefile $(MEMBERS)
	@if ! command -v uv >/dev/null && ! [ -x $(CACHE)/uv/bin/uv ]; then \
		echo "installing uv into $(CACHE)/uv" >&2; \
		mkdir -p $(CACHE) && python3 -m venv $(CACHE)/uv && $(CACHE)/uv/bin/pip -q install uv >&2; \
	fi || { echo "error: uv could not be installed (mend: install Python 3.11 or newer with its venv module, or uv itself)" >&2; exit 1; }
	@echo "setting up .venv" >&2
	@$(UV) sync --frozen --quiet --compile-bytecode $(NODE) >&2
	@touch $@

# The same for our own modules, of which only those that have changed are compiled.
.PHONY: bytecode
bytecode: .venv/.synced
	@$(PYTHON) -m compileall -q libs/*/src services/*/src tools/*/src

# ---- the stack ------------------------------------------------------------------------------------

.PHONY: up down status logs reset token replay stats-rebuild stats-reconcile native-mongo toxiproxy
up: bytecode ## Start everything and wait until it is healthy
	@$(DEVSTACK) up

down: .venv/.synced ## Stop everything that was started here
	@$(DEVSTACK) down

status: .venv/.synced ## Show every program, its port and its health
	@$(DEVSTACK) status

logs: .venv/.synced ## Follow a log: SERVICE=campaign-api (LINES=50, FOLLOW=1)
	@$(DEVSTACK) logs $(SERVICE)

reset: .venv/.synced ## Stop and wipe all data (asks; FORCE=1 does not)
	@$(DEVSTACK) reset

token: .venv/.synced ## Print a token: ORG=acme ROLE=admin|editor|viewer
	@$(DEVSTACK) token

replay: .venv/.synced ## Put dead-lettered events back: SERVICE=campaign-service
	@$(DEVSTACK) replay $(SERVICE)

stats-rebuild: .venv/.synced ## Count a campaign's statistics again from the log: CAMPAIGN=camp_…
	@[ -n "$(CAMPAIGN)" ] || { echo "usage: make stats-rebuild CAMPAIGN=<campaign id>" >&2; exit 2; }
	@$(DEVSTACK) stats-rebuild "$(CAMPAIGN)"

stats-reconcile: .venv/.synced ## Compare all statistics with a recount of the log
	@$(DEVSTACK) stats-reconcile

native-mongo: .venv/.synced ## Build the fast MongoDB-compatible server (needs Rust)
	@$(DEVSTACK) native-mongo

toxiproxy: .venv/.synced ## Build the proxy of the chaos tests (needs Go)
	@$(DEVSTACK) toxiproxy

# ---- containers (docker compose up -d --build --wait) -----------------------------------------------
# Needs Docker and a bare python3, nothing of .venv.

.PHONY: compose-env compose-token
compose-env: ## Write the secrets of docker compose to .env, once
	@python3 deploy/compose/make_env.py .env

compose-token: ## Print a token for the containers: ORG=acme ROLE=admin
	@docker compose exec -T -e ORG -e ROLE campaign-api python - < deploy/compose/mint_token.py

# ---- the API's document ---------------------------------------------------------------------------

.PHONY: openapi
openapi: .venv/.synced ## Write docs/openapi.json afresh from the code
	@$(PYTHON) -m openapi_document

# ---- checks ---------------------------------------------------------------------------------------

.PHONY: lint
lint: .venv/.synced ## Lock file, ruff, mypy (strict), import rules
	@$(UV) lock --check --quiet
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

.PHONY: test
test: lint bytecode ## Lint, unit, integration and end-to-end tests on real parts
	@.venv/bin/pytest -q -n 2 --dist loadscope

CRASHES := services/stats-service/tests/integration/test_aggregator_survives.py
PAUSES := services/execution-service/tests/integration/engine/test_pausing.py::test_many_pauses_during_an_execution_stop_in_time_and_lose_and_double_nobody
.PHONY: chaos
chaos: bytecode ## The faults that take minutes, on real parts (ARGS="-k kafka" for some, SEED=7)
	@$(DEVSTACK) toxiproxy >/dev/null
	@LIMITER_SCALE=6 WHOLE_NIGHTS=1 ISOLATION_ENDPOINTS=1000 CRASH_LOOP=long .venv/bin/pytest -q tests/chaos services/execution-service/tests/integration/engine/test_limiter_processes.py services/execution-service/tests/integration/engine/hours $(PAUSES) services/webhook-service/tests/integration/test_isolation.py $(CRASHES) $(ARGS)

.PHONY: demo
demo: bytecode ## The main job on real parts, every number compared (KEEP=1 leaves the stack up)
	@KEEP=$(KEEP) $(PYTHON) -m demo

.PHONY: bench
bench: bytecode ## Measure beside ceilings of the same run: BENCH=campaigns, execution, stats or webhooks (ten minutes, a quiet machine)
	@$(PYTHON) benchmarks/$(or $(BENCH),campaigns).py
