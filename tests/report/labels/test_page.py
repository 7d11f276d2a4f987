"""The page of labels: what is on it, and that it loads and runs nothing."""

from __future__ import annotations

import re

import pytest

from fewshot.report.labels.groups import FEWEST, MOST
from fewshot.report.labels.page import labels_page
from fewshot.report.static.page import style_sheet

from .conftest import label, labelled, pictures


@pytest.fixture(scope="module")
def texts_of():
    """Function that gives the texts of a part of a page, in order."""

    def texts(page, key):
        part = page.split(f'<h2 id="{key}">')[1].split("<h2 ")[0]
        return [" ".join(text.split()) for text in re.findall(r">([^<>]+)<", part) if text.strip()]

    return texts


def test_says_all_of_it_in_order(beach, texts_of):
    page = labels_page(beach, pictures(beach), created="2026-03-02 09:30")
    assert "Look at 2 of 32 images yourself" in page
    assert "Of the other 30 labels about 1.0 % should be wrong; 5 % are allowed." in page
    assert re.findall(r'<h2 id="(\w+)"', page) == [
        "counts", "look", "none", "others", "skipped", "model",
    ]  # fmt: skip
    look = texts_of(page, "look")
    assert look.index("doubt.jpg") < look.index("crab") < look.index("lobster")
    assert "In doubt between crab and lobster (90 % set)." in look
    assert "shoe.jpg" in texts_of(page, "none")
    assert "shoe.jpg" not in look
    assert "it is truncated" in " ".join(texts_of(page, "skipped"))
    assert {"lda on net", "13 % of all new images (90 % interval 6.0 % to 25 %), all classes alike",
            "2026-03-02 09:30"} <= set(texts_of(page, "model"))  # fmt: skip


def test_every_image_is_in_one_group_only(beach):
    page = labels_page(beach, pictures(beach), thumbnail_bytes=0)
    shown = page.split('<h2 id="look">')[1].split('<h2 id="skipped">')[0]
    for row in beach.rows:
        assert len(re.findall(rf"<bdi>{row.file.rpartition('/')[2]}</bdi>", shown)) == 1


def test_loads_nothing_and_runs_nothing(beach):
    page = labels_page(beach, pictures(beach))
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<iframe|\son\w+=|javascript:|\sstyle=", page)
    assert not re.search(r"(src|href)=\"(?!data:image/|#)", page)
    assert not re.search(r"url\(", style_sheet("labels"))


def test_names_are_escaped():
    rows = [label('<img src=x onerror="a()">.jpg', "<b>", 0.5, "\u202eabc")]
    rows += [label("b.jpg", "<b>", 0.99) for _ in range(3)]
    labels = labelled(rows, skipped=[{"path": "</style>", "reason": "<i>"}])
    page = labels_page(labels, pictures(labels))
    assert "<img src=x" not in page
    assert "<b><bdi><b>" not in page
    assert "\u202e" not in page
    assert page.count("</style>") == 1


def test_identical_for_identical_inputs(beach):
    assert labels_page(beach, pictures(beach)) == labels_page(beach, pictures(beach))


def test_thumbnails_have_a_budget_and_those_to_look_at_come_first(beach):
    whole = labels_page(beach, pictures(beach))
    assert whole.count("data:image/webp") == 32
    first = re.findall(r"data:image/webp[^\"]+", whole)[0]
    little = labels_page(beach, pictures(beach), thumbnail_bytes=len(first))
    assert re.findall(r"data:image/webp[^\"]+", little) == [first]
    assert "data:image" not in labels_page(beach, pictures(beach), thumbnail_bytes=0)
    gone = labels_page(beach, pictures(beach, broken={"beach/doubt.jpg"}))
    assert gone.count("data:image/webp") == 31


def test_without_images_files_are_named_alone(beach):
    page = labels_page(beach)
    assert "data:image" not in page
    assert "no picture" not in page
    assert "doubt.jpg" in page


def test_long_lists_are_cut_and_say_so():
    rows = [label(f"{n:04d}.jpg", "ant", 0.999) for n in range(700)]
    rows += [label(f"d{n:04d}.jpg", "ant", 0.3) for n in range(150)]
    labels = labelled(rows, skipped=[{"path": f"{n}.png", "reason": "bad"} for n in range(60)])
    page = labels_page(labels)
    assert f"and {700 - MOST} more." in page
    assert "and 30 more; <code>--output</code>" in page
    assert "<li>and 10 more</li>" in page
    assert len(page) < 150_000


def test_many_classes_are_few_images_each():
    rows = [label(f"{c}/{n}.jpg", f"class {c}", 0.999) for c in range(250) for n in range(9)]
    page = labels_page(labelled(rows))
    assert page.count('<ul class="tiles">') == 200
    assert page.count('<li title="') == 200 * FEWEST
    assert "and 50 more classes" in page
