"""The page of tasks that the project does not know."""

from fewshot.report import render_report


def test_every_section_is_drawn(outside_run, tmp_path, visit, drawn, column):
    path = tmp_path / "any.html"
    path.write_text(render_report(*outside_run), encoding="utf-8")
    page = drawn(visit(path, "#task=retrieval"))
    headings = page.locator("section.part:visible > h2").all_inner_texts()
    assert headings[:2] == ["Leaderboard", "mean precision against shots"]
    assert {"Paired comparisons", "Cost", "How the number was made"} <= set(headings)
    assert set(column(page, "first rank")) == {"5.00 ± 0.50", "6.25 ± 0.50"}
    assert set(column(page, "mean precision")) == {
        "42.0 ± 1.0", "50.0 ± 1.0", "52.0 ± 1.0", "60.0 ± 1.0",
    }  # fmt: skip
    page = drawn(visit(path, "#task=retrieval&measure=first_rank"))
    # The best one is the lowest.
    assert column(page, "first rank")[0] == "5.00 ± 0.50"
    page = drawn(visit(path, "#task=counting"))
    assert column(page, "Counter") == ["density", "grid"]
    assert column(page, "objects missed") == ["1.50 ± 0.25", "3.25 ± 0.25"]
    assert page.locator("section:has(> #made) .subject").inner_text().endswith("density of 1")
    assert page.get_by_text("counts.parquet").count() == 1
