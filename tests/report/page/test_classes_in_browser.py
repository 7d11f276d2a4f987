"""Accuracy per class, file names and the leaderboard on a phone, on pages of real results."""

import numpy as np
import pytest

import fewshot
from fewshot.features.bank import make_bank
from fewshot.report.payload.run_files import short_names


@pytest.fixture(scope="module")
def results():
    """Two heads on six classes, the last two of which look alike."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 20)
    means = 3 * generator.normal(size=(6, 8))
    means[5] = means[4] + 0.3
    features = (means[labels] + generator.normal(size=(120, 8))).astype(np.float32)
    names = ["ant", "bee", "cat", "dog", "elk", "<b>fox</b>"]
    paths = [f"a_very_long_folder_of_photographs/class_{c}/picture_of_a_long_name_{i:05d}.jpg"
             for i, c in enumerate(labels)]  # fmt: skip
    bank = make_bank(features, labels, classnames=names, paths=paths)
    return fewshot.evaluate(bank, head=["ncm", "lda"], ways=3, shots=2, episodes=40)


@pytest.fixture(scope="module")
def page_file(results, tmp_path_factory):
    """The page of a saved run, which knows the names of files."""
    folder = results.save(tmp_path_factory.mktemp("runs"))
    return fewshot.Results.load(folder).report(folder / "page.html")


def test_worst_classes_and_pairs_come_first(visit, page_file, results, drawn):
    page = drawn(visit(page_file))
    body = page.locator("section:has(> #classes)")
    tables = body.locator("table")
    assert tables.count() == 3
    names = tables.nth(0).locator("tbody th").all_inner_texts()
    assert set(names[:2]) == {"elk", "<b>fox</b>"}
    pair = tables.nth(1).locator("tbody tr").first.locator("th, td").all_inner_texts()
    assert {pair[0], pair[1]} == {"elk", "<b>fox</b>"}
    shown = results.confusion.assign(share=lambda rows: rows["queries"] / rows["opportunities"])
    best = page.locator("section:has(> #classes) .subject").inner_text().split()[-1]
    assert pair[2] == f"{100 * shown.loc[shown['head'] == best, 'share'].max():.1f}"
    assert tables.nth(2).locator("td.diagonal").count() == 6


def test_a_page_without_counts_has_no_such_section(visit, small, drawn):
    assert not drawn(visit(small)).locator("#classes").is_visible()


def test_names_of_files_keep_folder_and_end(visit, page_file, drawn):
    page = drawn(visit(page_file))
    name = page.locator(".episode bdi[title]").first
    full = name.get_attribute("title")
    assert name.text_content() == full  # what is copied
    seen = name.evaluate(
        "node => [...node.childNodes].filter(one => one.nodeType === 3)"
        ".map(one => one.textContent).join('…')"
    )
    folder, end = full.split("/")[1], full[-9:]
    assert seen.startswith(f"{folder}/")
    assert seen.endswith(end)
    assert len(seen) < len(full)


def test_a_phone_shows_accuracy_and_prediction_without_scrolling(visit, page_file, drawn):
    page = drawn(visit(page_file, viewport={"width": 390, "height": 800}))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for title in ("Accuracy", "Predicted"):
        box = page.locator(".leaderboard thead th", has_text=title).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_short_names_are_unique():
    assert short_names(["0_a=1,b=2", "1_a=1,b=3"]) == ["0_a=1,b=2", "1_a=1,b=3"]
    assert short_names(["a,x", "b,x"]) == ["a", "b"]
    assert short_names(["a,x", "x"]) == ["a,x", "x"]  # nothing would be left
    assert short_names(["one"]) == ["one"]
