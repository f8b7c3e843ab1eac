# Everything that one does with this repository. `make dev` needs Python 3.11 or later, make and a package index.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
READY := .venv/.installed
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate $(ARGS)

# What the bundle runs on; by default, this environment's Python and this machine's processor.
PLATFORM = $(if $(PYTHON_VERSION),--python-version $(PYTHON_VERSION)) $(if $(ARCH),--arch $(ARCH))

# Only a KUBECONFIG that is given on the command line: one that happens to be in the environment may be anything.
ifeq ($(origin KUBECONFIG),command line)
WITH_CLUSTER := CONTRACT_KUBECONFIG="$(KUBECONFIG)"
else
WITH_CLUSTER := $(BIN)/python -m infra.controlplane run --
endif

# What a recipe ends with when it was not told enough.
comma := ,
say = echo "$(1)" >&2; exit 1

.DEFAULT_GOAL := help
.PHONY: help dev up down token test conformance test-e2e test-cluster check package deploy doctor store-kubeconfig \
	store-cloudflare-token route-domains mint-token list-tokens revoke-token faults nightly mutants threats bench lock licences clean

help:  ## show this
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-28s %s\n", $$1, $$2 }'

dev: $(READY)  ## set everything up and run it in the foreground
	@$(BIN)/python -m infra.local.stack dev

up: $(READY)  ## the same in the background; writes .local/env. Again: deploy what has changed
	@$(BIN)/python -m infra.local.stack up

down: $(READY)  ## end what dev or up has started
	@$(BIN)/python -m infra.local.stack down

token: ROLE = agent
token: AGENT_ID = mochi
token: $(READY)  ## mint a token for the local stack: ROLE=admin, or ROLE=agent AGENT_ID=... (default: agent mochi)
	@$(if $(filter admin agent,$(ROLE)),,$(call say,Say whose: make token ROLE=admin$(comma) or make token ROLE=agent AGENT_ID=mochi))
	@test -f .local/env || { echo "The local stack does not run: make up starts it." >&2; exit 1; }
	@set -a; . ./.local/env; set +a; \
	$(BIN)/python -m infra.tokens mint --role $(ROLE) $(if $(filter agent,$(ROLE)),--agent-id $(AGENT_ID)) $(ARGS)

test: $(READY)  ## the fast tests; ARGS go to pytest
	$(BIN)/pytest -n auto $(ARGS)

conformance: SECONDS = 180
conformance: $(READY)  ## schemathesis tries the API's description for SECONDS=180; ARGS go to pytest
	SCHEMATHESIS_SECONDS=$(SECONDS) $(BIN)/pytest -s tests/api/test_conformance.py $(ARGS)

threats: $(READY)  ## the tests of everything that is tried against the API; writes docs/threats.md
	$(BIN)/pytest -n auto --threats-page=docs/threats.md $(ARGS)

test-e2e: $(READY)  ## deploy to MiniStack and drive it over HTTP; ARGS go to pytest
	@trap '$(BIN)/python -m infra.local.stack down' EXIT; \
	$(BIN)/python -m infra.local.stack up && \
	set -a && . ./.local/env && set +a && $(BIN)/pytest tests/e2e $(ARGS)

test-cluster: $(READY)  ## the contract and least privilege on a real control plane; KUBECONFIG=... uses yours
	$(WITH_CLUSTER) $(BIN)/pytest tests/cluster tests/contract/cluster $(ARGS)

