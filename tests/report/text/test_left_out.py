"""Texts on cells that a run left out; tables and curves that start at 0 shots."""

import pytest

from fewshot.report import render_report, summary_table
from fewshot.report.figures import error_vs_shots
from fewshot.report.text.left_out import failure_text, left_out_text, reused_text

ONE, TWO = "needs 1 shot of every class", "needs 2 shots of every class"


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([], ""),
        ([("ncm", 0, ONE)], f"ncm with 0 shots ({ONE})"),
        (
            [("ncm", 0, ONE), ("lda", 0, ONE), ("qda", 1, TWO)],
            f"ncm, lda with 0 shots ({ONE}); qda with 1 shot ({TWO})",
        ),
        ([("a\nb", 0, ONE)], f"a\N{REPLACEMENT CHARACTER}b with 0 shots ({ONE})"),
    ],
)
def test_words(entries, text):
    keys = ("head", "shots", "reason")
    assert left_out_text(dict(zip(keys, entry, strict=True)) for entry in entries) == text


@pytest.fixture
def curve(make):
    return make(heads=("zero_shot",), shots=(0, 1, 5), episodes=20, estimators=("constant",))


def test_the_page_says_it(curve, data_of):
    assert data_of(render_report(*curve))["left_out"] == []
    left_out = [{"head": "<b>", "shots": 0, "reason": ONE}]
    page = render_report(curve.summary | {"left_out": left_out}, curve.rows)
    assert data_of(page)["left_out"] == [f"<b> with 0 shots ({ONE})"]
    assert "<b>" not in page


def test_the_axis_begins_at_no_shot(curve):
    (panel,) = error_vs_shots(curve.episodes, curve.predictions).axes
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["0", "1", "5"]
    line = " ".join(summary_table(curve.summary["cells"]).splitlines()[6].split()[:3])
    assert line == "zero_shot 5 0"


def test_failures_are_one_harmless_line():
    entry = {"head": "l\x1bda", "ways": 5, "shots": 1, "error": "a: b\nc"}
    assert failure_text(entry) == "l\ufffdda with 1 shot: a: b\ufffdc"


def test_what_was_taken_from_earlier_runs_is_counted():
    assert reused_text([{}, {"reused_from": None}]) == ""
    cells = [{"reused_from": "a"}, {"reused_from": None}, {"reused_from": ".cells"}]
    assert reused_text(cells) == "\n\n2 cells taken from earlier runs, 1 computed"
