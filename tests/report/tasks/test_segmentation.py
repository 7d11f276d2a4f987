"""Table, sentences, figures and page of segmentation."""

import base64
import json

import numpy as np
import pandas as pd
import pytest

from fewshot.report import markdown_table, render_report, summary_table
from fewshot.report.answer import answer
from fewshot.report.charts.details import by_value
from fewshot.report.charts.segmentation import class_chart
from fewshot.report.figures.write import write_figures
from fewshot.report.payload import details
from fewshot.report.payload.payload import payload
from fewshot.report.tasks import report_of
from fewshot.results.cells import write_cells
from fewshot.results.comparing import compare
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.results.querying import query

HOSTILE = '"><script>alert(1)</script>'


def copied(summary):
    return json.loads(json.dumps(summary))


def row_of(text, head, shots):
    rows = (line.split() for line in text.splitlines())
    return next(row for row in rows if row[:2] == [head, str(shots)])


def lines_of(cells):
    parts = answer([(cell, None) for cell in cells])
    return parts[0]["lines"]


def shares(text):
    numbers = np.frombuffer(base64.b64decode(text), "<u2") / 65534
    return np.where(numbers > 1, np.nan, numbers)


def test_table(segmented):
    cells = copied(segmented.summary)["cells"]
    cell = cells[0]
    cell["miou"] = {
        "episodes": {"mean": 0.479, "lower": 0.47, "upper": 0.488},
        "images": {"mean": 0.479, "lower": 0.459, "upper": 0.499},
    }
    cell["pixel_accuracy"], cell["dice"] = {"mean": 0.81}, {"mean": 0.6}
    cell["support_images"] = 9.25
    cell["estimators"]["loo_image"] |= {"predicted_miou": 0.461, "mae": 0.018, "coverage": 0.9}
    text = summary_table(cells)
    header = next(line for line in text.splitlines() if line.startswith("head"))
    assert header.split("  ")[0] == "head" and "ways" not in header
    assert row_of(text, "pixel_lda", 1) == [
        "pixel_lda", "1", "47.9", "±", "0.9", "2.0", "81.0", "60.0", "9.25", "46.1", "1.8", "90.0",
        "0.04",
    ]  # fmt: skip
    assert max(map(len, text.splitlines())) <= 100
    assert "10 draws per row, 233 queries, per_class, tokens=1369, 11 classes, 1,369 tokens" in text
    assert "features 0.63 s an image" in " ".join(text.split())
    assert "0.69 Mpx" in text and "FB-IoU" not in text and "boundary" not in text
    assert "| pixel\\_lda | 1 | 47.9 ± 0.9 | 2.0 |" in markdown_table(cells)


def test_columns_that_only_some_runs_have(segmented):
    cells = copied(segmented.summary)["cells"]
    for cell in cells:
        cell["fb_iou"] = {"episodes": {"mean": 0.71, "lower": 0.7, "upper": 0.72}}
        cell["estimators"] = {}
    cells[0] |= {"resolution": "native", "tokens": 1200.0}
    cells[1]["ways"] = 2
    text = summary_table(cells)
    (header,) = (line for line in text.splitlines() if line.startswith("head"))
    assert {"FB-IoU", "resolution", "ways", "tokens"} <= set(header.split())
    assert not {"predicted", "MAE", "coverage"} & set(header.split())
    assert "mean IoU of foreground and background" in text and "predicted from" not in text
    assert " 1,369 tokens" not in text  # they differ: in a column
    # Of background and one class FB-IoU is mIoU.
    alike = [cell | {"fb_iou": cell["miou"], "ways": 2} for cell in cells]
    assert "FB-IoU" not in summary_table(alike)
    # Where every image is in every draw, there is no interval for other images.
    alone = {"episodes": cells[0]["miou"]["episodes"], "images": {"mean": 0.4, "lower": None}}
    assert "images ±" not in summary_table([cell | {"miou": alone} for cell in cells])


