"""What a command prints: the answer first, then a table with the recommended estimator."""

import pytest

from fewshot.report.text.terminal import MOST_PRINTED, brief_answer, terminal_text

MANY = ("auto", "margin", "gaussian", "loo", "constant")


def printed(run, **options):
    cells = run.summary["cells"]
    return terminal_text(brief_answer(cells, run.rows), cells, **options)


def header(text):
    """Names of the estimators above the columns."""
    return next(
        words for line in text.splitlines() if set(words := line.split()) <= set(MANY) and words
    )


@pytest.fixture(scope="module")
def usual(make):
    """Two heads and two numbers of shots with the default estimators."""
    return make(estimators=MANY, intervals={"auto": 0.06}, episodes=100)


def test_the_answer_comes_first_in_few_lines(usual):
    text = printed(usual)
    answer, caution, table, *_ = text.split("\n\n")
    lines = answer.splitlines()
    assert lines[0] == "eurosat" and len(lines) <= 9
    assert lines[1].startswith("  5-way, 1 shot: resnet18 with ")
    assert sum(line.startswith("  auto, 5-way, ") for line in lines) == 2
    assert "intervals held" in answer and "saying the same of all by" in answer
    assert caution.startswith("± over episodes: ") and len(caution.splitlines()) <= 2
    assert "best of 2 combinations is flattered" in " ".join(caution.split())
    assert table.startswith("eurosat · resnet18 (pooled)")


def test_many_shots_have_two_sentences_each(make):
    run = make(shots=(1, 2, 5, 10), heads=("ncm",), estimators=("auto",), episodes=50)
    (part, _) = brief_answer(run.summary["cells"], run.rows)
    assert [line.split(":")[0] for line in part["lines"]] == [
        "5-way, 1 shot", "5-way, 10 shots", "auto, 5-way, 1 shot", "auto, 5-way, 10 shots",
    ]  # fmt: skip


def test_many_data_sets_are_left_to_the_table(make):
    run = make(pairs=tuple((f"d{i}", "net") for i in range(5)), heads=("ncm",), shots=(5,),
               estimators=("auto",), episodes=20)  # fmt: skip
    parts = brief_answer(run.summary["cells"], run.rows)
    assert [part["heading"] for part in parts] == ["d0", "d1", "d2", ""]
    assert parts[-1]["lines"][0] == "2 more data sets are in the table."


def test_the_table_has_the_recommended_estimator_and_says_how_to_see_the_others(usual):
    text = printed(usual, how="fewshot report latest --estimators all")
    table = text.split("\n\n", 2)[2]
    assert header(table) == ["auto"]
    assert text.splitlines()[-1] == "4 more estimators: fewshot report latest --estimators all"
    assert "leave-one-out needs" not in text  # a note on one that is not shown
    assert max(map(len, table.splitlines()[:9])) <= 80


def test_all_on_request(usual):
    text = printed(usual, estimators="all")
    assert header(text) == ["auto", "margin", "gaussian", "loo"]
    assert "more estimators" not in text and "leave-one-out needs" in text


def test_without_the_recommended_one_those_that_were_asked_for(make):
    run = make(estimators=("margin", "loo"), episodes=50)
    assert header(printed(run)) == ["margin", "loo"]
    assert "more estimator" not in printed(run)


def test_of_many_cells_the_page_has_the_table(usual):
    cells = usual.summary["cells"] * (MOST_PRINTED // 4 + 1)
    text = terminal_text([], cells)
    assert text == f"The table of {len(cells)} cells is on the page."


def test_no_line_is_wider_than_the_terminal(usual, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, printed(usual, estimators="all").splitlines())) <= 80
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, printed(usual).splitlines())) <= 60
