# Wharf: a Docker Engine in Python. `make help` lists what there is to make.
.DEFAULT_GOAL := help
.PHONY: help demo test check compat compat-oracle dockerpy bench protos install uninstall clean
SHELL := /bin/bash
PREFIX := /opt/wharf
UNITS := /etc/systemd/system
TESTS ?= engine/tests compat_tests
ARGS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run containers with the stock docker CLI on a daemon of its own, then remove everything
	@.ci/setup run
	@.ci/demo

test: ## Run all tests: the unit tests and the black-box tests against wharfd (root)
	@.ci/setup test
	@.ci/test $(TESTS) $(ARGS)

check: ## Check style (ruff), types (mypy --strict), imports (import-linter) and the sizes of the house rules
	@.ci/setup check
	.venv/bin/ruff check engine compat_tests
	.venv/bin/ruff format --check engine
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m pytest -q engine/tests/test_house_rules.py

compat: ## Run the black-box tests against wharfd; ARGS="-k exec" chooses
	@.ci/setup test
	@.ci/test compat_tests --engine wharfd $(ARGS)

compat-oracle: ## Run the same tests against real dockerd
	@.ci/setup test
	@.ci/test compat_tests --engine dockerd $(ARGS)

dockerpy: ## Run docker-py's own integration tests; ARGS="--engine dockerd", ARGS="-k exec"
	@.ci/setup test
	@PATH=$$PATH:/var/cache/wharf-cli/usr/bin:/usr/sbin:/sbin .venv/bin/python -m compat_tests.sdk.dockerpy $(ARGS)

bench: ## Measure wharfd and real dockerd side by side
	@.ci/setup test
	@PATH=$$PATH:/var/cache/wharf-cli/usr/bin:/usr/sbin:/sbin .venv/bin/python -m compat_tests.bench $(ARGS)

protos: ## Compile BuildKit's .proto files after a change (grpcio-tools in a scratch environment)
	python3 -m venv .venv-protos
	.venv-protos/bin/pip install --quiet --disable-pip-version-check grpcio-tools
	cd engine/domain/builder/protocol/proto && ../../../../../.venv-protos/bin/python -m grpc_tools.protoc \
		-I. --include_imports --descriptor_set_out=../descriptors.binpb *.proto
	rm -rf .venv-protos

install: ## Install the daemon to /opt/wharf, with its systemd units and data directories (root)
	@.ci/setup run $(PREFIX)
	$(PREFIX)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall .
	install -D -m 644 README.md $(PREFIX)/README.md
	ln -sfn $(PREFIX)/bin/wharfd /usr/local/bin/wharfd
	getent group docker > /dev/null || groupadd --system docker
	install -d -m 711 /var/lib/wharf
	install -d -m 755 /etc/wharf
	install -D -m 644 -t $(UNITS) contrib/systemd/wharf.service contrib/systemd/wharf.socket
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo 'Installed. Start it with: systemctl enable --now wharf.socket wharf.service'
	@echo 'Then: docker context create wharf --docker host=unix:///run/wharf.sock && docker context use wharf'

uninstall: ## Stop and remove the installed daemon; /var/lib/wharf and /etc/wharf stay
	if [ -d /run/systemd/system ]; then systemctl disable --now wharf.service wharf.socket || true; fi
	rm -f $(UNITS)/wharf.service $(UNITS)/wharf.socket /usr/local/bin/wharfd
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	rm -rf $(PREFIX)

clean: ## Remove the virtual environment and all caches
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find engine compat_tests -name __pycache__ -type d -prune -exec rm -rf {} +
