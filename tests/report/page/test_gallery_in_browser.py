"""The gallery of one class in a browser: slider, keyboard, hostile names, no request."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from fewshot.report.gallery import gallery, write_gallery
from fewshot.tasks.one_class.confusers.lists import ConfuserLists
from fewshot.tasks.one_class.decide import Decisions, Verdict
from fewshot.tasks.one_class.rules import RULES, Learned

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">.png"


def verdict(folder, names, scores, word="dog"):
    paths = []
    for n, name in enumerate(names):
        path = Path(folder) / name.replace("/", "_")
        Image.new("RGB", (300, 200), (40 * n % 255, 90, 120)).save(path, format="PNG")
        paths.append(str(path))
    values = torch.tensor(scores)
    parts = Decisions(values > 0, values, values, torch.zeros_like(values), values.sigmoid())
    lists = ConfuserLists((word,), ((),), ((),))
    return Verdict.of(
        parts, tuple(paths), word=word, backbone="painter", rule=RULES["two_groups"],
        learned=Learned(), lists=lists, skipped=[],
    )  # fmt: skip


@pytest.fixture
def page(browser, tmp_path):
    """Function that writes a gallery and opens it; requests beside the file itself are kept."""
    opened = []

    def show(*given, **more):
        target = tmp_path / "gallery.html"
        write_gallery(verdict(tmp_path, *given, **more), target)
        context = browser.new_context(offline=True)
        tab = context.new_page()
        tab.requests, tab.faults = [], []
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.on("console", lambda message: tab.faults.append(message.text))
        tab.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.goto(target.as_uri())
        opened.append(context)
        return tab

    yield show
    for context in opened:
        context.close()


def decisions(tab):
    return [text == "yes" for text in tab.locator("li b").all_inner_texts()]


def test_slider_and_counts(page):
    tab = page(["a.png", "b.png", "c.png", "d.png"], [-1.0, 3.0, 0.5, -2.0])
    assert decisions(tab) == [True, True, False, False]
    assert tab.locator("figcaption span").first.inner_text().endswith("b.png")
    assert tab.locator("#counts").inner_text() == "2 yes, 2 no"
    assert "above 0.00" in tab.locator("#level").inner_text()
    tab.keyboard.press("Tab")  # the slider is first
    tab.keyboard.press("ArrowRight")
    assert decisions(tab) == [True, True, True, False]
    assert tab.locator("#counts").inner_text() == "3 yes, 1 no"
    assert tab.locator("#threshold").get_attribute("aria-valuetext") == "3 yes, 1 no"
    tab.keyboard.press("End")
    assert decisions(tab) == [True] * 4
    tab.keyboard.press("Home")
    assert tab.locator("#counts").inner_text() == "0 yes, 4 no"
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert decisions(tab) == [True, True, False, False]
    assert tab.locator("img").evaluate_all("all => all.every((i) => i.naturalWidth > 0)")
    assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []
    assert tab.faults == []


def test_equal_scores_go_together(page):
    tab = page(["a.png", "b.png", "c.png"], [2.0, -1.0, -1.0])
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    assert decisions(tab) == [True, False, False]
    tab.keyboard.press("ArrowRight")
    assert decisions(tab) == [True] * 3


def test_hostile_names_are_text(page):
    tab = page([HOSTILE, "b.png"], [1.0, -1.0], word='<b>"dog"</b>')
    assert tab.title() == '<b>"dog"</b> in 2 images'
    assert tab.locator("h1 b").count() == 0
    assert tab.locator("img").count() == 2
    assert "onerror" in tab.locator("li").first.get_attribute("title")
    assert tab.faults == []


def test_a_page_without_images_left(page):
    tab = page(["a.png"], [-1.0])
    assert tab.locator("#counts").inner_text() == "0 yes, 1 no"


def test_thumbnails_have_a_budget_and_files_may_be_gone(tmp_path):
    found = verdict(tmp_path, ["a.png", "b.png", "c.png"], [3.0, 2.0, 1.0])
    assert gallery(found).count("data:image/webp") == 3
    assert gallery(found, budget=1).count("data:image/webp") == 1
    Path(found.paths[0]).unlink()
    assert gallery(found).count("data:image/webp") == 2
    assert gallery(found) == gallery(found)
    assert not re.search(r"https?://", gallery(found))
