"""Runs by a name that can be typed: ``latest``, a part of a name, a folder before either."""

import os
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.results.folders import find_runs, named_folder, runs_and_kept

OLD, SWEEP, NEW = "01-05_cub_resnet", "01-06_sweep", "01-07_digits_vit"


@pytest.fixture
def runs(workplace):
    """Two runs and a sweep of two in ``runs/``, in the order of their times."""
    members = [f"{SWEEP}/0_head=ncm", f"{SWEEP}/1_head=lda"]
    for time, name in enumerate([OLD, *members, NEW]):
        folder = Path("runs", name)
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text("{}")
        os.utime(folder / "summary.json", (time, time))
    Path("runs/notes").mkdir()  # no run
    return Path("runs")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("latest", NEW),
        ("digits", NEW),
        ("01-05", OLD),
        (SWEEP, SWEEP),
        ("head=lda", f"{SWEEP}/1_head=lda"),
        ("runs/latest", NEW),
        (f"runs/{OLD}", OLD),
        ("runs/resnet", OLD),
    ],
)
def test_what_a_name_means(runs, name, meant):
    assert named_folder(name) == runs / meant


def test_the_newest_is_what_was_written_last_and_not_the_last_name(runs):
    os.utime(runs / SWEEP / "0_head=ncm" / "summary.json", (9, 9))
    assert named_folder("latest") == runs / SWEEP
    assert len(find_runs(["latest"])) == 2


def test_a_folder_comes_before_a_name(runs):
    Path("digits").mkdir()
    assert named_folder("digits") == Path("digits")


def test_a_page_written_later_makes_no_run_newer(runs):
    (runs / OLD / "report.html").write_text("")
    assert named_folder("latest") == runs / NEW


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("01-0", f"3 runs have '01-0' in their names: {NEW}, {SWEEP}, {OLD}. Give more"),
        ("head", f"2 runs have 'head' in their names: {SWEEP}/1_head=lda, {SWEEP}/0_head=ncm."),
        ("cars", "expected folders of runs, got 'cars', and no run in runs/ has that in its name. "
         f"The newest: {NEW}, {SWEEP}, {OLD}."),
        ("nowhere/latest", "expected folders of runs, got 'nowhere/latest'."),
        ("notes", "expected folders of runs, got 'notes', and no run"),
    ],
)  # fmt: skip
def test_names_that_mean_none_or_several(runs, name, words):
    with pytest.raises(FewshotError) as caught:
        named_folder(name, "report")
    assert str(caught.value).startswith(f"report: {words}")


def test_five_are_named(workplace):
    for day in range(1, 8):
        folder = Path("runs", f"day{day}")
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text("{}")
        os.utime(folder / "summary.json", (day, day))
    with pytest.raises(FewshotError, match="day7, day6, day5, day4, day3, and 2 older"):
        named_folder("day")


def test_no_run_at_all(workplace):
    with pytest.raises(FewshotError, match="expected folders of runs, got 'latest'"):
        named_folder("latest")
    Path("runs").mkdir()
    with pytest.raises(FewshotError, match="no run in runs/ has that in its name"):
        named_folder("latest")


def test_cells_of_interrupted_runs_are_no_runs(runs):
    kept = runs / ".cells" / "abc"
    kept.mkdir(parents=True)
    (kept / "summary.json").write_text("{}")
    assert named_folder("latest") == runs / NEW
    assert kept in runs_and_kept(runs)
