"""The page in a browser: display, sorting, filters and saved state."""

from __future__ import annotations

import time

import pytest


def test_shows_every_section(visit, small, column, drawn):
    page = drawn(visit(small))
    headings = page.locator("section.part:visible > h2").all_inner_texts()
    assert headings[:2] == ["Leaderboard", "Error against shots"]
    assert {"Mean ranks", "Cost", "Predicted against actual error", "Estimators"} <= set(headings)
    assert page.locator(".waiting:visible").count() == 0
    assert page.locator("#judging ~ div svg[role=application]").count() == 2
    assert column(page, "Head") == ["ncm", "lda", "ncm", "lda"]
    assert page.get_by_text("leave-one-out needs two shots").count() == 0


def test_sorts_by_buttons_and_says_so(visit, small, column, numbers):
    page = visit(small)
    accuracies = numbers(page, "Accuracy")
    assert accuracies == sorted(accuracies, reverse=True)
    head = page.locator(".leaderboard th[data-key='measure:accuracy']")
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers(page, "Accuracy") == accuracies[::-1]
    page.locator(".leaderboard th[data-key=head] button").click()
    assert head.get_attribute("aria-sort") is None
    assert column(page, "Head") == ["lda", "lda", "ncm", "ncm"]


def test_filters_stay_in_the_address(visit, small):
    page = visit(small)
    page.locator(".filters").get_by_role("button", name="Shots").click()
    page.get_by_label("5", exact=True).check()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "Shots: 1 of 2"
    page.get_by_label("Search names").fill("LDA 5-way")
    page.locator(".leaderboard tbody tr").nth(1).wait_for(state="detached")
    page.locator("th[data-key=time] button").click()
    before = page.locator(".leaderboard tbody").inner_text()
    page.reload()
    assert page.locator(".leaderboard tbody").inner_text() == before
    assert page.get_by_label("Search names").input_value() == "LDA 5-way"
    assert page.locator("th[data-key=time]").get_attribute("aria-sort") == "ascending"
    assert page.locator(".filters .count").inner_text() == "1 of 4 cells"
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".leaderboard tbody tr").count() == 4


def test_a_row_is_chosen_by_click_and_by_keyboard(visit, small, drawn):
    page = drawn(visit(small))

    def about():
        return drawn(page).locator("section:has(> #estimators) .subject").inner_text()

    assert "5-shot with ncm" in about()
    page.locator(".leaderboard tbody tr").nth(3).locator("th").click()
    assert "1-shot with lda" in about()
    assert page.locator("section:has(> #estimators)").get_by_text("needs two shots").count() == 1
    page.locator(".leaderboard button[aria-pressed=true]").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "5-shot with lda" in about()
    assert page.locator(".leaderboard tbody button[tabindex='0']").count() == 1
    page.reload()
    assert "5-shot with lda" in about()


def test_the_population_of_the_intervals_is_chosen(visit, small, column):
    page = visit(small)
    assert column(page, "Accuracy")[0].endswith("± 0.4")
    page.get_by_label("± for other").focus()
    page.get_by_label("± for other").select_option("classes")
    assert column(page, "Accuracy")[0].endswith("± 3.0")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    assert "population=classes" in page.url


def test_other_tasks_have_their_own_measures(visit, many, numbers, drawn):
    page = drawn(visit(many))
    page.get_by_label("Task").select_option("verification")
    heads = page.locator(".leaderboard thead th").all_inner_texts()
    assert {"AUROC", "FPR95"} <= {text.split()[0] for text in heads if text.strip()}
    page.get_by_label("Measure").select_option("fpr95")
    assert page.locator("th[data-key='measure:fpr95']").get_attribute("aria-sort") == "ascending"
    page.get_by_label("Task").select_option("one_class")
    assert numbers(page, "Macro F1") == [90, 90]
    page.locator("label:has-text('Share of positives') select").select_option("0.2")
    assert numbers(page, "Macro F1") == [80, 80]
    assert page.locator("#shots").inner_text() == "Macro F1 against share of positives"
    page.locator("label:has-text('Share of positives') select").select_option("0.5")
    assert "+2.0 ± 1.0" in drawn(page).locator("section:has(> #comparisons)").inner_text()


def test_a_thousand_cells_open_in_no_time(visit, many):
    start = time.perf_counter()
    page = visit(many)
    page.locator(".leaderboard tbody tr").nth(99).wait_for()
    assert time.perf_counter() - start < 3
    page.get_by_role("button", name="Show all").first.click()
    assert page.locator(".leaderboard tbody tr").count() == 1000
    start = time.perf_counter()
    page.locator("th[data-key=mae] button").click()
    assert time.perf_counter() - start < 2


def test_one_cell_needs_no_filters(visit, folder, payloads, few, drawn):
    payload = payloads.make_payload(**(few | {"heads": ("ncm",), "shots": (5,)}))
    page = drawn(visit(payloads.write_page(folder / "one.html", payload)))
    assert page.locator("#filters").inner_text() == ""
    assert page.locator(".leaderboard tbody tr").count() == 1
    assert not page.locator("#shots").is_visible()


@pytest.mark.parametrize("task", ["classification", "verification", "one_class"])
def test_fits_a_phone(visit, many, task, drawn):
    page = drawn(visit(many, f"#task={task}", viewport={"width": 360, "height": 740}))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".fold").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    rows = {"verification": 6, "one_class": 2, "classification": 100}
    assert page.locator(".leaderboard tbody tr").count() == rows[task]
