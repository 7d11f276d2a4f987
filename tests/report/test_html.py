"""The page: complete, self-contained, harmless, the same every time."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from fewshot.report import render_report, write_report
from fewshot.report.context import (
    comparison_table,
    facts,
    headline_cell,
    table_rows,
    worst_episodes,
)
from fewshot.report.html import render_page

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$x_1$",
    "\\frac",
    "_a % {{ 7 * 7 }}",
    "</title></svg>&amp;",
    "\x00\udcff\u202e",
)


class Page(HTMLParser):
    """Tags with attributes, visible text, and whether all that was opened was closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "svg"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def of(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def page(run):
    return Page(render_report(*run))


def test_is_well_formed_and_accessible(page):
    assert not page.open
    assert page.of("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.of("meta"))
    assert [svg["role"] for svg in page.of("svg")] == ["img"] * 4
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids
    regions = [div for div in page.of("div") if div.get("class") in ("plot", "scroll")]
    # Four plots, four tables of comparisons, and numbers, worst episodes, settings.
    assert len(regions) == 11
    assert all(div["tabindex"] == "0" and div["aria-label"] for div in regions)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and max(np.diff(levels)) <= 1


def assert_no_requests(page):
    assert not page.of("script", "link", "iframe", "object", "embed", "base", "form", "img")
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        for value in filter(None, attributes.values()):
            assert re.findall(r"url\((?!#)", value) == []


def test_makes_no_request(run, page):
    assert_no_requests(page)
    text = render_report(*run)
    assert "http:" not in text and "https:" not in text and "@import" not in text
    policy = [meta["content"] for meta in page.of("meta") if "http-equiv" in meta]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_headline_and_numbers(run, page):
    cell = run.summary["cells"][1]
    row = cell["estimators"]["margin"]
    assert (
        f"margin, the nearest of 4 estimators, predicted {100 * row['predicted_error']:.1f} % "
        f"error where {100 * cell['actual_error']['mean']:.1f} % was measured, off by "
        f"{100 * row['mae']:.1f} points per episode on average."
    ) in page.text
    assert f"{100 * cell['accuracy']['mean']:.1f} % right" in page.text
    assert f"{row['spearman']:.2f}" in page.text and f"{row['skill']:+.2f}" in page.text
    assert f"{100 * row['bias']:+.1f}".replace("-", "\N{MINUS SIGN}") in page.text


def test_missing_numbers_are_explained(page):
    assert (
        "\N{EN DASH} undefined no prediction: leave-one-out needs two shots of every class"
        in page.text
    )
    assert "loo 5-way 1-shot with ncm and lda: leave-one-out needs two shots" in page.text
    assert not re.search(r"\b(nan|None|inf|NaN|NaT)\b", page.text)


def test_how_it_was_made(page):
    for words in ("9f86d081884c", "60303ae22b99", "truncated image", "Residential", "2.5.1"):
        assert words in page.text
    assert "other draws from these images of these classes" in page.text


def test_is_the_same_every_time(run):
    assert render_report(*run) == render_report(*run)


def test_hostile_names_do_nothing(make):
    run = make(
        pairs=((HOSTILE[0], HOSTILE[1]),),
        heads=HOSTILE[:5],
        shots=(5,),
        estimators=HOSTILE[:6],
        classes=HOSTILE,
        ways=7,
        episodes=12,
        undefined={HOSTILE[0]: (HOSTILE[1], 0.5)},
    )
    run.summary["data"]["dropped_classes"] = list(HOSTILE)
    run.summary["environment"][HOSTILE[0]] = HOSTILE[1]
    run.summary["cells"][0]["head_parameters"] = {HOSTILE[0]: HOSTILE[1]}
    text = render_report(*run)
    page = Page(text)
    assert_no_requests(page)
    assert not page.open
    for name in HOSTILE[:6]:
        assert name in page.text and html.escape(name, quote=False) in text.replace("&#34;", '"')
    assert "49" not in re.findall(r"_a % (\S+)", page.text)
    assert not set(text) & set("\x00\udcff\u202e")
    text.encode("utf-8")


@pytest.mark.parametrize(
    "options",
    [
        {"heads": ("ncm",), "shots": (5,), "estimators": ("margin",)},
        {"heads": ("ncm",), "shots": (5,), "episodes": 1},
        {"heads": ("ncm",), "shots": (1,), "estimators": ("loo",)},
        {"heads": ("ncm",), "shots": (1,), "estimators": ()},
        {"pairs": (("a", "b"), ("c", "d"), ("a", "d")), "shots": (1,)},
    ],
    ids=["single", "one episode", "all undefined", "no estimator", "pairs"],
)
def test_other_sizes(make, options):
    page = Page(render_report(*make(**{"episodes": 20, **options})))
    assert not page.open and not re.search(r"\b(nan|None)\b", page.text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_all_undefined_says_so(make):
    run = make(heads=("ncm",), shots=(1,), estimators=("loo",), episodes=20)
    page = Page(render_report(*run))
    assert "No estimator could predict it" in page.text
    assert "predicted worst" not in page.text
    assert len(page.of("svg")) == 1


def test_little_in_the_summary_is_enough(make):
    run = make(heads=("ncm",), shots=(5,), episodes=20)
    summary = {"cells": run.summary["cells"]}
    for name in ("head_parameters", "base", "hashes", "duration_s", "episodes_per_second"):
        del summary["cells"][0][name]
    page = Page(render_report(summary, run.episodes, run.predictions))
    assert "How every number was made" in page.text and "Versions" not in page.text


def test_joined_runs_are_named(run):
    summary = run.summary | {"runs": ["monday", "<tuesday>"]}
    text = Page(render_report(summary, run.episodes, run.predictions)).text
    assert "Joined from 2 runs: monday, <tuesday>. What follows is about the newest" in text
    assert "the run took" not in text


def test_worst_episodes_are_the_worst(run):
    cell = headline_cell(run.summary["cells"])
    assert (cell["head"], cell["shots"]) == ("ncm", 5)
    rows = run.predictions.query("head == 'ncm' and shots == 5 and estimator == 'margin'")
    gap = (rows["predicted_error"] - rows["actual_error"]).abs()
    worst = worst_episodes(cell, run.episodes, run.predictions)
    assert [row["episode"] for row in worst] == list(
        rows.loc[gap.sort_values(ascending=False).index[:5], "episode"]
    )
    drawn = run.episodes.query("head == 'ncm' and shots == 5").set_index("episode")["classes"]
    assert all(row["classes"] == drawn[row["episode"]] for row in worst)


def test_rows_may_come_from_parquet(run, tmp_path):
    import pandas as pd

    run.episodes.to_parquet(tmp_path / "e.parquet")
    run.predictions.to_parquet(tmp_path / "p.parquet")
    episodes = pd.read_parquet(tmp_path / "e.parquet")
    predictions = pd.read_parquet(tmp_path / "p.parquet")
    assert render_report(run.summary, episodes, predictions) == render_report(*run)


def test_page_without_plots_needs_no_rows_of_other_cells(run):
    page = Page(render_page(run.summary, run.episodes, run.predictions, {}))
    assert not page.of("svg") and "All numbers" in page.text


def test_facts_flatten_and_shorten():
    values = {"a_b": {"c": 1.23456, "d": {}}, "files": [{"f": str(i)} for i in range(20)]}
    names = dict(facts(values))
    assert names["a b: c"] == "1.235" and names["a b: d"] == "none"
    assert names["files"].startswith("20: f = 0; f = 1") and names["files"].endswith("8 more")


def test_files(run, tmp_path):
    path = write_report(tmp_path, *run)
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8") == render_report(*run)
    kinds = ("predicted_vs_actual", "error_vs_shots", "mae_vs_shots", "calibration_curve")
    assert {file.name for file in tmp_path.iterdir()} == {
        "report.html",
        *(f"{kind}.{suffix}" for kind in kinds for suffix in ("svg", "png")),
    }
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    write_report(tmp_path, *run)
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_files_of_several_pairs(make, tmp_path):
    run = make(pairs=(("a", "b"), ("../c", "d")), heads=("ncm",), shots=(5,), episodes=10)
    write_report(tmp_path, *run)
    names = {file.name for file in tmp_path.iterdir()}
    assert "predicted_vs_actual_a-b-pooled.svg" in names
    assert "error_vs_shots_c-d-pooled.png" in names
    assert len(names) == 1 + 2 * 2 * 4


def test_old_runs_still_have_a_report(run, old):
    page = Page(render_report(*old(run)))
    assert not page.open and len(page.of("svg")) == 4
    assert not page.of("strong") and "Coverage" not in page.text
    assert "How to read the prediction intervals" not in page.text
    assert not re.search(r"\b(nan|None)\b", page.text)


def test_auto_speaks_for_the_cell(judged):
    page = Page(render_report(*judged))
    cell = judged.summary["cells"][1]
    auto, margin = (cell["estimators"][name] for name in ("auto", "margin"))
    assert margin["mae"] < auto["mae"]
    assert (
        f"auto predicted {100 * auto['predicted_error']:.1f} % error where "
        f"{100 * cell['actual_error']['mean']:.1f} % was measured, off by {100 * auto['mae']:.1f} "
        f"points per episode on average; the nearest of 5 was margin, off by "
        f"{100 * margin['mae']:.1f}. Its 90 % intervals held the error of "
        f"{100 * auto['coverage']:.0f} % of the episodes."
    ) in page.text
    assert "where auto was furthest" in page.text


def test_intervals_are_judged_and_explained(judged):
    text = Page(render_report(*judged)).text
    auto = judged.summary["cells"][1]["estimators"]["auto"]
    assert f"{100 * auto['coverage']:.1f} of 90 {100 * auto['width']:.1f}" in text
    assert "in 90 % of the episodes. Measured here means on all queries" in text
    assert f"{100 * auto['rmse']:.1f}" in text and f"{auto['slope']:.2f}" in text
    assert f"{100 * auto['relative_error']:.1f}" in text


def test_oracles_are_marked_and_never_win(judged):
    page = Page(render_report(*judged))
    for cell in judged.summary["cells"]:
        rows = {row["name"]: row for row in table_rows(cell)}
        assert rows["oracle"]["oracle"] and not rows["oracle"]["best"]
        assert min(cell["estimators"], key=lambda n: cell["estimators"][n]["mae"] or 1) == "oracle"
        assert next(iter(rows)) == "auto" and list(rows)[-2:] == ["oracle", "oracle_sigma"]
    assert page.text.count("oracle †sees the queries") == 4
    assert "are upper bounds rather than estimates, and are not ranked" in page.text


def test_fall_backs_are_told(judged):
    text = Page(render_report(*judged)).text
    assert "With a reservation" in text and "50 of 200 by another" in text
    assert (
        "gaussian 50 of 200 episodes of 5-way 1-shot with ncm and lda; 50 of 200 episodes of "
        "5-way 5-shot with ncm and lda: margin answered"
    ) in text


def test_comparisons_are_antisymmetric_and_bold_where_clear(judged):
    cell = judged.summary["cells"][1]
    table = comparison_table(cell)
    assert table["names"][0] == "auto" and table["names"][-1] == "oracle_sigma †"
    entries = {
        (row, column): entry
        for row, values in table["rows"]
        for column, entry in zip(table["names"], values, strict=True)
    }
    given = {(row["first"], row["second"]): row["difference"] for row in cell["comparisons"]}
    gap = given["gaussian", "margin"]
    half = (gap["upper"] - gap["lower"]) / 2
    assert entries["gaussian", "margin"]["text"] == f"{100 * gap['mean']:+.1f} ± {100 * half:.1f}"
    assert entries["gaussian", "margin"]["clear"] and entries["auto", "auto"] is None
    other = entries["margin", "gaussian"]["text"]
    assert other == f"\N{MINUS SIGN}{100 * gap['mean']:.1f} ± {100 * half:.1f}"
    for (first, second), gap in given.items():
        if "oracle" not in first + second:
            assert entries[first, second]["clear"] == (gap["lower"] > 0 or gap["upper"] < 0)
    assert comparison_table({**cell, "comparisons": []}) is None
    page = Page(render_report(*judged))
    assert "Row minus column" in page.text and page.of("strong")


def test_pairs_that_met_in_fewer_episodes_say_so(make):
    run = make(heads=("ncm",), shots=(5,), undefined={"margin": ("too few", 0.25)})
    assert "450 episodes" in Page(render_report(*run)).text


def test_more_than_a_dozen_estimators(make):
    names = tuple(f"e{i}<b>" for i in range(13))
    run = make(estimators=names, shots=(5,), episodes=20, intervals=dict.fromkeys(names, 0.1))
    page = Page(render_report(*run))
    assert not page.open and not page.of("b")
    assert "the nearest of 13 estimators" in page.text


def test_hostile_reasons_are_text(make):
    run = make(
        heads=("ncm",),
        shots=(5,),
        episodes=20,
        estimators=(HOSTILE[0], "margin"),
        fallbacks={HOSTILE[0]: (HOSTILE[1], 0.5)},
        intervals={HOSTILE[0]: 0.1},
    )
    page = Page(render_report(*run))
    assert_no_requests(page)
    assert not page.open and HOSTILE[1] in page.text
