"""The documentation site, built once for all tests."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))
pytest.importorskip("sphinx")
pytest.importorskip("furo")


class Site(NamedTuple):
    """A built site: its folder, and what the build printed."""

    html: Path
    code: int
    printed: str

    def text(self, page):
        return (self.html / page).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id):
    """Built by the first worker that needs it."""
    shared = tmp_path_factory.getbasetemp()
    out = (shared if worker_id == "master" else shared.parent) / "docs"
    done = out.with_suffix(".printed")
    with FileLock(f"{out}.lock"):
        if not done.is_file():
            command = [sys.executable, str(ROOT / "docs" / "build.py"), str(out)]
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            done.write_text(f"{built.returncode}\n{built.stdout}{built.stderr}", encoding="utf-8")
    code, _, printed = done.read_text(encoding="utf-8").partition("\n")
    return Site(out / "html", int(code), printed)


@pytest.fixture(scope="session")
def builder():
    """A module of the builder by its name."""
    return lambda name: importlib.import_module(f"site_builder.{name}")
