"""What `Classifier.classify` returns: labels that print, and are written and looked up."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.report.labels.summary import headline
from fewshot.tasks.classification.labelling.labels import Label


@pytest.fixture(scope="module")
def features():
    """Four classes of six features, and as many further ones."""
    rng = np.random.default_rng(0)
    means = 3 * rng.normal(size=(4, 8))
    labels = np.repeat([f"class {c}" for c in "abcd"], 6)
    rows = [np.repeat(means, 6, 0) + rng.normal(size=(24, 8)) for _ in range(2)]
    return rows[0].astype(np.float32), labels, rows[1].astype(np.float32)


@pytest.fixture(scope="module")
def classifier(features):
    return fewshot.Classifier(backbone=None, head="ncm").fit(features[0], features[1])


@pytest.fixture(scope="module")
def labels(classifier, features):
    return classifier.classify(features[2])


def test_prints_as_the_command_does(labels):
    assert str(labels) == labels.text()
    assert str(labels).startswith("24 images: class ")
    assert "... and 4 more" in str(labels)
    assert "... and" not in labels.text(everything=True)
    assert "90 % set" in labels.text(sets=True)
    html = labels._repr_html_()
    assert html.count("<tr>") == 25
    assert "24 images: " in html


def test_table_and_lists_agree(labels, classifier, features):
    table = labels.table
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == list(Label.__dataclass_fields__)
    assert table["file"].tolist() == [str(n) for n in range(24)]
    assert table["label"].tolist() == classifier.predict(features[2]).tolist()
    chances = classifier.predict_proba(features[2])
    assert table["probability"].to_numpy() == pytest.approx(chances.max(1))
    assert len(labels) == 24
    assert sorted(row.file for row in labels.doubtful) == sorted(table["file"])
    listed = labels.as_json()
    assert json.loads(json.dumps(listed)) == listed
    assert [row["file"] for row in listed] == [row.file for row in labels.doubtful]
    assert [row["file"] for row in labels.as_json("given")] == table["file"].tolist()
    with pytest.raises(FewshotError, match="order"):
        labels.as_json("size")


def test_written_as_csv_and_as_a_page(labels, classifier, features, tmp_path):
    labels.to_csv(tmp_path / "deep" / "labels.csv")
    table = pd.read_csv(tmp_path / "deep" / "labels.csv")
    assert table["label"].tolist() == [row.label for row in labels.doubtful]
    assert table["probability"].tolist() == [row.probability for row in labels.doubtful]
    assert table["look"].tolist() == [row.look for row in labels.doubtful]
    labels.page(tmp_path / "page.html")
    assert headline(labels) in (tmp_path / "page.html").read_text(encoding="utf-8")
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    for write in (labels.page, labels.to_csv):
        with pytest.raises(FewshotError, match=r"path: .*PNG"):
            write(tmp_path / "photo.png")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"budget": 1.0}, "budget: "),
        ({"budget": "5%"}, "budget: "),
        ({"budget": True}, "budget: "),
        ({"budget": float("nan")}, "budget: "),
        ({"level": 0.0}, "level: "),
        ({"level": 95}, "level: "),
        ({"on_error": "ignore"}, "on_error: "),
    ],
)
def test_mistakes_name_the_argument(classifier, features, options, match):
    with pytest.raises(FewshotError, match=match):
        classifier.classify(features[2], **options)


def test_banks_and_what_does_not_fit(classifier, features, tmp_path):
    names = [f"im/{n}.jpg" for n in range(24)]
    bank = fewshot.FeatureBank(features[2], np.zeros(24, dtype=np.int64), ("any",), paths=names)
    assert classifier.classify(bank).table["file"].tolist() == names
    with pytest.raises(FewshotError, match="expected 8-d features"):
        classifier.classify(features[2][:, :5])
    with pytest.raises(FewshotError, match="none"):
        classifier.classify([])
    with pytest.raises(FewshotError, match="expected features"):
        classifier.classify(Image.new("RGB", (8, 8)))


def test_images_in_memory_and_in_files(colours, kept, tmp_path):
    model = fewshot.fit(colours.folder, head="ncm", **colours.network)
    pixels = [np.full((20, 24, 3), colour, np.uint8) for colour in ((40, 60, 200), (210, 50, 60))]
    labels = model.classify([Image.fromarray(pixels[0]), pixels[1]])
    assert labels.table["label"].tolist() == ["blue", "red"]
    assert labels.table["file"].tolist() == ["images[0]", "images[1]"]
    labels.page(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("data:image/webp") == 2
    (tmp_path / "torn.jpg").write_text("no image")
    (tmp_path / "photo.cr2").write_bytes(b"II*\x00 raw")
    with pytest.warns(UserWarning, match=r"1 \.cr2 file"):
        labels = model.classify([colours.folder / "red", tmp_path])
    assert labels.table["label"].tolist() == ["red"] * 5
    assert [entry["path"] for entry in labels.skipped] == [str(tmp_path / "torn.jpg")]
    with pytest.raises(FewshotError, match="torn"):
        model.classify([tmp_path / "torn.jpg"])
    with pytest.warns(UserWarning), pytest.raises(FewshotError, match="torn"):
        model.classify([colours.folder, tmp_path], on_error="raise")


def test_a_head_that_looks_at_all_images_together_gets_them_together(features, monkeypatch):
    """However many there are: the answer is that of `predict_proba`."""
    monkeypatch.setattr("fewshot.models.classifying.ROWS", 5)
    model = fewshot.Classifier(backbone=None, head="soft_kmeans").fit(features[0], features[1])
    labels = model.classify(features[2])
    together = model.predict_proba(features[2])
    assert labels.table["probability"].to_numpy() == pytest.approx(together.max(1))
    apart = np.concatenate([model.predict_proba(features[2][n : n + 5]) for n in range(0, 24, 5)])
    assert np.abs(apart - together).max() > 1e-4  # it matters
