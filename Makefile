# corpproxy: everything that a person or continuous integration does with a checkout.
#
#   make run        a first proxy on this machine, in the foreground; Ctrl-C ends it
#   make test       all tests; 'make test-deps' before it installs the programs that some need
#   make lint types docs policies bench profile
#   make sanitize   tests of the compiled parts, with what watches their memory compiled in
#   make clean      take away what these made, except the site folder
#
# What is needed: GNU make, python3 >= 3.11 with venv.  Everything else goes into .venv.

PYTHON ?= python3
ENV ?= .venv
SITE ?= site
BIN := $(ENV)/bin
POLICIES := $(sort $(wildcard policies/*.yaml) $(wildcard policies/*/policy.yaml))

# Six runs of tests, side by side, each in a trial of its own: the service as a whole in two shares, parts in two
# shares, real programs, what has twins.  All but the parts wait more than they work: two cores do them all.
WAITING := tests.loopback tests.supervisor \
           $(addprefix tests.service.test_,access grants killed live_tunnels chain levels)
SERVICE := $(filter-out $(WAITING),$(subst /,.,$(patsubst %.py,%,$(wildcard tests/service/test_*.py))))
PROGRAMS := tests.programs tests.packaging
OUTSIDE := tests.backends tests.benchmarks tests.foreign
PARTS := $(filter-out tests.service tests.loopback tests.supervisor $(PROGRAMS) $(OUTSIDE) tests.support, \
             $(subst /,.,$(patsubst %/__init__.py,%,$(wildcard tests/*/__init__.py)))) \
         $(subst /,.,$(patsubst %.py,%,$(wildcard tests/test_*.py)))
TWINS := tests.test_twins tests.backends.people.test_apr1_twins tests.backends.people.test_passwords tests.backends.people.test_recognition tests.audit.test_proof tests.audit.test_chain_twins tests.backends.test_books tests.backends.test_alike tests.backends.test_at_once tests.admin.test_telemetry tests.test_born tests.destination tests.http1 tests.preface tests.net tests.exchange tests.hostile
TRIAL = $(BIN)/python -m twisted.trial --temp-directory=_trial_temp_$@

# A start compiles all our modules anew, a quarter of a second, where this is set: tests start many processes.
unexport PYTHONDONTWRITEBYTECODE

SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)
# Programs that tests use; gcc makes the load of 'make bench', where Squid and nginx stand beside us, and with the
# headers behind it the parts of native/.
DEBIAN_PACKAGES := ca-certificates chromium curl wget git apache2-utils libpacparser1 minisign squid-openssl nginx gcc libc6-dev \
                   e2guardian faketime zstd rsyslog rsyslog-openssl postgresql goaccess calamaris python3-dev libssl-dev iproute2 \
                   $(if $(shell command -v npm),,nodejs npm)

SANITIZED := $(TWINS) tests.loopback

.PHONY: run test test-parts test-outside test-pure test-service test-waiting test-programs test-deps sanitize environment node lint types docs policies bench profile clean format

run: $(ENV)/run.stamp
	@exec $(BIN)/python -m corpproxy.first_run $(SITE)

test: $(ENV)/test.stamp node
	@echo "Six runs of trial, side by side; each tells what it did when it is over, in some minutes."
	@$(MAKE) --no-print-directory -j6 --keep-going --output-sync=target test-waiting test-service test-parts test-outside test-programs test-pure

test-parts: $(ENV)/test.stamp
	$(TRIAL) $(PARTS)

# What has a compiled twin, once more in Python.
test-pure: export CORPPROXY_PURE = 1
test-pure: $(ENV)/test.stamp
	$(TRIAL) $(TWINS)

# The compiled parts once more, under the address and the undefined behaviour sanitizers of gcc, in a copy of the
# checkout: what runs from here keeps the parts it has.  Each object has bounds of its own then, and what is found
# ends its process and is kept in a file, whoever started that process.
COPY := build/sanitize
FOUND := $(CURDIR)/build/sanitizer-found
sanitize: $(ENV)/test.stamp
	rm -rf $(COPY) $(FOUND).*
	mkdir -p $(COPY)
	cp -r corpproxy twisted tests benchmarks docs policies native setup.cfg setup.py pyproject.toml README.rst LICENSE MANIFEST.in Makefile $(COPY)
	rm -f $(COPY)/corpproxy/*.so
	cd $(COPY) && CFLAGS="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined" \
	    LDFLAGS="-fsanitize=address,undefined" $(abspath $(BIN))/python -m pip wheel -q --no-deps --wheel-dir wheel .
	cd $(COPY) && $(abspath $(BIN))/python -m zipfile -e wheel/*.whl . && ls corpproxy/*.so
	cd $(COPY) && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=detect_leaks=0:log_path=$(FOUND) UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$(FOUND) \
	    $(abspath $(BIN))/python -m twisted.trial $(SANITIZED)
	@! cat $(FOUND).* 2>/dev/null
	@echo "The sanitizers found nothing."

test-outside: $(ENV)/test.stamp
	$(TRIAL) $(OUTSIDE)

test-service: $(ENV)/test.stamp
	$(TRIAL) $(SERVICE)

test-waiting: $(ENV)/test.stamp
	$(TRIAL) $(WAITING)

test-programs: $(ENV)/test.stamp
	$(TRIAL) $(PROGRAMS)

# Servers start when they are installed, and would take our ports: who had none before has none running.
test-deps:
	@missing=$$(for package in $(DEBIAN_PACKAGES); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || echo $$package; \
	done); \
	test -n "$$missing" || exit 0; \
	$(SUDO) apt-get update -qq || exit 1; \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing || exit 1; \
	for server in squid nginx e2guardian rsyslog postgresql; do \
	    case "$$missing" in *$$server*) $(SUDO) systemctl disable --now $$server 2>/dev/null || true;; esac; \
	done

lint: $(ENV)/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(ENV)/lint.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(ENV)/lint.stamp
	$(BIN)/mypy

docs: $(ENV)/docs.stamp
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

policies: $(ENV)/run.stamp
	@set -e; for policy in $(POLICIES); do echo "$$policy"; $(BIN)/corpproxy check "$$policy"; done

bench: $(ENV)/test.stamp
	$(BIN)/python -m benchmarks $(BENCH)

profile: $(ENV)/test.stamp
	$(BIN)/python -m benchmarks --profile $(BENCH)

clean:
	rm -rf $(ENV) build dist *.egg-info corpproxy/*.so docs/_build _trial_temp* .mypy_cache .ruff_cache .hypothesis
	find corpproxy tests twisted benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

# The environment, in steps that are repeated when setup.cfg changes.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "corpproxy needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(ENV) \
	    || { rm -rf $(ENV); echo "python3 cannot make environments; install python3-venv"; exit 1; }

# A comma would end the argument of a call.
LINT_EXTRAS := [tests,lint]

define install
$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.$(1)'
@cat build/left-out.txt 2>/dev/null || true
@touch $@
endef

# What is compiled is compiled again when its sources change.
SOURCES := setup.cfg setup.py pyproject.toml $(wildcard native/*)

$(ENV)/run.stamp: $(SOURCES) | $(BIN)/python
	@echo "Installing corpproxy into $(ENV); the first time this takes a minute."
	@$(call install,)

$(ENV)/test.stamp: $(SOURCES) | $(BIN)/python
	$(call install,[tests])

$(ENV)/lint.stamp: $(SOURCES) | $(BIN)/python
	$(call install,$(LINT_EXTRAS))

$(ENV)/docs.stamp: $(SOURCES) | $(BIN)/python
	$(call install,[docs])

# All of it in one go, which is quicker than one after the other.
environment: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[tests,lint,docs]'
	@cat build/left-out.txt 2>/dev/null || true
	@touch $(ENV)/run.stamp $(ENV)/test.stamp $(ENV)/lint.stamp $(ENV)/docs.stamp

# undici is the HTTP client of Node; without npm its tests skip.
node: $(ENV)/node/node_modules/undici/package.json

$(ENV)/node/node_modules/undici/package.json: | $(BIN)/python
	@if command -v npm >/dev/null; then \
	    npm install --silent --no-audit --no-fund --prefix $(ENV)/node undici@$(UNDICI) \
	        || echo "undici could not be installed; its tests skip"; \
	else echo "npm is absent; tests with undici skip"; fi

# The last one that the Node of this machine can run.
UNDICI = $(shell node -e 'console.log(parseInt(process.versions.node) < 20 ? 6 : 7)')
