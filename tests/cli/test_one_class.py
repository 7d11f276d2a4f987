"""``fewshot task=one_class``."""

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import torch

from fewshot.backbones.base import Backbone, DualEncoder
from fewshot.backbones.transform import Transform


@pytest.fixture
def named_features(feature_file):
    """``f.npz`` with a text vector per class and a split."""
    with np.load(feature_file) as old:
        labels = old["labels"]
        text = np.stack([old["features"][labels == c].mean(0) for c in range(6)])
        split = np.where(labels < 3, "base", "novel")
        np.savez(feature_file, **old, text=text, split=split)
    return ["task=one_class", "dataset=features", f"dataset.path={feature_file}", "threads=1",
            "one_class.tasks=6", "one_class.draws=50"]  # fmt: skip


def test_features_with_text_have_the_names_of_classes(fewshot, named_features):
    done = fewshot(*named_features, "one_class.prevalences=[0.5,0.25]")
    assert done.code == 0, done.err
    assert "left out: confusers of source llm: " in done.err
    assert "expected vocabulary or random" in done.err
    assert "left out: generic (it needs a text encoder)" in done.err
    (table,) = Path("runs").rglob("one_class.parquet")
    rows = pd.read_parquet(table)
    assert set(rows["source"]) == {"none", "oracle", "vocabulary", "random"}
    assert len(rows) == (1 + 7 * 3) * 6 * 2
    summary = json.loads((table.parent / "summary.json").read_text())
    assert {cell["task"] for cell in summary["cells"]} == {"one_class"}
    assert any(entry["head"] == "source llm" for entry in summary["left_out"])
    assert summary["cells"][0]["base"]["classes"] == 3
    assert "One-class: " in done.out
    done = fewshot("report", "runs", "--output", "all.html")
    assert done.code == 0
    assert '"task":"one_class"' in Path("all.html").read_text()


def test_the_same_run_again_takes_all_its_cells(fewshot, refusal, named_features, monkeypatch):
    quick = [*named_features, "one_class.sources=[oracle,random]"]
    message = refusal(*quick, "results.policy=never")
    assert message.startswith("results.policy: never to compute, but no earlier run has")
    fewshot(*quick)
    (first,) = Path("runs").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("fewshot.tasks.one_class.cells.judged", None)
        done = fewshot(*quick, "results.policy=never", "paths.runs=runs")
        assert done.code == 0, done.err
        assert "15 cells taken from earlier runs, 0 computed" in done.out
    (second,) = set(Path("runs").iterdir()) - {first}
    rows, repeated = (pd.read_parquet(run / "one_class.parquet") for run in (first, second))
    pd.testing.assert_frame_equal(rows, repeated, check_exact=True)
    cells = [json.loads((run / "summary.json").read_text())["cells"] for run in (first, second)]
    assert {cell.pop("reused_from") for cell in cells[0]} == {None}
    assert {cell.pop("reused_from") for cell in cells[1]} == {first.name}
    assert cells[0] == cells[1]


@pytest.mark.parametrize("change", ["one_class.gamma=0.4", "one_class.draws=40", "seed=1"])
def test_other_settings_are_other_cells(fewshot, named_features, change):
    quick = [*named_features, "one_class.rules=[max,anp_ft]", "one_class.sources=[random]"]
    fewshot(*quick)
    done = fewshot(*quick, change)
    assert done.code == 0, done.err
    assert "taken from earlier runs" not in done.out


def test_base_classes_are_the_vocabulary_of_features(fewshot, refusal, named_features):
    """Also where names have underscores; without base classes there is none."""
    names = np.array(["sea_horse", "grand_piano", "stop sign", "tick", "pizza", "lotus"])
    with np.load("f.npz") as old:
        arrays = dict(old) | {"classnames": names}
    np.savez("f.npz", **arrays)
    settings = [*named_features, "one_class.sources=[vocabulary,random]"]
    done = fewshot(*settings)
    assert done.code == 0, done.err
    assert "left out: confusers" not in done.err
    summary = json.loads(next(Path("runs").rglob("summary.json")).read_text())
    used = {cell["source"]: cell["confusers"] for cell in summary["cells"] if cell["confusers"]}
    assert set(used) == {"vocabulary", "random"}
    for source in used.values():
        assert source["record"]["vocabulary"] == "base classes"
        assert set(source["names"]) == {"tick", "pizza", "lotus"}
        for confusers in source["names"].values():
            assert set(confusers) == {"sea horse", "grand piano", "stop sign"}
    del arrays["split"]
    np.savez("bare.npz", **arrays)
    done = fewshot(*settings, "one_class.learn_from=bare.npz", "one_class.rules=[anp_ft_fitted]")
    assert done.code == 0, done.err  # all classes of a file without a split are base classes
    assert "left out" not in done.err
    np.savez("f.npz", **arrays)
    assert "names of base classes" in refusal(*settings[:-1], "one_class.sources=[vocabulary]")


