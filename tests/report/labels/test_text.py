"""What ``fewshot classify`` prints and writes: a summary, a table, the doubtful first."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

from fewshot.report.labels.csv import COLUMNS, write_labels
from fewshot.report.labels.summary import (
    chance_text,
    headline,
    model_text,
    others_text,
    summary,
)
from fewshot.report.labels.text import LISTED, labels_html, labels_text
from fewshot.report.text.csv_cells import from_csv

from .conftest import FACTS, label, labelled


def lines_of(labels, **options):
    return labels_text(labels, labels.doubtful, **options).splitlines()


def row_of(lines, file):
    (line,) = (line for line in lines if line.startswith(file))
    return line


def test_the_first_line_says_it_all(beach):
    assert summary(beach) == (
        "32 images: ant 21, crab 11. Look at 2 of them yourself (1 looks like none of the "
        "classes): of the other 30 about 1.0 % should be wrong. 1 image could not be read and has "
        "no label."
    )
    assert lines_of(beach, width=400)[0] == summary(beach)


def test_summary_of_none_and_all_to_look_at():
    sure = labelled([label("a.jpg", "ant", 0.99), label("b.jpg", "ant", 0.97)])
    assert summary(sure) == (
        "2 images: ant 2. There is none that you have to look at: about 2.0 % should be wrong."
    )
    assert headline(sure) == "2 images, none of which you have to look at"
    unsure = labelled([label("a.jpg", "ant", 0.5), label("b.jpg", "ant", 0.4)])
    assert summary(unsure) == (
        "2 images: ant 2. Look at all of them yourself: about 55 % of the labels should be wrong."
    )
    assert headline(unsure) == "Look at all 2 images yourself"


@pytest.mark.parametrize(
    ("row", "said", "title"),
    [
        (
            label("a.jpg", "ant", 0.99),
            "You need not look at it: the label is wrong with a probability of 1.0 %.",
            "You need not look at this image",
        ),
        (
            label("a.jpg", "ant", 0.64),
            "Look at it yourself: the label is wrong with a probability of 36 %.",
            "Look at this image yourself",
        ),
        (
            label("a.jpg", "ant", 0.64, none=True),
            "Look at it yourself: it looks like none of the classes.",
            "Look at this image yourself",
        ),
    ],
)
def test_a_single_image_has_no_shares(row, said, title):
    labels = labelled([row])
    assert summary(labels) == f"1 image: ant. {said}"
    assert headline(labels) == title


def test_strangers_are_not_counted_among_labels_that_may_be_right():
    strangers = [label(f"{n}.jpg", "ant", 0.3, none=True) for n in range(3)]
    assert summary(labelled(strangers)) == (
        "3 images: ant 3. Look at all of them yourself (all look like none of the classes)."
    )
    assert others_text(labelled(strangers)) == "None of the images looks like one of the classes."
    doubts = [label("a.jpg", "ant", 0.5), label("b.jpg", "ant", 0.4)]
    assert summary(labelled([*strangers, *doubts])).endswith(
        "Look at all of them yourself (3 look like none of the classes): about 55 % of the other 2 "
        "should be wrong."
    )


def test_where_all_doubts_are_about_strangers_it_says_so():
    rows = [label(f"{n}.jpg", "ant", 0.7, none=True) for n in range(2)]
    sure = [label(f"s{n}.jpg", "ant", 0.99) for n in range(9)]
    assert "Look at 2 of them yourself (all look like none of the classes)" in summary(
        labelled(rows + sure)
    )
    assert "Look at 1 of them yourself (it looks like none" in summary(labelled(rows[:1] + sure))
    assert "(2 look like" in summary(labelled([*rows, *sure, label("d.jpg", "ant", 0.4)]))


def test_many_labels_are_counted_and_digits_told_apart():
    many = labelled([label(f"{n}.jpg", f"kind {c:02d}", 0.9) for n in range(3) for c in range(11)])
    assert "kind 00: 3, kind 01: 3" in summary(many)
    assert "kind 07: 3 and 3 more labels." in summary(many)


def test_table_has_the_doubtful_first_and_says_what_is_left_out(beach):
    lines = lines_of(beach)
    at = next(n for n, line in enumerate(lines) if line.startswith("file"))
    assert lines[at].split() == ["file", "label", "probability", "runner-up"]
    shoe, doubt = lines[at + 2 : at + 4]
    assert shoe.split() == ["beach/shoe.jpg", "ant", "97", "%", "lobster", "3.0", "%", "none", "of",
                            "these?"]  # fmt: skip
    assert doubt.split() == ["beach/doubt.jpg", "crab", "61", "%", "lobster", "39", "%", "look"]
    assert sum(line.startswith("beach/") for line in lines) == LISTED
    assert "... and 12 more" in lines
    assert "... and 12 more; a file has them" in lines_of(beach, rest="a file has them")
    assert sum(line.startswith("beach/") for line in lines_of(beach, everything=True)) == 32


def test_sets_of_classes_are_shown_when_asked_for(beach):
    lines = lines_of(beach, sets=True)
    assert "crab, lobster  look" in row_of(lines, "beach/doubt.jpg")
    assert any("90 % set" in line for line in lines)
    assert not any("90 % set" in line for line in lines_of(beach))


def test_probabilities_are_never_rounded_to_certainty():
    assert [chance_text(p) for p in (1.0, 0.9949, 0.0312, 0.0)] == [
        "> 99 %", "99 %", "3.1 %", "< 0.1 %",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80])
def test_lines_fit_the_terminal(beach, width):
    for line in lines_of(beach, width=width, sets=True):
        assert len(line) <= width, line


def test_long_paths_keep_the_name_of_the_file():
    labels = labelled([label(f"{'folder/' * 30}name.jpg", "ant", 0.6)])
    assert any(line.startswith("…") and "/name.jpg  ant" in line for line in lines_of(labels))


def test_names_cannot_move_the_cursor_or_write_html():
    labels = labelled([label("a\x1b[2J.jpg", "<script>", 0.6, "x\ny")])
    text = labels_text(labels, labels.rows)
    assert "\x1b" not in text
    assert "x\ny" not in text
    html = labels_html(labels)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_what_the_labels_rest_on():
    assert model_text(FACTS) == (
        "Labels by lda on net. Its predicted error is 13 % of all new images (90 % interval 6.0 % "
        "to 25 %), all classes alike."
    )
    assert model_text(replace(FACTS, note="one image of a class")).endswith(
        "Note: one image of a class."
    )
    assert model_text(replace(FACTS, error=None, backbone=None)) == "Labels by lda."


def test_csv_has_all_columns_and_runs_no_formula(tmp_path):
    target = tmp_path / "deep" / "labels.csv"
    row = label("=cmd|x.jpg", "+1", 0.25, classes=("+1", 'a "b"'))
    write_labels("--output", target, labelled([row]).rows)
    (cells,) = csv.DictReader(target.open(encoding="utf-8"))
    assert tuple(cells) == COLUMNS
    assert cells["file"].startswith("'=")
    assert from_csv(cells["file"]) == row.file
    assert from_csv(cells["label"]) == "+1"
    assert float(cells["probability"]) == 0.25
    assert (cells["look"], cells["none_of_these"]) == ("true", "false")
    assert json.loads(cells["classes"]) == ["+1", 'a "b"']
