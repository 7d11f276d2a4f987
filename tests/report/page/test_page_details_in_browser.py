"""Charts of the page, readouts of their points, and saved files."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

# Of the browser the tests of the whole page and of its safety are in the default suite.
pytestmark = pytest.mark.slow


def expected_episode(path, number):
    """Classes and files of an episode of the best cell, read from the page's own data."""
    text = path.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0]
    payload = json.loads(text)
    best = max(payload["cells"], key=lambda cell: cell["measures"][0]["mean"])
    episode_set = payload["sets"][payload["points"][best["points"]]["set"]]
    classes = np.frombuffer(base64.b64decode(episode_set["classes"]), "<u2").reshape(-1, 5)[number]
    support = np.frombuffer(base64.b64decode(episode_set["support"]), "<u4").reshape(
        -1, 5, episode_set["shots"]
    )
    data = payload["datasets"][episode_set["dataset"]]
    names = [data["classnames"][i] for i in classes]
    return names, sorted(data["files"][i] for i in support[number].ravel())


def shown_episode(page):
    panel = page.locator(".episode")
    number = int(panel.locator("h4").inner_text().split()[1])
    files = panel.locator(".shots bdi, .files bdi").all_inner_texts()
    return number, panel.locator(".classes strong").all_inner_texts(), sorted(files)


def test_episodes_are_told_by_keyboard_and_by_pointing(visit, folder, payloads, few, drawn):
    path = folder / "pictures.html"
    payload = payloads.make_payload(**few, files=[f"a/{i}.jpg" for i in range(30)], thumbnails=30)
    page = drawn(visit(payloads.write_page(path, payload)))
    chart = page.locator("section:has(> #scatter) svg[tabindex='0']")
    chart.focus()
    seen = set()
    for key in ("Home", "ArrowRight", "ArrowUp", "End", "ArrowLeft"):
        page.keyboard.press(key)
        number, classes, files = shown_episode(page)
        assert (classes, files) == expected_episode(path, number)
        seen.add(number)
    assert len(seen) >= 4
    pictures = page.locator(".episode img")
    assert pictures.count() == 25
    assert pictures.evaluate_all("all => all.every(one => one.naturalWidth === 64)")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    for x in range(10, 90, 5):
        page.mouse.move(box["x"] + box["width"] * x / 100, box["y"] + box["height"] * (1 - x / 100))
    pointed, classes, files = shown_episode(page)
    assert pointed != number
    number = pointed
    assert (classes, files) == expected_episode(path, number)
    page.get_by_role("tab", name="constant").click()
    assert "predicted by constant" in page.locator(".episode h4").inner_text()


def test_tasks_of_other_ways_stand_beside_the_selected(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few)
    for cell in payload["cells"]:
        if cell["shots"] == 1:
            cell |= {"ways": 2, "shots": 5}
    page = drawn(visit(payloads.write_page(folder / "ways.html", payload)))
    section = page.locator("section:has(> #scatter)")
    legend = section.get_by_role("list", name="Ways").locator("li").all_inner_texts()
    assert [text.split()[0] for text in legend] == ["5-way", "2-way"]  # the selected cell first
    clouds = section.locator("path.cloud").evaluate_all("all => all.map(one => one.classList[1])")
    assert clouds == ["f1", "f0"]  # that of the selected cell is on top


def test_tasks_of_one_number_of_ways_have_no_legend(visit, small, drawn):
    page = drawn(visit(small))
    assert page.locator("section:has(> #scatter) path.cloud").count() == 1
    assert page.get_by_role("list", name="Ways").count() == 0


def test_lines_are_toggled_and_read(visit, small, drawn):
    page = drawn(visit(small))
    section = page.locator("section:has(> #shots)")
    assert section.locator("svg .whisker").count() == 4
    assert section.locator("svg[role] .dashed").count() == 1
    section.get_by_role("button", name="lda").click()
    assert section.get_by_role("button", name="lda").get_attribute("aria-pressed") == "false"
    assert section.locator("svg .whisker").count() == 2
    section.locator("svg[role=application]").focus()
    page.keyboard.press("End")
    assert "ncm, 5 shots" in section.locator(".readout").inner_text()


def test_charts_hold_what_they_show(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few | {"seeds": (0, 1)})
    for cell in payload["cells"]:  # two seeds far apart: a t interval wider than all errors
        cell["measures"][0]["mean"] = 0.97 + 0.02 * cell["seed"]
    names = [f"head {i}" for i in range(4)]
    rank = payload["ranks"][0] | {"names": names, "mean_ranks": [3.0, 5.0, 6.0, 9.0]}
    payload["ranks"] = [payloads.worded(rank | {"test": "Wilcoxon's signed-rank test"})]
    page = drawn(visit(payloads.write_page(folder / "wide.html", payload)))
    inside = """all => all.every(one => { const own = one.getBBox(),
        box = one.closest("svg").viewBox.baseVal;
        return own.x >= 0 && own.y >= 0 && own.x + own.width <= box.width + 1
            && own.y + own.height <= box.height - 39; })"""
    assert page.locator("section:has(> #shots) .whisker").count() == 4
    assert page.locator("section:has(> #shots) .whisker").evaluate_all(inside)
    ranks = page.locator("section:has(> #ranks) figure")
    marker = ranks.locator(".marker").last.get_attribute("transform")
    width = float(ranks.locator("svg").get_attribute("viewBox").split()[2])
    assert float(marker.split("(")[1].split(",")[0]) < width
    assert "Wilcoxon's signed-rank test: p" in ranks.inner_text()


