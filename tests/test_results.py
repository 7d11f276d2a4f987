"""Results of many cells from Python: data frames, comparisons, figures, pages, files."""

import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.heads.lda import LDA
from fewshot.heads.ncm import NCM

LABELS = np.repeat(np.arange(8), 12)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(8, 10))
    return means[LABELS] + 1.2 * rng.normal(size=(96, 10)), LABELS


@pytest.fixture(scope="module")
def results(data):
    return fewshot.evaluate(
        *data, head=["ncm", "lda"], shots=[1, 3], seed=[0, 1], ways=4, episodes=25,
        estimators=["margin", "loo"], threads=1,
    )  # fmt: skip


def test_a_cell_per_head_shots_and_seed(results):
    names = ["head", "shots", "seed"]
    cells = results.table[names].to_numpy().tolist()
    expected = [[h, k, s] for s in (0, 1) for k in (1, 3) for h in ("ncm", "lda")]
    assert cells == expected
    sizes = results.episodes.groupby(names).size()
    assert sizes.to_dict() == {tuple(cell): 25 for cell in expected}
    assert {"episode", "head", "shots", "actual_error", "accuracy"} <= set(results.episodes)
    columns = {"episode", "estimator", "predicted_error", "actual_error"}
    assert columns <= set(results.predictions)
    assert len(results.predictions) == 8 * 25 * 2
    means = results.episodes.groupby(names)["accuracy"].mean()
    for row in results.table.to_dict("records"):
        assert row["accuracy"] == pytest.approx(means[row["head"], row["shots"], row["seed"]])
    assert results.summary is results.table


def test_many_cells_have_the_rows_of_single_ones(results, data):
    single = fewshot.evaluate(
        *data, head="lda", shots=3, seed=1, ways=4, episodes=25, estimators=["margin", "loo"]
    )
    rows = results.episodes
    of_cell = (rows["head"] == "lda") & (rows["shots"] == 3) & (rows["seed"] == 1)
    pd.testing.assert_frame_equal(single.episodes, rows[of_cell].reset_index(drop=True))
    assert single.summary["accuracy"]["mean"] == pytest.approx(rows[of_cell]["accuracy"].mean())
    assert single.calibrator is None
    with pytest.raises(FewshotError, match=r"results\.cells\[i\]"):
        _ = results.calibrator


def test_variants_of_one_head(data):
    heads = ["lda", LDA(shrinkage=0.5), NCM(metric="cosine")]
    results = fewshot.evaluate(*data, head=heads, ways=4, episodes=5, shots=2, estimators=[])
    assert results.table[["head", "variant"]].to_numpy().tolist() == [
        ["lda", ""], ["lda", "shrinkage=0.5"], ["ncm", "metric=cosine"],
    ]  # fmt: skip
    assert "lda (shrinkage=0.5)" in repr(results)
    with pytest.raises(FewshotError, match=r"head: expected different heads, got lda twice"):
        fewshot.evaluate(*data, head=["lda", LDA()])
    with pytest.raises(FewshotError, match="lda has several variants: lda, lda"):
        results.compare("lda", "ncm")
    gap = results.compare("lda (shrinkage=0.5)", "ncm (metric=cosine)")
    assert len(gap) == 1


def test_differences_are_paired(results):
    table = results.compare("ncm", "lda")
    assert len(table) == 4
    rows = results.episodes.pivot_table(
        index=["shots", "seed", "episode"], columns="head", values="accuracy"
    )
    gaps = (rows["ncm"] - rows["lda"]).groupby(["shots", "seed"])
    for row in table.to_dict("records"):
        key = row["shots"], row["seed"]
        assert row["difference"] == pytest.approx(gaps.mean()[key], abs=1e-12)
        half = 1.96 * gaps.std(ddof=1)[key] / 25**0.5
        assert row["upper"] - row["difference"] == pytest.approx(half, rel=2e-3, abs=1e-12)
        assert row["better"] + row["equal"] + row["worse"] == 25
    with pytest.raises(FewshotError, match=r"Did you mean 'lda'"):
        results.compare("ncm", "lad")


def test_saved_and_loaded(results, workplace):
    folder = results.save("runs", name="mine")
    assert folder == Path("runs/mine")
    again = fewshot.Results.load(folder)
    expected = results.episodes.assign(classes=results.episodes["classes"].map(list))
    loaded = again.episodes.assign(classes=again.episodes["classes"].map(list))
    pd.testing.assert_frame_equal(loaded, expected, check_dtype=False)
    pd.testing.assert_frame_equal(again.table.drop(columns="seconds"),
                                  results.table.drop(columns="seconds"))  # fmt: skip
    assert repr(again) == repr(results)
    assert results.save("runs", name="mine") != folder  # nothing is overwritten
    with pytest.raises(FewshotError, match="expected one run, got 2"):
        fewshot.Results.load("runs")
    with pytest.raises(FewshotError, match="got 'nowhere'"):
        fewshot.Results.load("nowhere")
    with pytest.raises(FewshotError, match="got loaded ones"):
        _ = again.bank


