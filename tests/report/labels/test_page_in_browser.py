"""The page of labels in a browser: width, colours, hostile names, keyboard."""

from __future__ import annotations

import pytest

from fewshot.report.labels.page import labels_page
from fewshot.report.static.page import write_page

from .conftest import label, labelled, pictures

HOSTILE = ("<img src=x onerror=\"document.title='owned'\">", "no_space_to_break_" * 12)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page of everything, with names that would break it."""
    rows = [label(f"a/{name}{n}.jpg", name, 0.99, HOSTILE[1]) for name in HOSTILE for n in range(9)]
    rows += [label("a/doubt.jpg", HOSTILE[1], 0.4, HOSTILE[0]),
             label("a/shoe.jpg", HOSTILE[0], 0.9, none=True)]  # fmt: skip
    labels = labelled(rows, skipped=[{"path": HOSTILE[1], "reason": "torn"}])
    target = tmp_path_factory.mktemp("labels") / "page.html"
    write_page(labels_page(labels, pictures(labels)), target)
    return target


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_telephone_and_shows_its_pictures(browser, written, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    scroll, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner
    sizes = page.eval_on_selector_all("img", "all => all.map((i) => i.naturalWidth)")
    assert len(sizes) == 20
    assert min(sizes) > 0
    assert page.title().startswith("Labels of 20 images")
    bar = page.locator("svg.share rect.f0").first.bounding_box()
    assert bar["width"] > 10  # styles and sizes were not refused
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.close()