def test_learning_from_another_file(fewshot, named_features):
    with np.load("f.npz") as old:
        arrays = {key: old[key] for key in ("features", "labels", "text")}
        np.savez("f.npz", **arrays)
        arrays["features"] = arrays["features"][::-1]
        np.savez("other.npz", **arrays | {"labels": arrays["labels"][::-1]})
    done = fewshot(*named_features, "one_class.sources=[oracle]")
    assert "fixed, anp_ft" in done.err or "fixed (" in done.err
    settings = ["one_class.learn_from=other.npz", "one_class.sources=[oracle]"]
    done = fewshot(*named_features, *settings)
    assert done.code == 0, done.err
    assert "learned on 6 base classes of other" in done.out


def test_nothing_is_learned_on_what_is_judged(refusal, named_features):
    Path("same.npz").write_bytes(Path("f.npz").read_bytes())
    settings = ["one_class.learn_from=same.npz", "one_class.sources=[oracle]"]
    message = refusal(*named_features, *settings)
    assert message.startswith("one_class.learn_from: expected other images than those")


def test_refusals_come_before_any_work(refusal, named_features):
    def refused(*settings):
        return refusal(*named_features, *settings)

    assert "Did you mean 'anp'" in refused("one_class.rules=[amp]")
    assert refused("one_class.prevalences=[0]").startswith("one_class.prevalences: expected a num")
    assert "without a text encoder" in refused("one_class.sources=[llm]")
    message = refused("one_class.negatives=distance", "one_class.sources=[llm,oracle]")
    assert "distance needs a taxonomy" in message
    assert refused("text.source=both").startswith("text.source: expected templates")
    assert "Did you mean" in refused("one_class.confusers.kk=3")
    message = refused("one_class.rules=[generic]", "one_class.sources=[oracle]")
    assert "no rule has all it needs (generic: it needs a text encoder)" in message


def test_networks_and_features_without_texts(refusal, image_settings, feature_file):
    assert "has no text encoder" in refusal("task=one_class", *image_settings)
    message = refusal("task=one_class", "dataset=features", f"dataset.path={feature_file}")
    assert message.startswith("task=one_class: it needs text vectors of the classes")


class Reader(Backbone):
    """Mean colours of images, and a direction for every text."""

    name, feature, has_text, weights_digest = "reader", "projection", True, "0"
    transform = Transform(16, 1.0, mean=(0.5,) * 3, std=(1.0,) * 3)
    loaded = 0

    def weights_file(self):
        raise NotImplementedError

    def architecture(self):
        return {}

    def load(self, device):
        return self.load_dual(device).encode_image

    def load_dual(self, device):
        Reader.loaded += 1
        return DualEncoder(lambda images: images.mean((2, 3)), self._texts, 9.0, 0.0, 20)

    def _texts(self, texts):
        seeds = (torch.Generator().manual_seed(crc32(text.encode())) for text in texts)
        return torch.stack([torch.randn(3, generator=seed) for seed in seeds])


def test_images_with_a_vocabulary_and_the_cache(fewshot, photos, monkeypatch):
    monkeypatch.setattr("fewshot.evaluation.build.load_backbone", lambda *_, **__: Reader())
    Path("words.txt").write_text("\n".join(f"thing {i}" for i in range(30)))
    settings = ["task=one_class", "dataset=folder", "dataset.root=photos", "dataset.split=random",
            "one_class.sources=[vocabulary,random]", "one_class.confusers.vocabulary=words.txt",
            "one_class.confusers.k=4", "one_class.tasks=6", "one_class.draws=50",
            "threads=1"]  # fmt: skip
    done = fewshot(*settings)
    assert done.code == 0, done.err
    assert "left out" not in done.err
    loaded = Reader.loaded
    assert fewshot(*settings, "results.policy=always").code == 0
    assert Reader.loaded == loaded  # features and texts came from the cache
    tables = [pd.read_parquet(path) for path in sorted(Path("runs").rglob("one_class.parquet"))]
    assert len(tables) == 2
    pd.testing.assert_frame_equal(*tables)
    assert len(tables[0]) == (2 + 2 * 7) * 6 * 4
    summary = json.loads(next(Path("runs").rglob("summary.json")).read_text())
    used = [cell["confusers"] for cell in summary["cells"] if cell["confusers"]]
    assert [source["record"]["source"] for source in used] == ["vocabulary", "random"]
    assert all(len(names) <= 4 for source in used for names in source["names"].values())
