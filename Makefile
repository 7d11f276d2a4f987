.PHONY: check format lint types test slow lowest benchmarks docs linkcheck

check: lint types test

PAGES = docs examples datasets README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md

format:
	ruff format .
	ruff check --fix .
	mdformat $(PAGES)

lint:
	ruff format --check .
	ruff check .
	mdformat --check $(PAGES)

types:
	mypy

# Doctests included: pytest collects them from fewshot/ as well. With bytecode kept, workers and the
# processes that tests start need not compile everything anew: half of the time of collecting.
test:
	PYTHONDONTWRITEBYTECODE= python -m pytest

slow:
	python -m pytest -m slow -n 1

# The documentation site, build/docs/html/index.html; any warning is an error.
docs:
	python docs/build.py

linkcheck:
	python docs/build.py --links

# Every direct dependency at its floor, in a virtual environment of its own (several gigabytes).
lowest:
	python tests/lowest.py

benchmarks:
	python benchmarks/speed.py
	python benchmarks/memory.py
	python benchmarks/predicted_error.py
	python benchmarks/estimator_speed.py