def test_sentences(segmented):
    cells = copied(segmented.summary)["cells"]
    first = next(cell for cell in cells if (cell["head"], cell["shots"]) == ("pixel_lda", 5))
    first["estimators"]["loo_image"] |= {"predicted_miou": 0.461, "mae": 0.018, "coverage": 0.9}
    first["miou"]["episodes"] = {"mean": 0.479, "lower": 0.469, "upper": 0.489}
    line = next(line for line in lines_of(cells) if "5 shots" in line)
    assert line.startswith("11-way, 5 shots: net with pixel_lda, mIoU 47.9 ± 1.0 %; clearly ahead")
    assert "points on the same draws" in line
    assert line.endswith(
        "predicted from the support alone 46.1 % on average, off by 1.8 points; 9 of 10 intervals "
        "(90 %) hold the truth."
    )
    first["estimators"]["loo_image"]["coverage"] = 0.875  # of 8 draws that have an interval
    assert any(
        line.endswith("87.5 % of the 90 % intervals hold the truth.") for line in lines_of(cells)
    )


@pytest.mark.parametrize(("bias", "warned"), [(0.151, True), (0.02, False), (None, False)])
def test_optimism_is_warned_of(segmented, bias, warned):
    cells = copied(segmented.summary)["cells"]
    for cell in cells:
        cell["estimators"]["resubstitution"]["bias"] = bias
    warnings = [line for line in lines_of(cells) if "resubstitution promises" in line]
    assert len(warnings) == warned
    assert not warned or "15.1 points of mIoU more than the queries gave" in warnings[0]


def test_reservations_are_counted(segmented):
    cells = copied(segmented.summary)["cells"]
    for cell in cells:
        cell["estimators"]["loo_image"]["reservations"] = ["one image has fence"]
    cells[0]["estimators"]["loo_image"]["reservations"] = ["a", "b", "one image has fence", "c"]
    (line,) = (line for line in lines_of(cells) if line.startswith("Reservations"))
    assert line == (
        "Reservations of loo_image: one image has fence (4 cells of 4); a (1 cell of 4); "
        "b (1 cell of 4); and 1 more."
    )


def test_why_nothing_was_predicted(segmented):
    cells = copied(segmented.summary)["cells"]
    alone = "there is one annotated image: nothing can be left out"
    for cell in cells:
        nothing = {"predicted_miou": None, "mae": None, "coverage": None, "reservations": [alone]}
        cell["estimators"]["loo_image"] = nothing
    lines = lines_of(cells)
    assert f"Nothing was predicted from the support by loo_image: {alone} (4 cells of 4)." in lines
    assert not any("predicted from the support alone" in line for line in lines)


def test_without_predictions_nothing_is_said_of_them(segmented):
    cells = copied(segmented.summary)["cells"]
    for cell in cells:
        cell["estimators"] = {"constant": cell["estimators"]["constant"]}
    text = "\n".join(lines_of(cells))
    assert "predicted" not in text and "11-way, 1 shot: net with pixel_lda, mIoU" in text


def test_the_best_is_said_not_to_be_clear(segmented):
    cells = copied(segmented.summary)["cells"]
    for cell in cells:
        for pair in cell["comparisons"]:
            pair["miou"]["episodes"] = {"mean": 0.01, "lower": -0.01, "upper": 0.03}
    assert sum("not clearly ahead of the next head, ridge" in line for line in lines_of(cells)) == 2


def test_measures_and_numbers_of_the_page(segmented):
    data = payload(*segmented).data
    cell = data["cells"][0]
    names = [(entry["name"], entry["at"]) for entry in cell["measures"]]
    assert names[:3] == [("miou", None), ("pixel_accuracy", None), ("dice", None)]
    assert [at for name, at in names if name == "mae"] == [
        "loo_image", "resubstitution", "constant",
    ]  # fmt: skip
    assert [at for name, at in names if name == "coverage"] == ["loo_image"]
    assert cell["measures"][0]["intervals"]["images"] is not None
    assert cell["numbers"] == pytest.approx(
        {"support_images": segmented.summary["cells"][0]["support_images"], "tokens": 1369,
         "input_pixels": 690_000, "gflops": 7.1, "fit": 0.04, "features_per_image": 0.63,
         "heads_per_image": None}
    )  # fmt: skip
    words = data["tasks"]["segmentation"]
    assert words["measures"]["predicted_miou"]["title"] == "Predicted mIoU"
    assert [number["key"] for number in words["numbers"]] == list(cell["numbers"])
    assert words["parts"]["title"] == "Estimator" and words["episode"] == "draw"


