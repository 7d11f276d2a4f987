"""Lines about long work, where no bar can be drawn. The clock is the test's."""

import re
from types import SimpleNamespace

import pytest

from fewshot import progress
from fewshot.progress import INTERVAL, Reporter, Work


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def desk():
    """A reporter with a clock, the lines it has written, and a function that lets time pass."""
    clock, lines = Clock(), []
    reporter = Reporter(clock, lines.append)

    def wait(seconds):
        for _ in range(round(seconds)):
            clock.now += 1
            reporter.tick()

    return SimpleNamespace(reporter=reporter, clock=clock, lines=lines, wait=wait)


def begun(desk, *arguments, **options):
    work = Work(*arguments, **options)
    desk.reporter.begin(work)
    return work


def test_no_silence_of_thirty_seconds(desk):
    begun(desk, "loading a network")
    desk.wait(300)
    assert len(desk.lines) >= 300 / 30
    assert desk.lines[0] == f"fewshot: loading a network: {INTERVAL:.0f} s so far"


def test_nor_over_several_short_works(desk):
    begun(desk, "fewshot run").whole = True
    for _ in range(10):
        work = begun(desk, "cells", 4)
        desk.wait(12)
        desk.reporter.end(work)
    assert len(desk.lines) >= 120 / 30


def test_how_many_of_how_many_and_the_rest(desk):
    work = begun(desk, "episodes", 6000, "episodes")
    desk.wait(10)
    assert desk.lines == []
    work.update(1500)
    desk.wait(10)
    assert desk.lines == ["fewshot: episodes: 1,500 of 6,000 episodes, about 1 min left"]
    work.update(1500)
    desk.wait(20)
    assert desk.lines[1] == "fewshot: episodes: 3,000 of 6,000 episodes, about 40 s left"


def test_long_work_is_announced_from_its_first_part(desk):
    work = begun(desk, "features", 1000, "images")
    work.start_from(500)  # of an earlier process
    desk.wait(6)
    work.update(10)
    desk.wait(1)
    assert desk.lines == ["fewshot: features: 510 of 1,000 images, about 5 min 43 s left"]
    desk.wait(INTERVAL - 1)
    assert len(desk.lines) == 1


def test_the_first_line_on_long_work_says_what_is_to_be_done(desk):
    desk.reporter.plan = "4 cells of 600 episodes"
    first = begun(desk, "labels", 10, "files")
    first.update(9)
    desk.wait(10)
    assert desk.lines == []  # short work
    desk.reporter.end(first)
    desk.reporter.plan = "4 cells of 600 episodes"
    second = begun(desk, "features", 1000, "images")
    second.update(10)
    desk.wait(30)
    assert desk.lines[0] == (
        "fewshot: 4 cells of 600 episodes; features: 10 of 1,000 images, about 8 min 15 s left"
    )
    assert not any("cells" in line for line in desk.lines[1:])


def test_what_was_to_be_done_ends_with_the_work(desk):
    desk.reporter.plan = "4 cells"
    desk.reporter.end(begun(desk, "run"))
    begun(desk, "predict", 100, "images").update(1)
    desk.wait(20)
    assert "4 cells" not in "".join(desk.lines)


def test_a_terminal_with_a_bar_gets_one_line_on_long_work(desk):
    desk.reporter.quiet = lambda: True
    begun(desk, "loading a network")
    begun(desk, "features", 1000, "images").update(10)
    desk.wait(300)
    (line,) = desk.lines
    assert "features: 10 of 1,000 images, about" in line


def test_the_rest_is_known_of_work_that_is_counted_elsewhere(desk):
    ended = []
    begun(desk, "sweep", 4, "jobs ended", count=lambda: len(ended))
    desk.wait(30)
    ended.append("job")
    desk.wait(INTERVAL)
    assert desk.lines[-1] == "fewshot: sweep: 1 of 4 jobs ended, about 1 min 33 s left"


def test_the_whole_command_is_told_of_when_nothing_else_is(desk):
    whole = begun(desk, "extract")
    whole.whole = True
    desk.wait(20)
    parts = [begun(desk, name) for name in ("outer", "middle", "inner")]
    desk.wait(20)
    desk.reporter.end(parts[2])
    begun(desk, "jobs", 0, "jobs ended", count=lambda: 3)
    desk.wait(20)
    first, second, third = desk.lines
    assert first == "fewshot: extract: 20 s so far"
    assert second == "fewshot: middle: 20 s so far; inner: 20 s so far"
    assert third == "fewshot: middle: 40 s so far; jobs: 3 jobs ended, 20 s so far"


def test_lines_go_where_errors_go(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_ticking", progress._Ticking())
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    monkeypatch.setattr(progress, "POLL", 0.005)
    with progress.bar(3, "images", "image") as work:
        progress.start_from(work, 1)
        for item in progress.counted_work("ab", "letters"):
            assert item in "ab"
        work.update()
        while not (err := capsys.readouterr().err):
            pass
    assert re.match(r"fewshot: images: [12] of 3 images, .*", err)


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    with progress.bar(3, "images", "image") as work:
        progress.start_from(work, 1)
        work.update(2)
    assert "3/3" in capsys.readouterr().err
    with progress.stage("loading") as work:
        work.update()
    assert capsys.readouterr().err == ""
