"""Whole runs of segmentation, from a folder to rows."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

import fewshot
from fewshot.tasks.segmentation.annotated import AnnotatedImages, DrawnImages
from fewshot.tasks.segmentation.cell import counts_of_rows
from fewshot.tasks.segmentation.dense.bank import DenseBank
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.fitting import DrawFit
from fewshot.tasks.segmentation.heads.base import DenseSupport
from fewshot.tasks.segmentation.heads.dense_knn import DenseKNN
from fewshot.tasks.segmentation.heads.pixel_lda import PixelLDA
from fewshot.tasks.segmentation.heads.prototype import Prototype
from fewshot.tasks.segmentation.judging import QueryPass
from fewshot.tasks.segmentation.masks import load_masks
from fewshot.tasks.segmentation.measures import class_iou, miou
from fewshot.tasks.segmentation.sampling import DrawSampling

OPTIONS = {"size": "short:64", "stride": 8}


@pytest.fixture
def evaluate(scenes_folder, network, tmp_path):
    def run(**arguments):
        options = OPTIONS | arguments.pop("options", {})
        settings = {"head": ["pixel_lda", "prototype"], "shots": [1, 2], "episodes": 3}
        return fewshot.evaluate(
            scenes_folder, task="segmentation", backbone=network, options=options,
            **(settings | arguments),
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def results(scenes_folder, network):
    return fewshot.evaluate(
        scenes_folder, task="segmentation", backbone=network, options=OPTIONS,
        head=["pixel_lda", "prototype", "dense_knn"], shots=[1, 2], episodes=3,
    )  # fmt: skip


def test_rows_are_as_declared_and_measures_are_shares(results):
    rows = results.rows("segmentation")
    assert len(rows) == 3 * 2 * 3
    assert rows["miou"].between(0, 1).all()
    assert (rows["support_images"] <= 8 * rows["shots"]).all()
    assert len(results.rows("segmentation_classes")) == len(rows) * 8
    predictions = results.rows("segmentation_predictions")
    assert set(predictions["estimator"]) == {"loo_image", "resubstitution", "constant"}
    actual = predictions["actual_miou"].to_numpy().reshape(-1, 3)
    assert (actual == rows["miou"].to_numpy()[:, None]).all()
    assert results.table["miou"].between(0, 1).all()
    assert results.table["loo_image_mae"].between(0, 1).all()


def test_measures_are_those_of_scores_at_native_size(scenes_folder, network, results):
    """The whole way again, slowly: fit, upsample by torch, argmax, count."""
    dataset = load_masks({"kind": "folder", "root": str(scenes_folder)})
    backbone = fewshot.backbones.load(network)
    features = DenseFeatures(backbone, "short:64", 8)
    drawn = DrawSampling(shots=(1, 2), count=3).draw(dataset, 0)[0]
    bank = DenseBank(scenes_folder.parent / "banks", features, dataset.images)
    images = DrawnImages(AnnotatedImages(dataset, bank, torch.device("cpu")), drawn, 0)
    head = PixelLDA().fit(DenseSupport(images, drawn.ways))
    counts = np.zeros((3, drawn.ways))
    for row in drawn.queries_of(0):
        image, mask = dataset.images.read(int(row)), dataset.read_mask(int(row))
        tokens = features.tokens(image)
        scores = head.scores(tokens.features, tokens.grid).mT.view(1, -1, *tokens.grid).double()
        down, across = tokens.placement.resized
        scale = [n * 8 / r for n, r in zip(mask.shape, (down, across), strict=True)]
        native = interpolate(
            scores, scale_factor=scale, mode="bilinear", recompute_scale_factor=False
        )
        answer = native[0].argmax(0)[: mask.shape[0], : mask.shape[1]].numpy()
        assert answer.shape == mask.shape
        for c in range(drawn.ways):
            counts[:, c] += [
                ((mask == c) & (answer == c)).sum(),
                (mask == c).sum(),
                (answer[mask >= 0] == c).sum(),
            ]
    rows = results.rows("segmentation_classes")
    cell = rows[(rows["head"] == "pixel_lda") & (rows["shots"] == 1) & (rows["episode"] == 0)]
    assert np.allclose(cell["iou"], class_iou(counts), atol=0.002)
    assert cell["pixels"].tolist() == counts[1].astype(int).tolist()


def test_table_has_predictions_and_costs(results):
    table, cell = results.table, results.cells[0].summary
    row = table.iloc[0]
    assert row["loo_image_mae"] == cell["estimators"]["loo_image"]["mae"]
    assert row["constant_predicted_miou"] == cell["estimators"]["constant"]["predicted_miou"]
    assert (row["tokens"], row["gflops"]) == (cell["tokens"], cell["gflops"])
    assert row["heads_per_image_s"] == cell["seconds"]["heads_per_image"]
    assert row["images_upper"] == cell["miou"]["images"]["upper"]
    assert row["queries"] == "12"


def test_images_of_a_draw_add_up_to_its_row(results):
    cell = results.cells[0]
    shape = (3, 12, 8)
    counts = counts_of_rows(cell.tables["segmentation_images"], shape)
    assert np.allclose(miou(counts.sum(1)), cell.tables["segmentation"]["miou"])


def test_times_of_a_fit_are_those_of_the_head(scenes_folder, network, tmp_path, monkeypatch):
    """By a clock that only a head of pixel_lda moves on; what heads share is shared out."""
    now, fit = [0.0], PixelLDA.from_moments

    def slow(self, moments):
        now[0] += 1
        return fit(self, moments)

    monkeypatch.setattr(PixelLDA, "from_moments", slow)
    monkeypatch.setattr("fewshot.tasks.segmentation.fitting.time.perf_counter", lambda: now[0])
    dataset = load_masks({"kind": "folder", "root": str(scenes_folder)})
    features = DenseFeatures(fewshot.backbones.load(network), "short:64", 8)
    drawn = DrawSampling(shots=(1,), count=1).draw(dataset, 0)[0]
    bank = DenseBank(tmp_path, features, dataset.images)
    source = AnnotatedImages(dataset, bank, torch.device("cpu"))
    estimator = fewshot.tasks.task_named("segmentation").registry("estimator").create("loo_image")
    fits = DrawFit(source, drawn, 0, [Prototype(), PixelLDA(), _dense_knn()], 0)
    assert fits.fit_seconds.tolist() == [0, 1, 0]
    fits.predictions({"loo_image": estimator}, 0.9)
    images = len(fits.images)
    assert fits.predict_seconds.tolist() == [images / 2, images / 2, 0]


def test_time_of_an_image_does_not_grow_with_draws_and_heads(evaluate, monkeypatch):
    scores = DenseKNN.scores

    def slow(self, features, grid):
        time.sleep(0.05)
        return scores(self, features, grid)

    monkeypatch.setattr(DenseKNN, "scores", slow)
    cells = evaluate(shots=[1], head=["dense_knn", "prototype"], estimators=[]).cells
    knn, prototype = (cell.summary["seconds"]["heads_per_image"] for cell in cells)
    assert 0.05 <= knn < 0.05 * 3
    assert 0 < prototype < 0.05


def test_leaving_an_image_out_by_subtraction_is_a_refit(scenes_folder, network, tmp_path):
    dataset = load_masks({"kind": "folder", "root": str(scenes_folder)})
    features = DenseFeatures(fewshot.backbones.load(network), "short:64", 8)
    drawn = DrawSampling(shots=(2,), count=1).draw(dataset, 0)[0]
    bank = DenseBank(tmp_path, features, dataset.images)
    fit = DrawFit(AnnotatedImages(dataset, bank, torch.device("cpu")), drawn, 0, [PixelLDA()], 0)
    support = DenseSupport(fit.images, drawn.ways)
    for place in (0, 5):
        subtracted = fit._fitted(PixelLDA(), np.array([place])).map_
        refitted = PixelLDA().fit(support.without(place)).map_
        assert torch.allclose(subtracted.weights, refitted.weights, rtol=1e-4, atol=1e-6)
        assert torch.allclose(subtracted.biases, refitted.biases, rtol=1e-4, atol=1e-4)


def test_predictions_without_images_are_those_of_refits(scenes_folder, network, tmp_path):
    """Leave-one-image-out, slowly: every head from scratch, every image by itself."""
    dataset = load_masks({"kind": "folder", "root": str(scenes_folder)})
    features = DenseFeatures(fewshot.backbones.load(network), "short:64", 8)
    drawn = DrawSampling(shots=(1,), count=1).draw(dataset, 0)[0]
    source = AnnotatedImages(
        dataset, DenseBank(tmp_path, features, dataset.images), torch.device("cpu")
    )
    estimator = fewshot.tasks.task_named("segmentation").registry("estimator").create("loo_image")
    for head in (PixelLDA(), _dense_knn()):
        fit = DrawFit(source, drawn, 0, [head], 0)
        said = fit.predictions({"loo_image": estimator}, 0.9)[0]["loo_image"]
        support, counts = DenseSupport(fit.images, drawn.ways), []
        for place in range(len(fit.images)):
            fitted = head.clone().fit(support.without(place), fit.seed)
            counts.append(fit._counts([fitted], [place])[0, 0])
        iou = class_iou(np.sum(counts, 0))
        known = np.isfinite(said.iou)
        assert np.allclose(said.iou[known], iou[known], atol=2e-3)
        assert said.lower <= said.miou <= said.upper


def _dense_knn():
    from fewshot.tasks.segmentation.heads.dense_knn import DenseKNN

    return DenseKNN(k=5)


def test_rows_are_the_same_on_one_core_or_many(evaluate):
    one, two = (evaluate(threads=threads, shots=1) for threads in (1, 2))
    for table in ("segmentation", "segmentation_images", "segmentation_class_predictions"):
        assert one.rows(table).equals(two.rows(table))


def test_one_pass_gives_what_cells_by_themselves_give(evaluate, results):
    alone = evaluate(head="prototype", shots=2).rows("segmentation")
    together = results.rows("segmentation")
    among = together[(together["head"] == "prototype") & (together["shots"] == 2)]
    assert alone["miou"].tolist() == among["miou"].tolist()


def test_finished_cells_are_taken_and_others_computed(evaluate, tmp_path):
    first = evaluate(runs=tmp_path, head="pixel_lda", shots=1)
    first.save(tmp_path)
    both = evaluate(runs=tmp_path, shots=1)
    taken = [cell.summary["reused_from"] is not None for cell in both.cells]
    assert taken == [True, False]
    assert both.cells[0].summary["comparisons"][0]["second"] == "prototype"
    never = evaluate(runs=tmp_path, head="pixel_lda", shots=1, policy="never")
    assert never.rows("segmentation").equals(first.rows("segmentation"))


@pytest.mark.slow
def test_images_judged_before_a_kill_are_not_judged_again(evaluate, tmp_path, monkeypatch):
    expected = evaluate(shots=1).rows("segmentation")
    monkeypatch.setattr("fewshot.tasks.segmentation.judging.IMAGES_PER_FILE", 3)
    count, judged = QueryPass.count, []

    def killed(self, row):
        if len(judged) == 7:
            raise KeyboardInterrupt
        judged.append(row)
        return count(self, row)

    monkeypatch.setattr(QueryPass, "count", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(shots=1, runs=tmp_path, threads=1)
    judged.clear()
    monkeypatch.setattr(
        QueryPass, "count", lambda self, row: judged.append(row) or count(self, row)
    )
    again = evaluate(shots=1, runs=tmp_path, threads=1).rows("segmentation")
    assert again.equals(expected)
    assert len(judged) == 12 - 6


def test_a_head_that_fails_does_not_take_others_with_it(evaluate, monkeypatch):
    from fewshot.tasks.segmentation.heads.prototype import Prototype

    def fail(self, moments):
        raise fewshot.FewshotError("head", "expected something else")

    monkeypatch.setattr(Prototype, "from_moments", fail)
    with pytest.warns(UserWarning, match="expected something else"):
        results = evaluate(shots=1)
    assert [cell.summary["head"] for cell in results.cells] == ["pixel_lda"]
    with pytest.raises(fewshot.FewshotError, match="something else"):
        evaluate(head="prototype", shots=1)


def test_heads_for_other_numbers_of_classes_are_left_out(evaluate):
    with pytest.warns(UserWarning, match="left out: repri"):
        results = evaluate(head=["pixel_lda", "repri"], shots=1)
    assert len(results.cells) == 1
    with pytest.raises(fewshot.FewshotError, match="expected 2 classes"):
        evaluate(head="repri", shots=1)


def test_episodes_of_one_class_and_the_background(evaluate):
    results = evaluate(head=["pixel_lda", "repri"], shots=1, sampler="episodic", ways=1, episodes=6)
    rows = results.rows("segmentation")
    assert rows["fb_iou"].notna().all()
    assert (rows["ways"] == 2).all()
    classes = results.rows("segmentation_classes")
    assert np.allclose(classes[classes["class"] != "background"]["iou"], rows["miou"])
    both = classes.groupby(["head", "episode"], sort=False)["iou"].mean()
    assert np.allclose(both, rows["fb_iou"])
    summary = results.cells[0].summary
    assert 0 <= summary["miou_by_class"] <= 1
    names = {entry["name"] for entry in summary["classes"]}
    assert "background" in names
    assert len(names) > 2


def test_boundary_iou_only_where_asked_for(evaluate, results):
    assert results.rows("segmentation")["boundary_iou"].isna().all()
    near = evaluate(head="pixel_lda", shots=1, options={"boundary": True}).rows("segmentation")
    assert near["boundary_iou"].between(0, 1).all()


def test_groups_give_predictions_for_new_places(scenes_folder, network):
    dataset = load_masks({"kind": "folder", "root": str(scenes_folder)})
    place = {int(row): i for i, row in enumerate(dataset.support)}
    groups = tuple(f"drive {place[row] % 4}" if row in place else "judged" for row in range(36))
    results = fewshot.evaluate(
        replace(dataset, groups=groups), task="segmentation", backbone=network, options=OPTIONS,
        shots=2, episodes=2, estimators=["loo_group", "loo_image"],
    )  # fmt: skip
    rows = results.rows("segmentation_predictions").set_index("estimator")["predicted_miou"]
    assert rows.notna().all()
    assert (rows["loo_group"].to_numpy() != rows["loo_image"].to_numpy()).all()


def test_images_of_one_annotated_class_come_with_a_reservation(scenes_folder, network):
    sampling = DrawSampling(shots=(2,), count=1, annotate="target")
    draws = sampling.draw(load_masks({"kind": "folder", "root": str(scenes_folder)}), 0)[0]
    rows = fewshot.evaluate(
        scenes_folder, task="segmentation", backbone=network, options=OPTIONS, episodes=draws,
        estimators=["loo_image"],
    ).rows("segmentation_predictions")  # fmt: skip
    assert "one class is annotated in each image" in rows["reservations"].iloc[0][-1]


def test_loo_group_says_why_it_has_nothing_to_say(evaluate):
    rows = evaluate(shots=1, estimators=["loo_group"]).rows("segmentation_predictions")
    assert rows["predicted_miou"].isna().all()
    assert "dataset.group" in rows["reservations"].iloc[0][0]


def test_pictures_are_of_the_first_draw(results):
    rows = results.rows("segmentation_examples")
    assert rows.groupby("episode")["picture"].apply(lambda p: (p != "").all()).tolist() == [
        True, False, False,
    ]  # fmt: skip
    assert rows["picture"].iloc[0].startswith("data:image/webp;base64,")


def test_a_run_folder_has_draws_that_can_be_replayed(evaluate, results, tmp_path):
    from fewshot.tasks.segmentation.draw_files import load_draws

    folder = results.save(tmp_path)
    files = sorted((folder / "episodes").iterdir())
    assert len(files) == 2
    draws = load_draws(files[0])
    again = evaluate(head="pixel_lda", episodes=draws).rows("segmentation")
    rows = results.rows("segmentation")
    same = rows[(rows["head"] == "pixel_lda") & (rows["shots"] == draws.shots)]
    assert again["miou"].tolist() == same["miou"].tolist()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["data"]["support_part"] == 24


@pytest.mark.slow
def test_keys_change_with_what_rows_depend_on_and_with_nothing_else(evaluate):
    def key(**arguments):
        return evaluate(**({"head": "pixel_lda", "shots": 1} | arguments)).cells[0].summary["key"]

    assert key(episodes=1) == key(episodes=1, threads=1)
    changes = [
        {}, {"seed": 1}, {"options": {"size": "short:72"}}, {"options": {"level": 0.8}},
        {"estimators": ["loo_image"]}, {"sampler": "total"}, {"head": PixelLDA(tau=0)},
    ]  # fmt: skip
    assert len({key(episodes=1, **change) for change in changes}) == len(changes)


def test_unreadable_images_are_named(scenes_folder, network, tmp_path):
    folder = tmp_path / "torn"
    shutil.copytree(scenes_folder, folder)
    path = sorted((folder / "images").rglob("*.*"))[-1]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(fewshot.FewshotError, match=path.stem):
        fewshot.evaluate(
            folder, task="segmentation", backbone=network, options=OPTIONS, shots=1, episodes=1
        )


PEAK = """
import resource, sys
import fewshot
from fewshot.tasks.segmentation.masks import load_masks
sys.path.insert(0, sys.argv[1])
scenes = load_masks({"kind": "scenes", "train": 20, "test": int(sys.argv[2]), "size": [96, 128]})
fewshot.evaluate(
    scenes, task="segmentation", backbone="callable:segmentation_filters:filters",
    options={"size": "native", "stride": 8}, head=["pixel_lda", "prototype"], shots=[1, 2],
)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_queries(network):
    folder = next(place for place in sys.path if Path(place, "segmentation_filters.py").is_file())
    peaks = [
        int(subprocess.run([sys.executable, "-c", PEAK, folder, number], check=True,
                           capture_output=True, text=True).stdout.split()[-1]) / 1024
        for number in ("50", "500")
    ]  # fmt: skip
    assert peaks[1] - peaks[0] < 100, peaks
