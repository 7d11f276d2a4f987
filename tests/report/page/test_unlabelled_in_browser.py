"""The page of runs with unlabelled images: groups, reservations, filter and curve."""

from __future__ import annotations

import pytest

# Of the browser the tests of the whole page and of its safety are in the default suite.
pytestmark = pytest.mark.slow

HOSTILE = '"><img src=x onerror="window.hacked = 1">'
DRAWN = ("no unlabelled", "5 unlabelled", "15 unlabelled")
SEEING = ("auto", "loo")
ESTIMATORS = ("auto", "loo", "margin", "constant", "oracle")


@pytest.fixture(scope="module")
def page_path(folder, payloads, few):
    """A page of cells that differ in their unlabelled images alone."""
    payload = payloads.make_payload(
        **(few | {"heads": ("ncm",), "shots": (5,), "estimators": ESTIMATORS})
    )
    (cell,) = payload["cells"]
    cells = []
    for i, drawn in enumerate(DRAWN):
        estimators = [
            one | {"sees_unlabelled": i > 0 and one["name"] in SEEING, "reservations": []}
            for one in cell["estimators"]
        ]
        first = next(one for one in estimators if one["name"] == "auto")
        first |= {"fallbacks": 40, "reservations": [["strangers", 30], [HOSTILE, 12]]}
        measures = [one | {"mean": one["mean"] + 0.01 * i} for one in cell["measures"]]
        about = f"{drawn} images per class, {HOSTILE}" if i else None
        cells.append(cell | {"unlabelled_images": drawn, "unlabelled": about, "made": {},
                             "estimators": estimators, "measures": measures})  # fmt: skip
    payload["cells"] = cells
    look = {"color": 0, "marker": 0, "dash": 0, "width": 1.3, "front": 3}
    trace = {"name": HOSTILE, "look": look, "x": [0, 1, 2], "y": [5.0, 4.0, 3.0],
             "whiskers": [[0, 4.5, 5.5]]}  # fmt: skip
    axis = {"limits": [-0.5, 2.5], "ticks": [[0, "0"], [1, "5"], [2, "15"]], "categorical": True}
    chart = {
        "words": {"title": "How many", "x": "images", "y": "MAE, points", "caption": HOSTILE},
        "x": axis, "y": {"limits": [0, 6], "ticks": None}, "legend": [[HOSTILE, look]],
        "panels": [{"title": HOSTILE, "traces": [trace], "level": None}],
    }  # fmt: skip
    names = ("task", "dataset", "backbone", "feature")
    payload["lines"] = [{name: cell[name] for name in names} | {"chart": chart}]
    return payloads.write_page(folder / "unlabelled.html", payload)


@pytest.fixture(params=[1200, 390])
def page(request, visit, page_path, drawn):
    """The page on a desk and on a phone."""
    return drawn(visit(page_path, viewport={"width": request.param, "height": 800}))


def section(page, name):
    return page.locator(f"section[aria-labelledby={name}]")


def test_estimators_stand_below_what_they_saw(page):
    rows = section(page, "estimators").locator("table").first.locator("tbody th").all_inner_texts()
    titles = [text.split("\n")[0] for text in rows]
    groups = [i for i, text in enumerate(titles) if text.startswith("Saw ")]
    assert [titles[i] for i in groups] == [
        "Saw unlabelled images ‡", "Saw the shots alone", "Saw the labelled queries †",
    ]  # fmt: skip
    assert {text.split()[0] for text in titles[groups[0] + 1 : groups[1]]} == set(SEEING)
    assert all("‡" in text for text in titles[groups[0] + 1 : groups[1]])
    assert section(page, "scatter").locator(".tab-group").all_inner_texts() == [
        titles[i] for i in groups
    ]
    assert section(page, "judging").locator(".tab-group").count() == 3


def test_nearness_is_marked_in_each_group(page):
    best = section(page, "estimators").locator("tr.best th").all_inner_texts()
    assert len(best) == 2 and sum("‡" in text for text in best) == 1
    assert "knew more" in section(page, "estimators").inner_text()


def test_reservations_are_counted(page):
    text = section(page, "estimators").locator("dl").inner_text()
    assert f"strangers (30 of 120 episodes); {HOSTILE} (12 of 120 episodes)" in text


def test_a_filter_tells_the_cells_apart(page, column, drawn):
    assert sorted(column(page, "Unlabelled images")) == sorted(DRAWN)
    page.evaluate("location.hash = '#unlabelled_images=5+unlabelled'")
    page.reload()
    assert column(page, "Head") == ["ncm"]
    assert "5 unlabelled images per class" in section(drawn(page), "made").inner_text()


def test_the_curve_is_drawn_and_read(page):
    curve = section(page, "lines")
    assert curve.locator("svg .marker").count() == 4  # with the legend
    curve.locator("svg[role=application]").focus()
    page.keyboard.press("End")
    assert "15 images: MAE, points 3.0" in curve.locator(".readout").inner_text()


def test_texts_do_nothing_and_fit(page):
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
