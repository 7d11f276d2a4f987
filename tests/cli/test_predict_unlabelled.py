"""``fewshot predict --unlabelled`` and ``fewshot.predict(unlabelled=...)``, good and bad."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fewshot as package
from fewshot.estimators.auto import NOT_LEARNED
from fewshot.estimators.calibration.doubts import (
    MOSTLY_STRANGERS,
    NONE_OF_A_CLASS,
    STRANGERS,
)
from fewshot.estimators.calibration.regimes import (
    NUMBERS,
    REGIMES,
    SUPPORT_ALONE,
    with_number,
)
from fewshot.estimators.calibration.transferred import load_general
from fewshot.evaluation import predict_inputs
from fewshot.exceptions import FewshotError
from fewshot.features.bank import make_bank
from fewshot.heads import NCM
from fewshot.statistics import TRANSFER_SCORES

NETWORK = ("--backbone", "callable:tiny_net:network", "--size", "16", "--head", "ncm")
PLAIN = ["backbone", "head", "error", "lower", "upper", "calibrated_on", "note", "warnings",
         "price"]  # fmt: skip
FURTHER = ["unlabelled", "outside", "strangers", "error_support", "lower_support", "upper_support"]


def saved(path, learned=True):
    """A calibrator whose intervals narrow with unlabelled images; or one without models of them."""
    general = load_general()
    alone = {name: general.models[name] for name in SUPPORT_ALONE if name in general.models}
    models = dict(alone)
    for name, model in alone.items() if learned else ():
        for seen in ("unlabelled", "unlabelled, prior"):
            covariates = REGIMES.get(f"{name}, {seen}", ())
            kept = [n for n, known in enumerate(model.covariates) if known in covariates]
            more = len(covariates) - len(kept)
            for number in NUMBERS if covariates else ():
                models[with_number(f"{name}, {seen}", number)] = replace(
                    model,
                    covariates=covariates,
                    centre=np.append(model.centre[kept], [-1.2] * more),
                    scale=np.append(model.scale[kept], [0.5] * more),
                    coefficients=np.column_stack(
                        [
                            model.coefficients[:, [0, *(1 + n for n in kept)]],
                            *[np.full(len(model.shots), 0.2)] * more,
                        ]
                    ),
                    residuals=model.residuals * (0.4 + 1 / number),
                )
    replace(general, models=models).save(path)
    return str(path)


@pytest.fixture
def calibrator(tmp_path):
    return saved(tmp_path / "seen.json")


def clouds(counts, seed=0, dim=12, spread=0.5):
    """Features of so many images of each class, and their labels; the classes stay the same."""
    labels = np.repeat(np.arange(len(counts)), counts)
    means = np.random.default_rng(99).normal(size=(24, dim))
    noise = np.random.default_rng(seed).normal(size=(len(labels), dim))
    return (means[labels] + spread * noise).astype("float32"), labels


def feature_files(folder, unlabelled=(30, 30, 30, 30), shots=5):
    """Files of a support of four classes and of unlabelled features."""
    features, labels = clouds([shots] * 4, seed=1)
    np.savez(folder / "own.npz", features=features, labels=labels)
    np.savez(folder / "rest.npz", features=clouds(unlabelled, seed=2)[0])
    return str(folder / "own.npz"), str(folder / "rest.npz")


def answer(fewshot, *arguments):
    done = fewshot("predict", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_side_by_side_with_the_support_alone(fewshot, tmp_path, calibrator):
    own, rest = feature_files(tmp_path)
    common = ("--calibrator", calibrator, "--head", "ncm,lda")
    alone = {row["head"]: row for row in answer(fewshot, own, *common)["forecasts"]}
    both = answer(fewshot, own, *common, "--unlabelled", rest)["forecasts"]
    assert {row["head"] for row in both} == alone.keys()
    for row in both:
        support = alone[row["head"]]
        assert set(row) - set(support) == {*FURTHER, "unlabelled_curve"}
        for name in ("error", "lower"):
            assert row[f"{name}_support"] == support[name]
        # What choosing among the two costs is in the upper bound of the one that is taken.
        assert row["upper_support"] == pytest.approx(support["upper"] - support["price"])
        assert row["upper"] - row["lower"] < support["upper"] - support["lower"]
        assert row["lower"] <= row["error"] <= row["upper"]
        assert row["unlabelled"] == 120 and 0 <= row["outside"] < 0.2
    words = " ".join(fewshot("predict", own, *common, "--unlabelled", rest).out.split())
    assert "120 unlabelled images, about" in words and "as is usual" in words
    assert "from the support alone" in words and "per class images predicted error" in words
    assert "from the support alone" not in fewshot("predict", own, *common).out


def test_table_and_curve(tmp_path, calibrator):
    own, rest = feature_files(tmp_path)
    plain = package.predict(own, calibrator=calibrator)
    assert list(plain.table) == [*PLAIN, *TRANSFER_SCORES]
    assert plain.unlabelled_curve.empty
    seen = package.predict(own, calibrator=calibrator, unlabelled=rest)
    assert list(seen.table) == [*PLAIN, *FURTHER, *TRANSFER_SCORES]
    curve = seen.unlabelled_curve
    assert list(curve) == [
        "backbone", "head", "images", "per_class", "error", "lower", "upper", "width"
    ]  # fmt: skip
    for row in seen.rows:
        points = curve[curve["head"] == row.head]
        assert points["per_class"].tolist() == [0, 5, 10, 20, 30]
        assert points["images"].tolist() == [0, 20, 40, 80, 120]
        first, last = points.iloc[0], points.iloc[-1]
        assert (first["error"], first["upper"]) == (row.seen.error_support, row.seen.upper_support)
        assert (last["error"], last["lower"]) == (row.error, row.lower)
        assert first["width"] > last["width"] > 0
    again = package.predict(own, calibrator=calibrator, unlabelled=rest)
    assert again.unlabelled_curve.equals(curve)  # seeded


def test_arrays_and_banks_are_unlabelled_features_too(tmp_path, calibrator):
    own, rest = feature_files(tmp_path)
    features, labels = clouds((30, 30, 30, 30), seed=2)
    np.savez(tmp_path / "labelled.npz", features=features, labels=labels)
    by_file, by_array, several, labelled = (
        package.predict(own, head="ncm", calibrator=calibrator, unlabelled=data)
        for data in (rest, features, [rest, features[:7]], str(tmp_path / "labelled.npz"))
    )
    for other in (by_array, several, labelled):
        assert other.best == by_file.best
    assert by_file.notes == ()
    assert several.notes == ("7 unlabelled images are copies of others, and counted once",)
    assert labelled.notes == ("labels of unlabelled features were not looked at",)


@pytest.mark.parametrize(
    ("counts", "reasons", "detail"),
    [((20, 20, 20, 20), (), ""),
     ((10, 10, 10, 10, *[8] * 5), (STRANGERS, MOSTLY_STRANGERS), r"about \d\d of 80"),
     ((10, 10, 10, 10, *[8] * 12), (MOSTLY_STRANGERS,), "rather go by the number from the support"),
     ((30, 0, 30, 30), (NONE_OF_A_CLASS,), "1$")],
)  # fmt: skip
def test_what_the_checks_say(tmp_path, calibrator, counts, reasons, detail):
    features, labels = clouds([5] * 4, seed=1, dim=32, spread=0.25)
    np.savez(tmp_path / "own.npz", features=features, labels=labels)
    images, classes = clouds(counts, seed=2, dim=32, spread=0.25)
    made = package.predict(
        str(tmp_path / "own.npz"), head="ncm", calibrator=calibrator, unlabelled=images
    )
    seen = made.best.seen
    every = (STRANGERS, MOSTLY_STRANGERS, NONE_OF_A_CLASS)
    said = [text for text in made.best.warnings if text.startswith(every)]
    assert len(said) == bool(reasons)
    assert all(text.partition(":")[0] in reasons and re.search(detail, text) for text in said)
    assert seen.outside == pytest.approx((classes > 3).mean(), abs=0.15)
    assert seen.strangers == (STRANGERS in reasons or MOSTLY_STRANGERS in reasons)
    assert ("as is usual" in " ".join(repr(made).split())) != seen.strangers
    assert seen.error_support != made.best.error


def test_without_a_calibration_for_them_they_are_not_looked_at(fewshot, tmp_path):
    own, rest = feature_files(tmp_path)
    old = saved(tmp_path / "old.json", learned=False)
    (row,) = answer(
        fewshot, own, "--unlabelled", rest, "--calibrator", old, "--head", "ncm"
    )["forecasts"]  # fmt: skip
    assert NOT_LEARNED in row["warnings"]
    assert (row["unlabelled"], row["outside"], row["unlabelled_curve"]) == (0, None, [])
    assert row["error"] == row["error_support"] and row["upper"] == row["upper_support"]


class Picky(NCM):
    """Scores none but few images at a time."""

    def scores(self, query):
        scores = super().scores(query)
        return scores * np.nan if scores.shape[1] > 50 else scores


def test_head_that_cannot_score_them(tmp_path, calibrator):
    own, rest = feature_files(tmp_path)
    heads = [Picky(), "lda"]
    made = package.predict(own, head=heads, calibrator=calibrator, unlabelled=rest)
    picky, lda = sorted(made.rows, key=lambda row: row.head == "lda")
    assert any("unlabelled images were not looked at: " in text for text in picky.warnings)
    assert (picky.seen.unlabelled, picky.error) == (0, picky.seen.error_support)
    assert lda.seen.unlabelled == 120
    assert "unlabelled images were not looked at" in " ".join(repr(made).split())


def test_few_and_many_images_are_outside_of_what_was_measured(tmp_path, calibrator):
    own, _ = feature_files(tmp_path)
    for counts, words in (((1, 1, 1, 0), "0.75 unlabelled"), ((60,) * 4, "60 unlabelled")):
        made = package.predict(
            own, head="ncm", calibrator=calibrator, unlabelled=clouds(counts, seed=2)[0]
        )
        (text,) = (text for text in made.best.warnings if "unlabelled images per class" in text)
        assert text.startswith(words) and "measured on 5 to 50" in text
        assert made.unlabelled_curve["images"].tolist()[-1] == sum(counts)


def test_one_shot_says_what_the_support_alone_lacks(tmp_path, calibrator):
    own, rest = feature_files(tmp_path, shots=1)
    made = package.predict(own, head="ncm", calibrator=calibrator, unlabelled=rest)
    assert made.best.note is None
    assert any(text.startswith("from the support alone: one shot") for text in made.best.warnings)


def test_base_classes_are_drawn_with_unlabelled_images(tmp_path, calibrator):
    own, _ = feature_files(tmp_path)
    features, labels = clouds([0] * 4 + [24] * 20, seed=5)
    base = {}
    for room, each in (("large", 24), ("small", 11), ("none", 10)):
        kept = np.concatenate([np.flatnonzero(labels == c)[:each] for c in range(4, 24)])
        base[room] = str(tmp_path / f"{room}.npz")
        names = [f"other{c}" for c in labels[kept]]
        np.savez(base[room], features=features[kept], labels=names)
    common = {"head": "ncm", "calibrator": calibrator, "unlabelled": clouds([8] * 4, seed=2)[0]}
    large, small, none = (package.predict(own, base=path, **common) for path in base.values())
    assert large.best.calibrated_on == small.best.calibrated_on == "base"
    assert none.best.calibrated_on == "datasets"
    assert not any("have room for" in text for text in large.best.warnings)
    assert any("have room for 1 beside" in text for text in small.best.warnings)
    assert any("too few images, for unlabelled ones" in text for text in none.best.warnings)
    alone = package.predict(own, base=base["large"], head="ncm", calibrator=calibrator)
    assert alone.best.error == large.best.seen.error_support
    assert large.unlabelled_curve["per_class"].tolist() == [0, 5, 8]


def colours(folder, classes, images, seed, flat=False):
    """Images of one colour per class, in a folder each or all in one; the colours stay."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).integers(40, 215, (8, 3))
    for c in classes:
        place = folder if flat else folder / f"class_{c}"
        place.mkdir(parents=True, exist_ok=True)
        for i in range(images):
            colour = centres[c] + rng.normal(0, 12, 3)
            pixels = np.clip(rng.normal(colour, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{seed}_{c}_{i}.png")


@pytest.fixture
def photographs(tmp_path, tiny_net, calibrator):
    """Folders of a support of three classes and of unlabelled images, and the options to use."""
    colours(tmp_path / "own", range(3), 4, seed=1)
    colours(tmp_path / "roll" / "deep" / "er", range(3), 6, seed=2, flat=True)
    return str(tmp_path / "own"), str(tmp_path / "roll"), (*NETWORK, "--calibrator", calibrator)


def test_shots_copies_and_queries_count_once(fewshot, tmp_path, photographs):
    own, roll, options = photographs
    expected = answer(fewshot, own, *options, "--unlabelled", roll)
    assert expected["forecasts"][0]["unlabelled"] == 18 and expected["notes"] == []
    shutil.copy(tmp_path / "own/class_0/1_0_0.png", tmp_path / "roll/shot.png")
    shutil.copy(tmp_path / "own/class_1/1_1_0.png", tmp_path / "roll/another.png")
    shutil.copy(next(Path(roll, "deep/er").iterdir()), tmp_path / "roll/copy.png")
    (tmp_path / "link").symlink_to(roll)
    mixed = answer(
        fewshot, own, *options, "--unlabelled", roll, roll, "--unlabelled", str(tmp_path / "link")
    )
    assert mixed["notes"] == [
        "2 unlabelled images are among the labelled ones as well, and not counted as unlabelled",
        "1 unlabelled image is a copy of others, and counted once",
    ]
    assert mixed["forecasts"][0]["unlabelled"] == 18
    colours(tmp_path / "ask", range(2), 3, seed=3, flat=True)
    shutil.copy(tmp_path / "ask/3_0_0.png", tmp_path / "roll/asked.png")
    both = answer(fewshot, own, *options, "--unlabelled", roll, "--query", str(tmp_path / "ask"))
    assert "1 unlabelled image is among the query images as well, and counted once" in both["notes"]
    assert both["forecasts"][0]["unlabelled"] == 18 + 6
    assert len(both["labels"]) == 6
    words = " ".join(fewshot("predict", own, *options, "--unlabelled", roll).out.split())
    assert "Note: 2 unlabelled images are among the labelled ones as well, and not counted" in words


def test_queries_alone_count_as_unlabelled(fewshot, tmp_path, photographs):
    own, roll, options = photographs
    query = answer(fewshot, own, *options, "--query", roll)
    unlabelled = answer(fewshot, own, *options, "--unlabelled", roll)
    assert query["forecasts"][0]["unlabelled"] == 18
    assert query["forecasts"][0]["error"] == pytest.approx(unlabelled["forecasts"][0]["error"])
    assert len(query["labels"]) == 18 and unlabelled["labels"] == []
    shots = answer(fewshot, own, *options, "--query", own)  # whoever looks at their labels
    assert len(shots["labels"]) == 12
    assert "unlabelled" not in shots["forecasts"][0]
    python = package.predict(own, backbone=NETWORK[1], size=16, head="ncm", query=roll)
    assert len(python.label()) == 18


def test_unreadable_images(fewshot, refusal, tmp_path, photographs):
    own, roll, options = photographs
    Path(roll, "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "torn.png" in refusal("predict", own, *options, "--unlabelled", roll, "--strict")
    made = answer(fewshot, own, *options, "--unlabelled", roll)
    assert [Path(entry["path"]).name for entry in made["skipped"]] == ["torn.png"]
    assert made["forecasts"][0]["unlabelled"] == 18
    queried = answer(fewshot, own, *options, "--query", roll)
    assert [Path(entry["path"]).name for entry in queried["skipped"]] == ["torn.png"]
    assert queried["forecasts"][0]["unlabelled"] == len(queried["labels"]) == 18


def test_refusals(refusal, tmp_path, photographs):
    own, _, options = photographs
    _, features = feature_files(tmp_path)
    (tmp_path / "empty").mkdir()
    for words, place in (
        ("no image in", str(tmp_path / "empty")),
        ("got nothing at", str(tmp_path / "nowhere")),
        ("expected images or folders of images, as the support is, got features", features),
        ("got 12 images, all of them shots", own),
    ):
        message = refusal("predict", own, *options, "--unlabelled", place)
        assert message.startswith("--unlabelled: ")
        assert words in message
    message = refusal("predict", own, *options, "--query", features)
    assert message.startswith("--query: expected images")


def test_refusals_of_features(refusal, tmp_path):
    own, _ = feature_files(tmp_path)
    np.savez(tmp_path / "other.npz", features=clouds([9], dim=7)[0])
    np.savez(tmp_path / "nan.npz", features=clouds([9])[0] * np.nan)
    for words, place in (
        ("expected features, as the support is, got", str(tmp_path)),
        ("expected 12-d features, as those of the support, got 7-d ones", tmp_path / "other.npz"),
        ("got 20 images, all of them shots", own),
        ("nan.npz", tmp_path / "nan.npz"),
        ("nothing there", tmp_path / "nowhere.npz"),
    ):
        message = refusal("predict", own, "--unlabelled", str(place))
        assert message.startswith("--unlabelled: ") and words in message
    assert refusal("predict", own, "--query", str(tmp_path)).startswith("--query: expected ")
    for data in (np.zeros(12), [], 3):
        with pytest.raises(FewshotError, match="unlabelled: expected features"):
            package.predict(own, unlabelled=data)
    bank = make_bank(*clouds([5] * 4), info={"backbone": "net_a", "skipped": []})
    other = make_bank(*clouds([5] * 4, seed=1), info={"backbone": "net_b", "skipped": []})
    with pytest.raises(FewshotError, match=r"features of net_a.* got features of net_b"):
        package.predict(bank, unlabelled=other)


def test_of_very_many_images_some_are_taken(tmp_path, calibrator, monkeypatch):
    monkeypatch.setattr(predict_inputs, "MOST_IMAGES", 40)
    own, rest = feature_files(tmp_path)
    made = package.predict(own, head="ncm", calibrator=calibrator, unlabelled=rest)
    assert made.notes == ("of 120 unlabelled images 40 were taken at random",)
    assert made.best.seen.unlabelled == 40