check: $(READY)  ## style, types, imports, the template and its policies, licences, known vulnerabilities
	$(BIN)/ruff check --no-cache
	$(BIN)/ruff format --no-cache --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@$(foreach version,3.11 3.13,$(BIN)/python -m infra.package --template-only --python-version $(version) \
		--out .local/check/$(version) && ) true
	$(BIN)/cfn-lint .local/check/*/sam.yaml
	$(BIN)/python -m infra.policy_scan .local/check/3.11/sam.yaml
	$(BIN)/python -m infra.licences --check
	$(BIN)/python -m infra.audit $(if $(AUDIT_STRICT),--strict)

package: $(READY)  ## the Lambda bundle and its template, in dist/; PYTHON_VERSION=3.13 ARCH=arm64 STAGE=prod
	$(BIN)/python -m infra.package --out dist $(PLATFORM) --stage $(or $(STAGE),prod) $(ARGS)
	$(BIN)/cfn-lint dist/sam.yaml

deploy: $(READY)  ## deploy STAGE=prod and print its URL; DOMAINS=domains.json ALARM_TOPIC=arn:... as wanted
	@$(if $(STAGE),,$(call say,Say which: make deploy STAGE=prod))
	@$(BIN)/python -m infra.deploy --stage $(STAGE) $(PLATFORM) $(if $(DOMAINS),--domains $(DOMAINS)) \
		$(if $(ALARM_TOPIC),--alarm-topic $(ALARM_TOPIC)) $(ARGS)

doctor: $(READY)  ## try every permission, secret, cluster and zone of STAGE=prod; KUBECONFIG=... an admin's, for the nodes
	@$(if $(STAGE),,$(call say,Say which: make doctor STAGE=prod))
	@$(BIN)/python -m infra.doctor --stage $(STAGE) \
		$(if $(filter command,$(origin KUBECONFIG)),--kubeconfig $(KUBECONFIG)) $(ARGS)

store-kubeconfig: $(READY)  ## store how the API reaches a cluster: CLUSTER=main FILE=/path
	@$(if $(and $(CLUSTER),$(FILE)),,$(call say,Say which: make store-kubeconfig CLUSTER=main FILE=/path))
	@$(BIN)/python -m infra.kubeconfig put $(CLUSTER) $(FILE)

store-cloudflare-token: $(READY)  ## store Cloudflare's API token, from standard input
	@$(BIN)/python -m infra.cloudflare put

route-domains: $(READY)  ## tell kubectl's cluster which domains friends' routes may be on: DOMAINS=domains.json
	@$(if $(DOMAINS),,$(call say,Say which: make route-domains DOMAINS=domains.json))
	@$(BIN)/python -m infra.route_domains $(DOMAINS) | kubectl apply -f -

# The agent of .local/env is the local stack's: only who is named here counts.
mint-token: NAMED = $(if $(filter command,$(origin AGENT_ID)),$(AGENT_ID))
mint-token: $(READY)  ## mint a token of a deployment: ROLE=admin, or ROLE=agent AGENT_ID=...
	@$(if $(or $(filter admin,$(ROLE)),$(and $(filter agent,$(ROLE)),$(NAMED))),,$(call say,Say whose in the command: make \
		mint-token ROLE=admin$(comma) or make mint-token ROLE=agent AGENT_ID=mochi))
	@$(BIN)/python -m infra.tokens mint --role $(ROLE) $(if $(NAMED),--agent-id $(NAMED)) $(ARGS)

list-tokens: $(READY)  ## show what is known of a deployment's tokens
	@$(BIN)/python -m infra.tokens list

revoke-token: $(READY)  ## revoke a token of a deployment: ID=...
	@$(if $(ID),,$(call say,Say which: make revoke-token ID=<id>; make list-tokens shows them))
	@$(BIN)/python -m infra.tokens revoke $(ID)

faults: $(READY)  ## every crash point of every flow, then reconcile: what was lost or leaked
	$(BIN)/python -m tests.faults $(ARGS)

nightly: $(READY)  ## ten thousand histories of clients, faults and time, in any order; ARGS go to pytest
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -n auto tests/faults/test_state_machine.py $(ARGS)

mutants: $(READY)  ## takes each guard out in turn: do the tests notice? ARGS='--only routes --tell'
	$(BIN)/python -m tests.mutants $(ARGS)

bench: $(READY)  ## the benchmark table, and bench/results.json
	$(BIN)/python -m bench $(ARGS)

lock: $(READY)  ## pin the newest versions that requirements/*.in allow
	$(COMPILE) --upgrade requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --upgrade requirements/runtime.in -o requirements/runtime.txt
	$(COMPILE) --upgrade -c requirements/runtime.txt requirements/dev.in -o requirements/dev.txt

licences: $(READY)  ## write docs/licences.md, after a lock
	$(BIN)/python -m infra.licences

clean:  ## end the local stack and remove everything that was made here
	@test ! -x $(BIN)/python || $(BIN)/python -m infra.local.stack down
	rm -rf .venv .local dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# pip installs uv, which installs the rest several times as fast. Where uv cannot (an index that only pip's own
# settings name, say), pip does it all.
$(READY): requirements/dev.txt requirements/uv.txt
	@set -e; python=; for each in $(PYTHONS); do \
	  if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or later was found: install one, or name it with make PYTHON=/path/to/python3." >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$($$python --version)."; \
	$$python -m venv --clear .venv; \
	export PIP_DISABLE_PIP_VERSION_CHECK=1; \
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt \
	  && $(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@