def test_ticks_say_where_they_are(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few)
    for i, cell in enumerate(payload["cells"]):
        cell["measures"][0] |= {"mean": 0.97 + 0.004 * i, "intervals": {}}
    page = drawn(visit(payloads.write_page(folder / "ticks.html", payload)))
    ticks = page.locator("section:has(> #cost) svg[role] text[text-anchor=end]").all_text_contents()
    steps = np.diff([float(text) for text in ticks if text.replace(".", "").isdigit()])
    assert len(steps) >= 3 and np.ptp(steps) < 1e-9


def test_the_worst_of_a_sample_are_said_to_be(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few)
    for cell in payload["cells"]:
        cell["worst"] = [{"episode": 7, "predicted": 0.1, "actual": 0.5, "classes": ["a"]}]
    for episode_set in payload["sets"]:
        episode_set["of"] = 10 * len(episode_set["episodes"])
    page = drawn(visit(payloads.write_page(folder / "sample.html", payload)))
    section = page.locator("section:has(> #scatter)")
    assert section.get_by_role("heading", name="Missed by most", exact=True).count() == 1
    page.get_by_role("tab", name="constant").click()
    assert section.get_by_role("heading", name="Missed by most of these points").count() == 1


def test_dark_mode_and_a_saved_chart_that_is_light(visit, small, drawn):
    page = drawn(visit(small, color_scheme="dark"))
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == "rgb(15, 20, 25)"
    with page.expect_download() as download:
        page.locator("section:has(> #scatter) .save").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert download.value.suggested_filename.endswith(".svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in text and "class=" not in text
    assert "rgb(0, 114, 178)" in text and "#ffffff" in text
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_the_filtered_rows_as_csv(visit, small, numbers):
    page = visit(small, "#head=ncm")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["head"], row["shots"]) for row in rows] == [("ncm", "5"), ("ncm", "1")]
    shown = numbers(page, "Accuracy")
    assert [round(100 * float(row["accuracy"]), 1) for row in rows] == shown
    half = (float(rows[0]["accuracy_classes_upper"]) - float(rows[0]["accuracy_classes_lower"])) / 2
    assert half == pytest.approx(0.03)
    assert rows[0]["accuracy_images_lower"] == ""


def test_images_per_second_are_of_the_backbone_and_episodes_per_second_of_the_head(
    visit, folder, payloads, few, drawn
):
    payload = payloads.make_payload(**few | {"backbones": ("resnet50", "mobilenet_v2")})
    page = drawn(visit(payloads.write_page(folder / "cost.html", payload)))
    cost = page.locator("section:has(> #cost)")
    features, heads = cost.locator("table").all()
    assert cost.locator("h3").all_inner_texts()[:2] == ["Features", "Heads"]
    head, *rows = features.locator("tr").all_inner_texts()
    assert "Images" in head and "Memory" in head and "Episodes" not in head
    assert [row.split()[0] for row in rows] == ["resnet50", "mobilenet_v2"]
    head, *rows = heads.locator("tr").all_inner_texts()
    assert "Episodes" in head and "Images" not in head and "Memory" not in head
    assert len(rows) == 4  # two heads under two backbones


def test_cost_against_accuracy_only_where_all_were_judged(visit, folder, payloads, few, drawn):
    """A head without 5 shots is compared at 1 shot only: 5 shots would raise the other's mean."""
    payload = payloads.make_payload(**few)
    payload["cells"] = [c for c in payload["cells"] if (c["head"], c["shots"]) != ("lda", 5)]
    means = {c["head"]: c["measures"][0]["mean"] for c in payload["cells"] if c["shots"] == 1}
    page = drawn(visit(payloads.write_page(folder / "shared.html", payload)))
    cost = page.locator("section:has(> #cost)")
    assert "over the 1 setting in which all were judged" in cost.inner_text()
    cost.locator("svg[role=application]").focus()
    readouts = []
    for key in ("Home", "End"):
        page.keyboard.press(key)
        readouts.append(cost.locator(".readout").inner_text())
    for name, mean in means.items():
        assert any(f"{name}: {100 * mean:.1f} %" in text for text in readouts)


def test_no_cost_against_accuracy_where_none_were_judged_alike(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few)
    payload["cells"] = [c for c in payload["cells"] if (c["head"] == "ncm") == (c["shots"] == 5)]
    page = drawn(visit(payloads.write_page(folder / "apart.html", payload)))
    assert page.locator("section:has(> #cost) svg[role=application]").count() == 0


def test_rules_are_timed_together(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few)
    payload["cells"] = [c for c in payloads.other_tasks() if c["task"] == "one_class"]
    page = drawn(visit(payloads.write_page(folder / "rules.html", payload)))
    cost = page.locator("section:has(> #cost)")
    assert "all rules together" in cost.inner_text()
    assert cost.locator("svg[role=application]").count() == 0


def test_whether_episodes_are_told_apart_is_said_beside_the_estimators(visit, small, drawn):
    page = drawn(visit(small))
    section = page.locator("section:has(> #estimators)")
    assert "auto: It tells harder ones apart." in section.inner_text()
    assert "0.60 (0.50 to 0.70)" in section.locator("tr", has_text="auto").first.inner_text()


def test_cells_left_aside_are_named(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few)
    line = "runs/<b>: 60 episodes of 2 cells (ncm, lda on x), as runs/a has 600 of the same"
    payload["left_aside"] = [line]
    page = drawn(visit(payloads.write_page(folder / "aside.html", payload)))
    section = page.locator("section:has(> #missing)")
    assert "Left aside (1)" in section.inner_text() and line in section.inner_text()


def test_without_ranks_there_is_no_section_of_them(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**few) | {"ranks": []}
    page = drawn(visit(payloads.write_page(folder / "unranked.html", payload)))
    assert page.get_by_role("heading", name="Mean ranks").count() == 0
