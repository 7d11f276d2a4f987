"""Memory that runs out, and what is refused before it does."""

import errno
import resource
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fewshot import memory
from fewshot.backbones.transform import Transform
from fewshot.cli import main as cli
from fewshot.episodes import sample_all_way, sample_episodes, sample_imbalanced_episodes
from fewshot.exceptions import FewshotError
from fewshot.memory import available_memory, expect_fits, memory_error

LABELS = np.repeat(np.arange(8), 30)
HUGE = 1 << 50


def _errors():
    """Errors that libraries raise when there is no memory, as they raise them."""
    attempts = (
        lambda: np.empty(HUGE),
        lambda: np.empty((2**62, 2**62)),
        lambda: torch.empty(HUGE),
        lambda: torch.empty(2**40, 2**40),
        lambda: bytearray(HUGE),
        lambda: __import__("pyarrow").allocate_buffer(HUGE),
    )
    for attempt in attempts:
        try:
            attempt()
        except Exception as error:
            yield error
    yield torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
    yield RuntimeError("std::bad_alloc")
    yield RuntimeError("can't start new thread")
    yield OSError(errno.ENOMEM, "Cannot allocate memory")


@pytest.mark.parametrize("error", list(_errors()), ids=lambda error: type(error).__name__)
def test_errors_of_all_libraries(error):
    known = memory_error(error, "Lower that.")
    assert known is not None
    assert str(known).startswith("memory: there is not enough")
    assert str(known).endswith("Lower that.")
    assert "\n" not in str(known)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shapes cannot be multiplied"), ValueError("x"), KeyError("memory"),
     OSError(errno.ENOENT, "No such file or directory"), FewshotError("a", "out of memory")],
)  # fmt: skip
def test_other_errors(error):
    assert memory_error(error) is None


def test_a_number_that_fits_and_one_that_does_not(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000)
    expect_fits("episodes.count", 1000, 1000, "episodes")
    with pytest.raises(FewshotError, match=r"1001 episodes need 1\.0 MB .* to 1000 at most"):
        expect_fits("episodes.count", 1001, 1000, "episodes")
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    expect_fits("episodes.count", HUGE, HUGE, "episodes")


def test_limits_of_the_process_count(monkeypatch):
    before = available_memory()
    in_use = memory.Path("/proc/self/statm")
    if before is None or not in_use.exists():
        pytest.skip("this system does not say")
    taken = int(in_use.read_text().split()[0]) * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (taken + (64 << 20), -1))
    assert 0 <= available_memory() <= 128 << 20


def test_control_groups_of_both_versions(tmp_path):
    for limit, usage in (("memory.max", "memory.current"), ("limit", "usage")):
        root = tmp_path / limit
        (root / "job").mkdir(parents=True)
        (root / "job" / limit).write_text("1000\n")
        (root / "job" / usage).write_text("900\n")
        (root / "job" / "memory.stat").write_text("anon 7\ninactive_file 300\n")
        (root / limit).write_text("max\n")
        (root / usage).write_text("5\n")
        assert list(memory._left(root, "/job", limit, usage)) == [400]


@pytest.mark.parametrize(
    "draw",
    [lambda: sample_episodes(LABELS, episodes=10**9, queries="all"),
     lambda: sample_imbalanced_episodes(LABELS, episodes=10**9, shots=1, queries_total=10),
     lambda: sample_all_way(LABELS, shots=2, episodes=10**12)],
)  # fmt: skip
def test_more_episodes_than_memory_are_not_drawn(monkeypatch, draw):
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 30)
    with pytest.raises(FewshotError, match=r"episodes\.count: \d+ episodes need .* at most"):
        draw()


def test_an_image_larger_than_memory(monkeypatch):
    monkeypatch.setattr("fewshot.backbones.transform.available_memory", lambda: 1 << 30)
    assert Transform(size=4096).size == 4096
    with pytest.raises(FewshotError, match=r"backbone\.size: 1 image of 5000 x 5000 .* 4096 at"):
        Transform(size=5000)


@pytest.mark.parametrize("command", ["predict", "run"])
def test_a_command_that_runs_out_of_memory(monkeypatch, capsys, command):
    def fail(_):
        raise MemoryError("Unable to allocate 3.73 GiB")

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert cli.main([command]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fewshot: error: memory: there is not enough (Unable to allocate 3.73")
    assert error.count("\n") == 1
    assert {"predict": "--size", "run": "episodes.count"}[command] in error


def test_a_cell_that_runs_out_of_memory_is_no_defect(monkeypatch, feature_file, capsys):
    from fewshot.heads.ncm import NCM

    def fit(self, support):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: "
                           "can't allocate memory: you tried to allocate 360 bytes.")  # fmt: skip

    monkeypatch.setattr(NCM, "fit", fit)
    arguments = ["dataset=features", "dataset.path=f.npz", "episodes.count=3", "episodes.shots=[1]",
                 "estimator=[constant]"]  # fmt: skip
    assert cli.main([*arguments, "head=[ncm]"]) == 2
    assert "error: memory: there is not enough (DefaultCPUAllocator" in capsys.readouterr().err
    assert cli.main([*arguments, "head=[ncm,lda]"]) == 2  # the other cell is computed
    text = capsys.readouterr()
    assert "Traceback" not in text.err
    assert "lda" in text.out


def test_memory_is_asked_for_without_proc(monkeypatch):
    monkeypatch.setattr(memory, "Path", lambda *_: SimpleNamespace(read_text=_missing))
    assert available_memory() is None


def _missing(**_):
    raise FileNotFoundError(errno.ENOENT, "no /proc")