def test_loaded_results_are_compared_and_saved_again(results, workplace):
    folder = results.save("runs", name="first")
    loaded = fewshot.Results.load(folder)
    pd.testing.assert_frame_equal(loaded.compare("ncm", "lda"), results.compare("ncm", "lda"))
    again = fewshot.Results.load(loaded.save("runs", name="second"))
    pd.testing.assert_frame_equal(again.compare("ncm", "lda"), results.compare("ncm", "lda"))
    names = {path.name for path in (folder / "episodes").iterdir()}
    assert names == {path.name for path in (again.folder / "episodes").iterdir()} != set()


def test_nothing_to_compare_is_an_error_with_the_reason(results, workplace):
    loaded = fewshot.Results.load(results.save("runs"))
    shutil.rmtree(loaded.folder / "episodes")
    with pytest.raises(FewshotError, match=r"compare: expected heads on the same episodes, but .*"
                                           r"\.safetensors"):  # fmt: skip
        loaded.compare("ncm", "lda")


def test_a_comparison_writes_no_page(results, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("a page was written")

    monkeypatch.setattr("fewshot.report.write_report", fail)
    assert len(results.compare("ncm", "lda")) == 4


def test_kept_cells_are_forgotten_when_they_are_saved(data, workplace):
    options = {"ways": 4, "episodes": 5, "estimators": [], "shots": 1, "runs": "runs"}
    results = fewshot.evaluate(*data, head=["ncm", "lda"], **options)
    assert len(list(Path("runs/.cells").iterdir())) == 2
    saved = results.save("runs")
    assert not Path("runs/.cells").exists()
    again = fewshot.evaluate(*data, head=["ncm", "lda"], **options)
    assert {cell.summary["reused_from"] for cell in again.cells} == {saved.name}


def test_the_command_line_reads_what_was_saved(results, workplace, capsys):
    from fewshot.cli.main import main

    results.save("runs")
    assert main(["results", "query", "runs", "--head", "lda", "--shots", "3"]) == 0
    assert capsys.readouterr().out.count("lda") == 2
    assert main(["report", "runs", "--output", "all.html"]) == 0


def test_page_figures_and_notebook(results, workplace):
    page = results.report("pages/report.html").read_text()
    assert page.startswith("<!DOCTYPE html>") or page.lower().startswith("<!doctype html>")
    figure = results.plot("shots")
    figure.savefig("shots.png")
    assert Path("shots.png").stat().st_size > 1000
    assert figure._repr_png_().startswith(b"\x89PNG")  # notebooks show it
    for kind in ("predicted", "mae", "error_vs_shots"):
        assert results.plot(kind).axes
    with pytest.raises(FewshotError, match=r"no figure 'shot'\. Did you mean 'shots'"):
        results.plot("shot")
    html = results._repr_html_()
    text = re.sub(r"<[^>]*>", " ", html).split()
    assert {"head", "shots", "seed", "accuracy", "margin", "MAE"} <= set(text)
    assert "ways" in text and "backbone" not in text  # which all share


def test_joined_results(data, workplace):
    features, labels = data
    settings = {"head": ["ncm", "lda"], "shots": 3, "ways": 4, "episodes": 25, "threads": 1}
    settings["estimators"] = ["margin"]
    wide = fewshot.evaluate(features, labels, backbone="wide", **settings)
    narrow = fewshot.evaluate(features[:, :3], labels, backbone="narrow", **settings)
    joined = fewshot.Results.join([wide, narrow])
    assert joined.parts == (wide, narrow)
    assert joined.table["backbone"].tolist() == ["wide", "wide", "narrow", "narrow"]
    assert len(joined.episodes) == 100 and len(joined.predictions) == 100
    assert "features · narrow (given)" in repr(joined) and "narrow" in joined._repr_html_()

    pairs = joined.compare("wide", "narrow", of="backbone")
    expected = wide.table["accuracy"] - narrow.table["accuracy"]
    assert pairs["head"].tolist() == ["ncm", "lda"]
    assert pairs["difference"].to_numpy() == pytest.approx(expected.to_numpy())
    assert len(joined.compare("ncm", "lda")) == 2

    assert joined.plot("backbones").axes
    page = joined.report("joined.html").read_text()
    assert "narrow" in page and "wide" in page
    loaded = [fewshot.Results.load(part.save("runs")) for part in joined.parts]
    again = fewshot.Results.join(loaded).compare("wide", "narrow", of="backbone")
    pd.testing.assert_frame_equal(again, pairs)

    with pytest.raises(FewshotError, match=r"joined, .* Save the parts"):
        joined.save("runs")
    with pytest.raises(FewshotError, match="got joined ones"):
        _ = joined.bank
    with pytest.raises(
        FewshotError, match="ncm on wide features of features, 4-way 3-shot, seed 0"
    ):
        fewshot.Results.join([wide, narrow, wide])
    with pytest.raises(FewshotError, match="at least one, got none"):
        fewshot.Results.join([])


def test_names_are_escaped(data):
    results = fewshot.evaluate(*data, head=["ncm", "lda"], dataset="<b>", episodes=3, shots=1)
    hostile = fewshot.evaluate(*data, dataset="<i>", episodes=3, shots=1)
    assert "<b>" not in results._repr_html_() + hostile._repr_html_()


def test_cells_are_kept_and_taken(data, workplace):
    options = {"ways": 4, "episodes": 10, "estimators": ["margin"], "runs": "runs"}
    first = fewshot.evaluate(*data, head=["ncm", "lda"], shots=[1, 2], **options)
    assert {cell.summary["reused_from"] for cell in first.cells} == {None}
    second = fewshot.evaluate(*data, head=["ncm", "lda", "ridge"], shots=[1, 2], **options)
    kept = {cell.summary["head"]: cell.summary["reused_from"] for cell in second.cells}
    assert kept == {"ncm": ".cells", "lda": ".cells", "ridge": None}
    with pytest.raises(FewshotError, match="never to compute"):
        fewshot.evaluate(*data, head="knn", policy="never", **options)
    always = fewshot.evaluate(*data, policy="always", shots=1, **options)
    assert always.summary["reused_from"] is None


def test_both_doors_take_the_cells_of_the_other(photos, tiny_net, workplace, capsys):
    from fewshot.cli.main import main

    settings = [
        "dataset=folder", "dataset.root=photos", "backbone=callable",
        "backbone.target=tiny_net:network", "backbone.size=16", "episodes.ways=3",
        "episodes.queries=3", "episodes.count=6", "head=[ncm,lda]", "estimator=[margin,loo]",
        "threads=1",
    ]  # fmt: skip
    arguments = {
        "ways": 3, "queries": 3, "episodes": 6,
        "head": ["ncm", "lda"], "estimators": ["margin", "loo"], "shots": [1, 5], "threads": 1,
        "runs": "runs",
    }  # fmt: skip
    assert main([*settings, "episodes.shots=[1,5]"]) == 0
    bank = fewshot.extract("photos", "callable:tiny_net:network", size=16)
    from_bank = fewshot.evaluate(bank, **arguments)
    assert all(cell.summary["reused_from"] for cell in from_bank.cells)
    more = fewshot.evaluate(bank, **{**arguments, "shots": [1, 2]})
    assert [bool(cell.summary["reused_from"]) for cell in more.cells] == [True, True, False, False]
    capsys.readouterr()
    assert main([*settings, "episodes.shots=[2]"]) == 0
    assert "2 cells taken from earlier runs, 0 computed" in capsys.readouterr().out


def test_whatever_has_images_or_features(photos, tiny_net, feature_file, workplace):
    options = {"ways": 3, "shots": 1, "episodes": 4, "estimators": [], "threads": 1}
    (workplace / "small.py").write_text(
        "import torch\n\n\ndef network():\n    return torch.nn.AdaptiveAvgPool2d(2)\n"
    )
    network = "callable:small:network"
    folder = fewshot.evaluate(photos, backbone=network, **options)
    images = fewshot.datasets.Folder("photos")
    assert len(images) == 48 and images.name == "photos"
    from_dataset = fewshot.evaluate(images, backbone=network, **options)
    pd.testing.assert_frame_equal(folder.episodes, from_dataset.episodes)
    halves = fewshot.evaluate("photos", backbone=network, split="random", **options)
    assert halves.bank.classes("base").size == 3
    file = fewshot.evaluate("f.npz", **options)
    assert file.summary["dataset"] == "f"
    assert folder.summary["normalize"] == "l2" and file.summary["normalize"] == "none"
    bank = fewshot.extract(photos, network)
    assert bank.dim == 12 and bank.text is None
    raw = fewshot.evaluate(bank, normalize="none", **options)
    assert raw.summary["normalize"] == "none"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"features": np.zeros((4, 2))}, "With arrays, give labels, too"),
        ({"features": "nowhere"}, "features: expected a folder, a file or a name, got 'nowhere'"),
        ({"features": "digit"}, "Did you mean 'digits'"),
        ({"features": "no.npz"}, "expected a file of features, got nothing at 'no.npz'"),
        ({"features": "digits", "text": np.zeros((2, 2))}, "text: expected it with arrays only"),
        ({"features": "digits", "split": ["base"] * 4}, "split: expected a word"),
        ({"features": "digits", "backbone": "resnet19"}, "Did you mean 'resnet18'"),
        ({"task": "classify"}, "task: expected a registered name, got 'classify'"),
        ({"shots": []}, "episodes.shots: expected a number or a list"),
        ({"seed": [0, 0]}, "seed: expected different seeds, got 0 twice"),
        ({"seed": []}, "seed: expected a number or a list"),
        ({"head": []}, "head: expected at least one"),
        ({"head": [3]}, "head: expected a name or a Head, got 3"),
        ({"head": ["ncm", "ncn"]}, "Did you mean 'ncm'"),
        ({"policy": "sometimes", "runs": "runs"}, "results.policy: expected one of"),
    ],
)
def test_mistakes_are_one_line(data, workplace, arguments, problem):
    given = {} if "features" in arguments else {"features": data[0], "labels": data[1]}
    with pytest.raises(FewshotError) as caught:
        fewshot.evaluate(**given, **arguments)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_is_left_out_with_a_warning(data):
    with pytest.warns(UserWarning, match=r"left out: ncm with 0 shots") as caught:
        results = fewshot.evaluate(
            *data, head=["ncm", "zero_shot"], shots=[0, 1], text=np.eye(8, 10), ways=3,
            episodes=4, estimators=[],
        )  # fmt: skip
    assert {Path(warning.filename).name for warning in caught} == {"test_results.py"}
    assert len(results.cells) == 3
    assert [entry["head"] for entry in results.run["left_out"]] == ["ncm"]


