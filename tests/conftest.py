"""Shared by all tests."""

import gc
import itertools
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

# Libraries read it when they are loaded, some long after `one_thread`: threads that wait in a loop
# for tiny arrays took most of the time of some tests.
for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

# Lines are as wide as the terminal, which workers of pytest-xdist take to have 80 columns.
os.environ["COLUMNS"] = "100"

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

# Without bytecode every process that tests start compiles the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

KEY = "sk-test-9f8e7d6c5b4a"
language = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parent / "text" / "language_server.py"))
)
TINY_NET = '''\
import torch


class Tiny(torch.nn.Module):
    """Means of 4 x 4 patches through a fixed linear map: (B, 3, 16, 16) to (B, 12)."""

    def __init__(self, seed):
        super().__init__()
        weight = torch.randn(48, 12, generator=torch.Generator().manual_seed(seed))
        self.map = torch.nn.Parameter(weight / 7)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, images):
        means = torch.nn.functional.avg_pool2d(images, 4).flatten(1)
        return self.drop(means @ self.map)


def network():
    return Tiny(0)
'''


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Arrays in tests are tiny; sharing them among cores only costs time."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def one_thread_again():
    """A run in this process takes all cores; the tests after it would have them for tiny arrays."""
    yield
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def signals_arrive():
    """Programs of tests get signals also where a shell has started the tests in the background."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)  # the default in what it starts


@pytest.fixture(scope="session")
def empty_folders(tmp_path_factory):
    """Folders without end; one that is put back is the next."""
    base, unused = tmp_path_factory.mktemp("tests"), []

    def make():
        for number in itertools.count():
            if not unused:
                unused.append(base / str(number))
                unused[-1].mkdir()
            yield unused.pop()

    return SimpleNamespace(make=make(), unused=unused)


@pytest.fixture
def tmp_path(empty_folders):
    """An empty folder; the next test has it too if this one leaves it empty, as most do.

    To make, link and delete a folder each takes as long as all else that pytest does for a test.
    """
    folder = next(empty_folders.make)
    yield folder
    if folder.is_dir() and not any(folder.iterdir()):
        empty_folders.unused.append(folder)


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """Tests work in a folder of their own: cache, runs and files go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FEWSHOT_WEIGHTS", raising=False)
    return tmp_path


class Forks:
    """``fewshot`` in forks of one process that has imported what takes long."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("forks.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, *arguments, folder, seconds=120, **further):
        """Exit code (None if it did not end), output and errors of a command line.

        `further` is `path`, `code`, `environment` and `memory`, see ``forks.py``.
        """
        case = {"arguments": arguments, "folder": str(folder), "seconds": seconds} | further
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return SimpleNamespace(**json.loads(self.process.stdout.readline()))

    def close(self):
        self.process.kill()  # at its end it would only take modules apart
        self.process.communicate()


@pytest.fixture(scope="session")
def forks():
    """Function that runs a command line in a fork of a process; for many of them, or packages."""
    if not hasattr(os, "fork"):
        pytest.skip("forks processes")
    running = Forks()
    yield running
    running.close()


def write_images(root, classes=6, images=8, seed=0, ext="png"):
    """Noisy images of one colour per class, 16 x 16 pixels, under ``root/class_<i>/``."""
    rng = np.random.default_rng(seed)
    for c in range(classes):
        folder = Path(root, f"class_{c}")
        folder.mkdir(parents=True)
        colour = rng.integers(40, 215, size=3)
        for i in range(images):
            noise = rng.normal(0, 30, size=(16, 16, 3))
            pixels = (colour + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.{ext}")
    return Path(root)


@pytest.fixture
def make_images(workplace):
    """Function that writes a folder of images; see ``write_images``."""
    return write_images


@pytest.fixture
def photos(workplace):
    """A folder of images: 6 classes x 8."""
    return write_images(workplace / "photos")


@pytest.fixture
def tiny_net(workplace, monkeypatch):
    """``tiny_net.py`` with a network that takes no time, importable from the current folder."""
    (workplace / "tiny_net.py").write_text(TINY_NET)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    yield workplace / "tiny_net.py"
    sys.modules.pop("tiny_net", None)


@pytest.fixture
def feature_file(workplace):
    """``f.npz``: 6 classes x 10 rows of 8 features."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = rng.normal(size=(6, 8))[labels] * 2 + rng.normal(size=(60, 8))
    np.savez(workplace / "f.npz", features=features.astype(np.float32), labels=labels)
    return workplace / "f.npz"


@pytest.fixture(autouse=True)
def no_other_server(monkeypatch):
    """Nothing of the user's environment decides where questions go."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server(monkeypatch):
    """A server with a key, which every request has to carry."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made = language.LanguageServer()
    made.key, made.tools = KEY, language
    yield made
    made.close()


@pytest.fixture
def model(server):
    """Function that makes settings for the server, quick to try again."""
    from fewshot.text.llm.settings import LanguageModel

    def make(**settings):
        quick = {"timeout": 5, "retries": 2, "time_limit": 10}
        return LanguageModel(**{"model": "tiny", "base_url": server.url} | quick | settings)

    return make


def pytest_collection_finish():
    """Spare every test what grows with the packages that are imported: by now they all are.

    The garbage collector need not look through them again.
    """
    gc.collect()
    gc.freeze()
    # Each phase of each test would give and take a handler to and from 46 of torch's loggers.
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("torch") and isinstance(logger, logging.Logger):
            logger.propagate = True
