"""Fixtures that run the command line, in this process or in another one."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fewshot.cli.main import main

QUICK = ("episodes.count=20", "threads=1")
FEATURE_SETTINGS = ("dataset=features", "dataset.path=f.npz", *QUICK)
IMAGE_SETTINGS = (
    "dataset=folder", "dataset.root=photos", "backbone=callable",
    "backbone.target=tiny_net:network", "backbone.size=16", *QUICK,
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_import_path(monkeypatch):
    """Restore ``sys.path``, to which the current folder is added for networks of the user."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def fewshot(capfd):
    """Function that runs the command line here: exit code, what was printed, the run folders."""

    def call(*arguments):
        capfd.readouterr()
        code = main(list(arguments))
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err, runs=runs())

    return call


@pytest.fixture
def refusal(fewshot):
    """Function that runs a command that has to be refused, and returns the one line it gets."""

    def refused(*arguments):
        before = runs()
        done = fewshot(*arguments)
        assert done.code == 2, done.err
        assert re.fullmatch(r"fewshot: error: [^\n]+\n", done.err), done.err
        assert done.out == ""
        assert done.runs == before  # nothing half-written
        return done.err.removeprefix("fewshot: error: ").strip()

    return refused


@pytest.fixture
def process():
    """Function that starts ``python -m fewshot`` with some arguments."""
    started = []

    def start(*arguments, environment=None, **options):
        child = subprocess.Popen(
            [sys.executable, "-m", "fewshot", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {}), **options,
        )  # fmt: skip
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def runs():
    """Everything under runs/, hidden files too."""
    return sorted(Path("runs").rglob("*"))


@pytest.fixture
def feature_settings(feature_file):
    """Settings of a quick run on a file of features."""
    return FEATURE_SETTINGS


@pytest.fixture
def image_settings(photos, tiny_net):
    """Settings of a quick run on a folder of images with a network of the user."""
    return IMAGE_SETTINGS


@pytest.fixture
def server(monkeypatch):
    """A language model on this machine, and a key for it in the environment: ``server.key``."""
    pytest.importorskip("openai")
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    file = Path(__file__).parent.parent / "text" / "language_server.py"
    tools = SimpleNamespace(**runpy.run_path(str(file)))
    made = tools.LanguageServer()
    made.tools, made.key = tools, "sk-test-9f8e7d6c5b4a"
    monkeypatch.setenv("OPENAI_API_KEY", made.key)
    yield made
    made.close()