class Breaking(NCM):
    """A head with a defect."""

    def fit(self, support):
        raise RuntimeError("out of order")


def test_a_head_that_fails_leaves_the_others(data):
    with pytest.warns(UserWarning, match="failed: breaking with 1 shot: Runt"):
        results = fewshot.evaluate(*data, head=["knn", Breaking()], shots=1, episodes=3, ways=3)
    assert [cell.summary["head"] for cell in results.cells] == ["knn"]
    assert results.run["failed"][0]["defect"]
    with pytest.raises(RuntimeError, match="out of order"):
        fewshot.evaluate(*data, head=Breaking(), shots=1, episodes=3, ways=3)


def test_other_tasks(data, workplace):
    results = fewshot.evaluate(
        *data, task="verification", head=["ncm", NCM(metric="cosine")], shots=[1, 2], ways=3,
        episodes=5,
    )  # fmt: skip
    assert len(results.rows("verification")) == 4 * 5 * 3
    assert results.episodes.empty
    assert set(results.table["auroc"] > 0.5) == {True}
    assert len(results.compare("ncm", "ncm (metric=cosine)", measure="auroc")) == 2
    assert results.plot("shots").axes


def test_forecasts(photos, tiny_net, workplace):
    forecast = fewshot.predict("photos", backbone="callable:tiny_net:network", size=16)
    assert {"backbone", "head", "error", "lower", "upper"} <= set(forecast.table)
    assert len(forecast.table) == 4
    assert forecast.best.error == forecast.table["error"].min()
    assert set(forecast.curve) == {"backbone", "head", "more", "error", "lower", "upper"}
    labels = forecast.label("photos/class_0")
    assert list(labels) == ["file", "label", "probability", "runner_up"]
    assert (labels["label"] == "class_0").mean() > 0.8
    assert "class_0" in repr(forecast) or "images" in repr(forecast)
    assert len(forecast.plot("confusion").axes[0].texts) == 36
    with pytest.raises(FewshotError, match="plot: expected one of 'curve', 'confusion'"):
        forecast.plot("curves")
    bank = fewshot.extract("photos", "callable:tiny_net:network", size=16)
    on_features = fewshot.predict(bank, head="ncm")
    assert on_features.best.head == "ncm"
    with pytest.raises(FewshotError, match="this one"):
        on_features.label("photos")
    with pytest.raises(FewshotError, match="head: expected at least one"):
        fewshot.predict("photos", head=[])


def test_public_names_are_there():
    for name in fewshot.__all__:
        assert getattr(fewshot, name) is not None
    for package in (fewshot.heads, fewshot.estimators, fewshot.datasets, fewshot.backbones):
        for name in package.__all__:
            assert getattr(package, name) is not None
        assert set(package.__all__) <= set(dir(package))
    assert fewshot.heads.LDA is LDA
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fewshot.backbones.load("efficientnet_lite0").name
    with pytest.raises(AttributeError, match="no attribute 'Lda'"):
        _ = fewshot.heads.Lda


def test_errors_of_python_name_no_options_of_the_command_line(results):
    with pytest.raises(FewshotError, match=r"^heads: no cell has 'foo'"):
        results.compare("ncm", "foo")


def test_several_backbones_are_joined():
    with pytest.raises(FewshotError, match=r"Results\.join"):
        fewshot.evaluate("digits", backbone=["resnet18", "resnet50"])