def test_classes_of_a_cell(segmented, segmentation):
    run = copied(segmented.summary)
    classes = run["cells"][0]["classes"]
    classes[0] |= {"iou": None, "lower": None, "upper": None, "predicted": None}
    data = payload(run, segmented.rows).data
    parts = next(
        c["details"]["parts"] for c in data["cells"] if (c["head"], c["shots"]) == ("pixel_lda", 1)
    )
    names, colors = (data["shared"][parts[name]] for name in ("names", "colors"))
    assert names == list(segmentation.CLASSNAMES) and colors[names.index("road")] == "#808000"
    values = shares(parts["value"])
    assert np.isnan(values[0]) and np.isnan(shares(parts["predicted"])[0])
    np.testing.assert_allclose(values[1:], [row["iou"] for row in classes[1:]], atol=1e-5)
    assert shares(parts["weight"])[names.index("road")] == pytest.approx(0.3, abs=1e-5)
    chart = class_chart(run["cells"][0])
    ordered = by_value(chart.rows)
    assert ordered[-1].name == "sky" and ordered[0].name == "road"


def test_points_are_those_of_the_rows(segmented):
    rows = dict(segmented.rows)
    table = rows["segmentation_class_predictions"].copy()
    table.loc[table["class"] == "fence", "predicted_iou"] = np.nan
    rows["segmentation_class_predictions"] = table
    data = payload(segmented.summary, rows).data
    cell = next(c for c in data["cells"] if (c["head"], c["shots"]) == ("ridge", 5))
    draws, classes = cell["details"]["clouds"]
    assert [cloud["name"] for cloud in draws["clouds"]] == [
        "loo_image", "resubstitution", "constant",
    ]  # fmt: skip
    of = rows["segmentation_predictions"].query("head == 'ridge' and shots == 5")
    first = of[of["estimator"] == "loo_image"]
    cloud = draws["clouds"][0]
    for key, column in (("x", "predicted_miou"), ("y", "actual_miou"), ("lower", "lower")):
        np.testing.assert_allclose(shares(cloud[key]), first[column], atol=1e-5)
    assert draws["clouds"][1]["lower"] is None
    assert [cloud["name"] for cloud in classes["clouds"]] == ["loo_image", "resubstitution"]
    assert classes["clouds"][0]["count"] == 100  # 10 draws of 10 classes: fence has no prediction
    part = np.frombuffer(base64.b64decode(classes["clouds"][0]["part"]), "<u2")
    names = data["shared"][classes["parts"]]
    assert names.index("fence") not in part and len(set(part.tolist())) == 10


def test_many_points_are_thinned(segmented, monkeypatch):
    monkeypatch.setattr(details, "POINTS", 40)
    cell = payload(*segmented).data["cells"][0]
    for chart in cell["details"]["clouds"]:
        for cloud in chart["clouds"]:
            assert len(shares(cloud["x"])) == 5 < cloud["count"]


def test_pictures_keep_to_their_budget(segmented, monkeypatch):
    whole = payload(*segmented).data
    ranks = [one["rank"] for one in whole["cells"][0]["details"]["pictures"]]
    assert ranks == ["worst", "median", "best"] and whole["picture_bytes"] == 1_500_000
    sizes = [len(one["picture"]) for c in whole["cells"] for one in c["details"]["pictures"]]
    # Room for the first picture of every cell and one more.
    first = sum(len(cell["details"]["pictures"][0]["picture"]) for cell in whole["cells"])
    monkeypatch.setattr("fewshot.report.payload.payload.PICTURE_BYTES", first + max(sizes))
    data = payload(*segmented).data
    counts = [len(cell["details"]["pictures"]) for cell in data["cells"]]
    assert counts == [2, 1, 1, 1]
    assert [cell["details"]["left_out"] for cell in data["cells"]] == [1, 2, 2, 2]
    none = payload(*segmented, thumbnail_bytes=0).data
    assert none["picture_bytes"] == 0
    assert {len(cell["details"]["pictures"]) for cell in none["cells"]} == {0}


def test_the_page_has_no_script_of_the_data(segmentation):
    names = (HOSTILE, *segmentation.CLASSNAMES[1:])
    summary, rows = segmentation.make_run(heads=("pixel_lda",), shots=(1,), classnames=names)
    rows["segmentation_examples"]["file"] = HOSTILE
    page = render_report(summary, rows)
    assert HOSTILE not in page and "img-src data:" in page


def test_rows_may_be_missing(segmented):
    data = payload(segmented.summary, {}).data
    assert all(cell["details"]["clouds"] == [] for cell in data["cells"])
    assert data["cells"][0]["details"]["parts"]["value"]


