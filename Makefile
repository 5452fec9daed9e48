# The two commands: `make run` and `make test`. Nothing but Python (3.11 or newer) and make is needed.

PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))
BIN := .venv/bin
STAMP := .venv/.installed
FOREIGN := .venv-foreign
IDP := .venv-idp
PYTEST := DEBUG=true FAIL_ON_SKIP=$(FAIL_ON_SKIP) $(BIN)/python -m pytest -q

.PHONY: help install run test test-browser test-faults test-foreign test-mutants test-schema score-mail bench bench-short audit lint format messages lock
.DEFAULT_GOAL := help

help: ## Show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.env:
	@$(or $(PYTHON),python3) -c "import secrets; print('DEBUG=true'); print('SECRET_KEY=' + secrets.token_urlsafe(50))" > .env
	@echo "Wrote a development .env (DEBUG=true and a random secret)."

install: $(STAMP) .env ## Create the environment

run: install ## Serve web, worker and clockwork (PORT=8000)
	@exec $(BIN)/python manage.py run

test: install ## Run the tests
	$(PYTEST) -n 3 -m "not browser and not faults and not foreign and not schema"

test-browser: install ## Run the journeys in a real Chromium
	$(PYTEST) -m browser

test-faults: install ## Kill processes of the running product
	$(PYTEST) -s -m faults

$(FOREIGN)/.installed: tests/foreign/requirements.lock $(STAMP)
	@test -x $(FOREIGN)/bin/python || $(BIN)/python -m venv $(FOREIGN)
	@echo "Installing the network industry's parser ..."
	@$(FOREIGN)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/foreign/requirements.lock
	@touch $@

$(IDP)/.installed: tests/foreign/idp_requirements.lock $(STAMP)
	@test -x $(IDP)/bin/python || $(BIN)/python -m venv $(IDP)
	@echo "Installing an identity provider ..."
	@$(IDP)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/foreign/idp_requirements.lock
	@touch $@

test-foreign: install $(FOREIGN)/.installed $(IDP)/.installed ## Check ourselves with programs of others: a parser of notices, an identity provider
	$(PYTEST) -m foreign

test-mutants: install ## Switch off each guard of tenancy and permission; a test must notice (ARGS="--list")
	nice $(BIN)/python -m tests.mutation $(ARGS)

test-schema: install ## Hold the whole API against its own document (SCHEMA_EXAMPLES, SCHEMA_SEED)
	$(PYTEST) -s -m schema

score-mail: install ## Score how mails are read, on the project's corpus
	$(BIN)/python -m bench.mail_corpus

bench: install ## Measure every page at 10k, 100k and 1M incidents (DATABASE_URL: a PostgreSQL server; ARGS="--keep")
	$(BIN)/python -m bench.scale $(ARGS)

bench-short: install ## The same at 10k and 100k in less than five minutes
	$(BIN)/python -m bench.scale --short $(ARGS)

audit: install ## Ask for known vulnerabilities of what is pinned
	$(BIN)/python -m bench.known_vulnerabilities

lint: install ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	DEBUG=true $(BIN)/mypy portal incidents maintenance
	DEBUG=true $(BIN)/lint-imports

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: install ## Update and compile the translations
	DEBUG=true $(BIN)/python manage.py makemessages -v 0 -l tr --no-location --no-obsolete --ignore .venv --ignore .venv-foreign --ignore .venv-idp --ignore var --ignore tests --ignore bench
	DEBUG=true $(BIN)/python manage.py compilemessages -v 0 -l tr --ignore .venv --ignore .venv-foreign --ignore .venv-idp --ignore var

lock: ## Resolve the pinned set anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	uv pip compile tests/foreign/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o tests/foreign/requirements.lock
	uv pip compile tests/foreign/idp_requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o tests/foreign/idp_requirements.lock
