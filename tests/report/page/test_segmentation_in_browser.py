"""The page of segmentation: classes, predictions and pictures of the selected cell."""

from __future__ import annotations

import pytest

from fewshot.report import render_report

# Of the browser the tests of the whole page and of its safety are in the default suite.
pytestmark = pytest.mark.slow

HOSTILE = '"><img src=x onerror="window.hacked = 1">'


@pytest.fixture(scope="module")
def page_path(folder, segmentation):
    """A page of two heads at 1 and 5 shots, with a hostile class, file and reservation."""
    names = (HOSTILE, *segmentation.CLASSNAMES[1:])
    summary, rows = segmentation.make_run(classnames=names)
    rows["segmentation_examples"]["file"] = HOSTILE
    path = folder / "segmentation.html"
    path.write_text(render_report(summary, rows), encoding="utf-8")
    return path


@pytest.fixture(params=[1200, 390])
def page(request, visit, page_path, drawn):
    """The page on a desk and on a phone."""
    return drawn(visit(page_path, viewport={"width": request.param, "height": 800}))


def section(page, name):
    return page.locator(f"section[aria-labelledby={name}]")


def test_every_section_is_drawn_without_leaving_the_page(page):
    headings = page.locator("section.part:visible > h2").all_inner_texts()
    assert headings[:2] == ["Leaderboard", "mIoU against shots"]
    assert headings[-5:] == [
        "Paired comparisons", "Predicted against actual mIoU", "IoU per class",
        "Worst, median and best query", "How the number was made",
    ]  # fmt: skip
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("window.hacked") is None
    assert page.locator('img:not([src^="data:image/webp"])').count() == 0


def test_leaderboard_has_tokens_and_predictions(page, column, drawn):
    assert set(column(page, "Tokens")) == {"1,369"}
    assert set(column(page, "Input")) == {"0.69"}
    assert column(page, "Shots")[0] == "5"
    head = page.locator(".leaderboard thead").inner_text()
    assert "± draws" in head and "episodes" not in head
    # A coverage has no interval, whose population would be named.
    assert page.locator('.leaderboard th[data-key="measure:coverage"] small').inner_text() == "%"
    coverage = column(page, "Coverage")
    tools = section(page, "leaderboard").locator("select")
    assert tools.nth(0).locator("option").all_inner_texts() == ["draws", "images"]
    estimators = tools.nth(2).locator("option").all_inner_texts()
    assert estimators == ["loo_image", "resubstitution", "constant"]
    before = column(page, "MAE")
    tools.nth(2).select_option("resubstitution")
    drawn(page)
    assert column(page, "MAE") != before and column(page, "Coverage") != coverage


def test_classes_are_sorted_by_any_column(page):
    table = section(page, "parts").locator("table.parts")
    names = lambda: table.locator("tbody th").all_inner_texts()  # noqa: E731
    values = lambda n: [float(text.split()[0]) for text in  # noqa: E731
                        table.locator(f"tbody td:nth-child({n})").all_inner_texts()]  # fmt: skip
    assert len(names()) == 11 and HOSTILE in names()
    assert values(3) == sorted(values(3), reverse=True)
    table.locator("thead button", has_text="Pixels").click()
    assert values(5) == sorted(values(5), reverse=True) and values(3) != sorted(values(3))[::-1]
    table.locator("thead button", has_text="Class").click()
    assert names()[-1] == "tree"
    swatch = table.locator("tbody tr", has_text="road").locator(".swatch")
    color = swatch.evaluate("node => getComputedStyle(node).backgroundColor")
    assert color == "rgb(128, 128, 0)"  # of the fourth class in PASCAL VOC's colours


def test_predictions_are_read_with_the_keyboard(page):
    draws, classes = section(page, "clouds").locator("figure").all()
    legend = draws.locator(".legend li").all_inner_texts()
    assert [text.split()[0] for text in legend] == ["loo_image", "resubstitution", "constant"]
    draws.locator(".plot > svg").focus()
    page.keyboard.press("Home")
    text = draws.locator(".readout").inner_text()
    assert text.startswith("draw ") and "predicted" in text and "actual" in text
    classes.locator(".plot > svg").focus()
    page.keyboard.press("End")
    said = classes.locator(".readout").inner_text()
    assert ", draw " in said and "resubstitution: predicted 100.0 %" in said
    # Every point of the few has a marker: 3 estimators on 10 draws.
    assert draws.locator(".plot > svg path.marker").count() == 30


def test_pictures_have_words_and_colors(page):
    pictures = section(page, "pictures")
    images = pictures.locator("figure img")
    alts = [image.get_attribute("alt") for image in images.all()]
    assert [alt.split(". ")[1].split(":")[0] for alt in alts] == ["Worst", "Median", "Best"]
    assert all(alt.startswith("Image, truth and prediction side by side.") for alt in alts)
    assert pictures.locator(".legend li").count() == 11
    assert HOSTILE in pictures.locator("figcaption").first.inner_text()
    assert images.first.evaluate("image => image.naturalWidth") > 300
    assert "left out" not in pictures.inner_text()


def test_pictures_beyond_the_budget_are_said(visit, drawn, folder, segmented, monkeypatch):
    monkeypatch.setattr("fewshot.report.payload.payload.PICTURE_BYTES", 18_000)
    path = folder / "segmentation_budget.html"
    path.write_text(render_report(*segmented), encoding="utf-8")
    page = drawn(visit(path))
    pictures = section(page, "pictures")
    there = pictures.locator("figure").count()
    assert f"{3 - there} more picture" in pictures.inner_text() and there < 3
    path.write_text(render_report(*segmented, thumbnail_bytes=0), encoding="utf-8")
    page = drawn(visit(path))
    assert "Pictures are left out of this page." in section(page, "pictures").inner_text()


def test_other_tasks_have_none_of_these(visit, small, drawn):
    page = drawn(visit(small))
    for name in ("parts", "clouds", "pictures"):
        assert not section(page, name).is_visible()