def test_figures(segmented, tmp_path):
    files = write_figures(tmp_path, segmented.summary["cells"], segmented.rows, ["svg"])
    assert {path.stem for path in files} == {
        "segmentation_vs_shots", "segmentation_predicted_vs_actual", "iou_by_class",
    }  # fmt: skip
    texts = {path.stem: path.read_text() for path in files}
    assert "Pixel accuracy, 11-way" in texts["segmentation_vs_shots"]
    assert "FB-IoU" not in texts["segmentation_vs_shots"]
    assert "predicted mIoU, %" in texts["segmentation_predicted_vs_actual"]
    assert "pedestrian" in texts["iou_by_class"] and "pixel_lda, 5 shots" in texts["iou_by_class"]
    plots = report_of("segmentation").plots
    assert set(plots.values()) == {path.stem for path in files}


def test_results_are_queried_and_compared(segmented, segmentation, tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    write_cells(folder, segmented.summary, segmentation.results_of(*segmented))
    store = Store(find_runs([tmp_path]))
    table = query(store, "segmentation", {"head": ["ridge"]})
    assert len(table) == 20 and table["miou"].between(0, 1).all()
    assert set(query(store, "segmentation_classes")["class"]) == set(segmentation.CLASSNAMES)
    assert {"miou", "miou_lower", "resolution"} <= set(query(store))
    rows = segmented.rows["segmentation"].query("shots == 5").set_index(["head", "episode"])
    for measure in ("miou", "dice"):
        pairs = compare(store, "head", ["pixel_lda", "ridge"], measure=measure)["pairs"]
        pair = next(pair for pair in pairs if pair["shots"] == 5)
        gap = rows[measure]["pixel_lda"] - rows[measure]["ridge"]
        assert pair["mean"] == pytest.approx(gap.mean()) and pair["episodes"] == 10
        assert (pair["better"], pair["worse"]) == ((gap > 0).sum(), (gap < 0).sum())
        assert pair["intervals"].keys() == {"episodes"}


def test_draws_without_a_value_are_not_compared(segmented, segmentation, tmp_path):
    rows = dict(segmented.rows)
    table = rows["segmentation"].copy()
    table.loc[table["episode"] == 0, "fb_iou"] = 0.5
    table.loc[(table["episode"] == 1) & (table["head"] == "ridge"), "fb_iou"] = 0.5
    rows["segmentation"] = table
    folder = tmp_path / "a"
    folder.mkdir()
    write_cells(folder, segmented.summary, segmentation.results_of(segmented.summary, rows))
    store = Store(find_runs([tmp_path]))
    pair = compare(store, "head", ["pixel_lda", "ridge"], measure="fb_iou")["pairs"][0]
    assert (pair["better"], pair["equal"], pair["worse"]) == (0, 1, 0)
    left = compare(store, "head", ["pixel_lda", "ridge"], measure="boundary_iou")["left_out"]
    assert len(left) == 2 and "no episode in which both have a value" in left[0]["reason"]


def test_pictures_are_not_printed(segmented):
    from fewshot.report.text.rows import csv_text, table_text

    rows = segmented.rows["segmentation_examples"][["file", "picture"]].head(1)
    picture = rows["picture"].item()
    assert picture not in table_text(rows) and "data:image/webp;base64 (" in table_text(rows)
    assert picture in csv_text(rows)
    assert "data:x" in table_text(pd.DataFrame({"name": ["data:x"]}))


def test_facts(segmented):
    facts = dict(report_of("segmentation").facts(segmented.summary["cells"][0]))
    assert (facts["sampler"], facts["resolution"]) == ("per_class", "tokens=1369")
    assert (facts["input"], facts["compute"]) == ("0.69 Mpx", "7.1 GFLOPs")
    assert (facts["features"], facts["bank"]) == ("0.63 s an image", "3.2 s")
    assert "bicyclist" in facts["classes"] and "seconds" not in facts


def test_what_is_logged(segmented):
    logged = list(report_of("segmentation").task.metrics(segmented.summary["cells"][0]))
    assert [(name, step) for name, step, _ in logged] == [
        ("miou", 1), ("pixel_accuracy", 1), ("dice", 1),
    ]  # fmt: skip
    assert all(0 < value < 1 for _, _, value in logged)
