.PHONY: check format lint types test slow lowest benchmarks

check: lint types test

format:
	ruff format .
	ruff check --fix .

lint:
	ruff format --check .
	ruff check .

types:
	mypy

# Doctests included: pytest collects them from fewshot/ as well. With bytecode kept, workers and the
# processes that tests start need not compile everything anew: half of the time of collecting.
test:
	PYTHONDONTWRITEBYTECODE= python -m pytest

slow:
	python -m pytest -m slow -n 1

# Every direct dependency at its floor, in a virtual environment of its own (several gigabytes).
lowest:
	python tests/lowest.py

benchmarks:
	python benchmarks/speed.py
	python benchmarks/memory.py
	python benchmarks/predicted_error.py
	python benchmarks/estimator_speed.py
