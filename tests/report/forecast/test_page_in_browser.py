"""The page of a forecast in a browser: width, keyboard, contrast, colours, hostile names."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from fewshot.report.forecast.page import forecast_page
from fewshot.report.static.page import write_page

HOSTILE = [
    "<img src=x onerror=\"document.title='owned'\">",
    "no_space_to_break_" * 12,
    "</style><script>document.title='owned'</script>",
    "\u202egnp.exe",
    "שלום עולם",
]
# Pairs of text and background with the least contrast (WCAG 2.2, 1.4.3) of all texts that show.
CONTRAST = """() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = {};
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("desc, title, style")) continue;
    const style = getComputedStyle(element);
    const ink = rgba(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(behind(element))].sort((x, y) => y - x);
    const name = `${element.tagName} ${element.getAttribute("class") ?? ""}`;
    seen[name] = Math.min(seen[name] ?? 99, (a + 0.05) / (b + 0.05));
  }
  return seen;
}"""
UNNAMED = """() => [...document.querySelectorAll("img, [role=img], [role=region], nav, table, pre")]
  .filter((element) => {
    const ids = (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
    const words = ids.map((id) => document.getElementById(id)?.textContent ?? "").join("");
    return !(element.alt || element.ariaLabel || words
      || element.querySelector("caption")?.textContent.trim() || element.closest("th")?.innerText);
  }).map((element) => element.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def whole(ten, tmp_path_factory):
    """A page of ten classes with everything."""
    return written(ten, tmp_path_factory.mktemp("page") / "page.html")


def written(task, target, **changes):
    decision, arguments = task
    write_page(forecast_page(decision, **arguments | changes), target)
    return target


def widths(page):
    return page.evaluate("[document.documentElement.scrollWidth, innerWidth]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_fits_and_can_be_read(visit, whole, width, scheme):
    page = visit(whole, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    wide, window = widths(page)
    assert wide <= window
    contrasts = page.evaluate(CONTRAST)
    assert len(contrasts) > 20
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("width", [390, 1200])
def test_numbers_of_the_scale_do_not_overlap(visit, task, tmp_path, width):
    """Also for an axis that ends at 50 %, whose last number is the widest."""
    decision, arguments = task(["a", "b", "c"])
    wide = replace(decision, rows=[replace(row, upper=0.48) for row in decision.rows])
    path = written((wide, arguments), tmp_path / "wide.html")
    page = visit(path, viewport={"width": width, "height": 800})
    boxes = page.evaluate(
        "[...document.querySelectorAll('.dots .tick')].filter((text) => text.checkVisibility())"
        ".map((text) => text.getBoundingClientRect()).map((box) => [box.left, box.right])"
    )
    assert len(boxes) >= 2
    assert all(before[1] < after[0] for before, after in pairwise(boxes))


def test_light_and_dark_differ(visit, whole):
    grounds = [
        visit(whole, color_scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    ]
    assert grounds[0] != grounds[1]


def test_styles_apply_and_thumbnails_show(visit, whole):
    page = visit(whole)
    assert page.locator("h1").count() == 1
    assert page.locator(".images").first.evaluate("e => getComputedStyle(e).display") == "grid"
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
    shown = page.locator("img").evaluate_all("all => all.map((i) => i.naturalWidth)")
    assert len(shown) == 27
    assert min(shown) > 0


def test_headings_are_in_order_and_everything_has_a_name(visit, whole):
    page = visit(whole)
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map((e) => +e.tagName[1])")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.evaluate(UNNAMED) == []
    assert page.locator("html").get_attribute("lang") == "en"
    ids = page.locator("[id]").evaluate_all("all => all.map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    words = page.locator("svg[role=img] desc").all_text_contents()
    assert "14 %, 90 % interval 7.0 % to 28 %" in words[0]
    assert "+10: 10 %, 5.0 % to 20 %" in words[1]


def test_keyboard(visit, whole):
    page = visit(whole, viewport={"width": 390, "height": 800})
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the results"
    assert skip.bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#results")
    page.goto(whole.as_uri())
    kinds, outlines = [], []
    for _ in range(40):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if not focus.count():
            break
        kinds.append(focus.evaluate("e => e.getAttribute('role') ?? e.localName"))
        outlines.append(focus.evaluate("e => getComputedStyle(e).outlineStyle"))
    sections = page.locator("nav a").count()
    assert kinds[: 1 + sections] == ["a"] * (1 + sections)
    assert set(kinds) == {"a", "region", "summary"}
    assert set(outlines) == {"solid"}
    assert kinds.count("region") == 6  # those within closed details are passed over


def test_tables_scroll_by_themselves_with_the_keyboard(visit, whole):
    page = visit(whole, viewport={"width": 390, "height": 800})
    matrix = page.get_by_role("region", name="Confusion matrix")
    matrix.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")
    head = matrix.locator("tbody th").first.bounding_box()
    assert head["x"] >= matrix.bounding_box()["x"]  # the names of the rows stay


def test_sections_are_reached_from_the_contents(visit, whole):
    page = visit(whole)
    for link in page.locator("nav a").all():
        target = link.get_attribute("href")
        link.click()
        assert page.locator(target).is_visible()
        assert page.locator(target).inner_text() == link.inner_text()


def test_names_of_files_to_copy(visit, whole, ten):
    page = visit(whole)
    page.locator("summary", has_text="to copy").click()
    names = page.locator("pre").inner_text().split("\n")
    assert [name for name in names if name] == [entry.file for entry in ten[0].next_labels]


@pytest.mark.parametrize("width", [390, 1200])
def test_hostile_names_are_text(visit, task, tmp_path, width):
    decision, arguments = task(
        HOSTILE, shots=2, files=[f"{n}/{i}.jpg" for n in HOSTILE for i in range(2)]
    )
    rows = [replace(row, head=name, backbone=name, warnings=(name,))
            for row, name in zip(decision.rows, HOSTILE[1::-1], strict=True)]  # fmt: skip
    suspects = [replace(entry, reason=HOSTILE[1]) for entry in decision.suspects]
    known = replace(decision, rows=rows, suspects=suspects, notes=HOSTILE, unreadable=HOSTILE)
    path = written((known, arguments), tmp_path / "hostile.html", name=HOSTILE[0])
    page = visit(path, viewport={"width": width, "height": 800})
    page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    assert page.title() == f"Forecast of {HOSTILE[0]}"
    assert page.locator("script, [onerror]").count() == 0
    rows = page.locator(".matrix tbody th").all_inner_texts()
    assert rows == [name.replace("\u202e", "\ufffd") for name in HOSTILE]
    wide, window = widths(page)
    assert wide <= window


def test_printed_with_everything_open(visit, whole):
    page = visit(whole)
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator("h2#classes + details table").is_visible()
    assert page.locator(".scroll").first.evaluate("e => getComputedStyle(e).overflowX") == "visible"


@pytest.mark.slow
def test_a_thousand_classes_open(visit, task, tmp_path):
    path = written(task([f"species {c}" for c in range(1000)], shots=2), tmp_path / "many.html")
    page = visit(path, viewport={"width": 390, "height": 800})
    page.locator("h2#classes + details summary").click()
    assert page.locator("h2#classes + details tbody tr").count() == 1000
    wide, window = widths(page)
    assert wide <= window


def test_nothing_may_run_and_no_other_style_counts(browser, whole, tmp_path):
    text = whole.read_text(encoding="utf-8")
    more = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
    more += "<style>h1 { display: none; }</style>"
    path = tmp_path / "injected.html"
    path.write_text(text.replace("<main>", f"<main>{more}"), encoding="utf-8")
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    assert page.locator("h1").is_visible()
    assert page.evaluate("window.hacked") is None
    assert sum("Content Security Policy" in text for text in refused) >= 3
    page.close()
