"""Merge of the stores of several machines."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.files import ABANDONED
from fewshot.results import merging
from fewshot.results.folders import find_runs
from fewshot.results.merging import (
    COPIED,
    REFUSED,
    THERE,
    content_hash,
    merge,
)
from fewshot.results.store import read_runs


@pytest.fixture
def machines(workplace, run_of, made):
    run_of("one/sweep/0_head=ncm", made())
    run_of("one/sweep/1_head=lda", made(head="lda"))
    run_of("two/sweep/0_head=ncm", made(head="svm"))  # another run of the same name
    run_of("two/late", made(shots=2))
    return [workplace / "one", workplace / "two"]


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None
            for path in Path(folder).rglob("*")}  # fmt: skip


def done(sources, into="all", **options):
    return [(outcome.what, outcome.target) for outcome in merge(sources, Path(into), **options)]


def test_all_runs_of_all_machines(machines):
    expected = [(COPIED, Path("all") / name) for name in
                ("sweep/0_head=ncm", "sweep/1_head=lda", "late", "sweep/0_head=ncm-2")]  # fmt: skip
    assert done(machines, dry_run=True) == expected
    assert not Path("all").exists()
    before = [tree(machine) for machine in machines]
    assert done(machines) == expected
    assert [tree(machine) for machine in machines] == before
    assert tree("all/late") == tree("two/late")
    assert tree("all/sweep/0_head=ncm-2") == tree("two/sweep/0_head=ncm")
    _, episodes, _ = read_runs(find_runs(["all"]))
    _, separate, _ = read_runs(find_runs(machines))
    assert len(episodes) == len(separate) == 80
    assert set(episodes["head"]) == {"ncm", "lda", "svm"}


def test_a_second_time_there_is_nothing_to_do(machines):
    done(machines)
    before = tree("all")
    assert {what for what, _ in done(machines)} == {THERE}
    assert tree("all") == before


def test_the_same_run_under_another_name(machines, workplace):
    shutil.copytree("one/sweep/1_head=lda", "three/renamed")
    (workplace / "three/renamed/report.html").write_text("drawn anew")
    outcomes = done([*machines, workplace / "three"])
    assert outcomes[-1] == (THERE, Path("all/sweep/1_head=lda"))


def test_a_run_itself_may_be_the_source(machines):
    assert done(["two/late"]) == [(COPIED, Path("all/late"))]


def test_one_row_makes_another_run(machines):
    run = Path("one/sweep/1_head=lda")
    before = content_hash(run)
    path = run / "episodes.parquet"
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    assert content_hash(run) != before


def test_damaged_runs_are_refused_and_others_go_on(machines):
    path = Path("one/sweep/0_head=ncm/episodes.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    outcomes = list(merge(machines, Path("all")))
    assert [outcome.what for outcome in outcomes] == [REFUSED, COPIED, COPIED, COPIED]
    assert "episodes.parquet cannot be read" in outcomes[0].reason
    assert "all/sweep/0_head=ncm" in str(outcomes[3].target)
    assert len(find_runs(["all"])) == 3


def test_cells_of_interrupted_runs_come_along(machines, run_of, made, workplace):
    key = "a" * 64
    run_of(f"one/.cells/{key}", made(head="kept"))
    (workplace / "one/.cells/.bbb.1.ab.partial").mkdir()
    run_of(f"three/.cells/{key}", made(head="kept"))
    outcomes = done([*machines, workplace / "three"])
    assert (COPIED, Path(f"all/.cells/{key}")) in outcomes
    assert outcomes[-1] == (THERE, Path(f"all/.cells/{key}"))
    assert [path.name for path in Path("all/.cells").iterdir()] == [key]
    Path(f"all/.cells/{key}/episodes.parquet").unlink()  # damaged in the store: copied anew
    assert done([workplace / "three"]) == [(COPIED, Path(f"all/.cells/{key}"))]
    assert Path(f"all/.cells/{key}/episodes.parquet").is_file()


def test_a_full_disk(machines, monkeypatch):
    real, copied = shutil.copy2, []

    def copy(source, target):
        if len(copied) == 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        copied.append(target)
        return real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(merging.shutil, "copy2", copy)
        with pytest.raises(FewshotError, match=r"--into: cannot write to .* the disk is full"):
            done(machines)
    assert len(find_runs(["all"])) == 1  # the first, whole
    assert read_runs(find_runs(["all"]))[0]["unreadable"] == []
    assert not [path for path in Path("all").rglob("*") if path.name.endswith(".partial")]
    assert [what for what, _ in done(machines)] == [THERE, COPIED, COPIED, COPIED]


def test_a_source_that_may_not_be_read_is_refused(machines, monkeypatch):
    real = shutil.copy2

    def copy(source, target):
        if "1_head=lda" in str(source):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(source))
        return real(source, target)

    monkeypatch.setattr(merging.shutil, "copy2", copy)
    outcomes = list(merge(machines, Path("all")))
    assert [outcome.what for outcome in outcomes] == [COPIED, REFUSED, COPIED, COPIED]
    assert "Permission denied" in outcomes[1].reason


def test_links_do_not_lead_out(machines, workplace):
    (workplace / "secret").write_text("s")
    (workplace / "two/late/link").symlink_to(workplace / "secret")
    done(machines)
    assert not Path("all/late/link").exists()


def test_a_run_and_a_folder_of_runs_with_one_name(workplace, run_of, made):
    """Runs are not nested: readers do not look inside a run."""
    run_of("one/x", made())
    run_of("two/x/0", made(head="lda"))
    run_of("two/x/1", made(head="svm"))
    for sources, places in ((["one", "two"], ("x", "x-2/0", "x-2/1")),
                            (["two", "one"], ("x/0", "x/1", "x-2"))):  # fmt: skip
        into = "_".join(sources)
        expected = [(COPIED, Path(into) / place) for place in places]
        assert done(sources, into, dry_run=True) == expected
        assert done(sources, into) == expected
        assert len(find_runs([into])) == 3
        assert {what for what, _ in done(sources, into)} == {THERE}


def test_killed_in_the_middle(machines, workplace):
    """The same command continues: no name is used up, and partial copies are removed later."""
    killed = (
        "import os, shutil; from pathlib import Path; from fewshot.results import merging\n"
        "real, copied = shutil.copy2, []\n"
        "def copy(source, target):\n"
        "    if len(copied) == 6: os._exit(9)\n"
        "    copied.append(real(source, target))\n"
        "merging.shutil.copy2 = copy\n"
        "list(merging.merge(['one', 'two'], Path('all')))"
    )
    assert subprocess.run([sys.executable, "-c", killed], cwd=workplace, check=False).returncode
    (rest,) = Path("all/sweep").glob(".*.partial")
    assert len(find_runs(["all"])) == 1
    assert done(["one", "two"])[1] == (COPIED, Path("all/sweep/1_head=lda"))
    assert {path.name for path in Path("all").rglob("*head=*") if path != rest} == {
        "0_head=ncm", "0_head=ncm-2", "1_head=lda"}  # fmt: skip
    long_ago = time.time() - 2 * ABANDONED
    os.utime(rest, (long_ago, long_ago))
    done(["one", "two"])
    assert not rest.exists()


def test_a_rival_takes_the_name(machines, run_of, made, monkeypatch):
    real = merging._copy

    def copy(run, target):
        if target == Path("all/late"):
            run_of("all/late", made(head="rival"))
        real(run, target)

    monkeypatch.setattr(merging, "_copy", copy)
    assert done(["two/late"]) == [(COPIED, Path("all/late-2"))]
    assert len(find_runs(["all"])) == 2
    assert not list(Path("all").glob(".*"))


def test_what_cannot_be_compared_is_refused(machines, monkeypatch):
    done(["two/late"])

    def denied(run):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(run))

    monkeypatch.setattr(merging, "content_hash", denied)
    (outcome,) = merge(["two/late"], Path("all"))
    assert outcome.what == REFUSED
    assert "Permission denied" in outcome.reason


@pytest.mark.parametrize(
    ("sources", "into", "words"),
    [
        (["nowhere"], "all", "expected folders of runs, got 'nowhere'"),
        (["empty"], "all", "no run under 'empty'"),
        (["one"], "one", "lies in one"),
        (["one"], "one/below", "lies in one"),
        (["one"], "two/late", "two/late is a run itself"),
    ],
)
def test_mistakes(machines, workplace, sources, into, words):
    (workplace / "empty").mkdir()
    with pytest.raises(FewshotError) as caught:
        done(sources, into)
    assert words in str(caught.value)
