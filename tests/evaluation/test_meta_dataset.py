"""Meta-Dataset's episodes and unequal shots as they are asked for, and what is said of them."""

import json
import re

import numpy as np
import pytest

import fewshot
from fewshot.exceptions import FewshotError

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(24), RNG.integers(8, 25, 24))
FEATURES = RNG.normal(size=(24, 8))[LABELS] + RNG.normal(size=(len(LABELS), 8))
NAMES = [f"group {c // 8}/class {c}" for c in range(24)]


def evaluate(sampler="meta_dataset", **changes):
    arguments = {"estimators": ["gaussian"], "episodes": 20, "classnames": NAMES} | changes
    return fewshot.evaluate(FEATURES, LABELS, sampler=sampler, **arguments)


def test_rows_summary_and_words():
    result = evaluate(head=["ncm", "lda"])
    rows = result.episodes
    assert rows["classes"].map(len).between(5, 24).all()
    assert rows["classes"].map(len).nunique() > 3
    assert (rows["support"] >= rows["classes"].map(len)).all()
    assert rows["actual_error"].between(0, 1).all()
    cell = result.table.iloc[0]
    assert cell["protocol"] == "meta_dataset(5-50 ways)"
    assert (rows["ways"] == cell["ways"]).all()
    ways = rows["classes"].map(len)
    assert f"{ways.min()}-{ways.max()}" in str(result)
    assert "meta_dataset(5-50 ways)" in str(result)
    gaps = result.compare("ncm", "lda").iloc[0]
    by_head = [rows[rows["head"] == name]["accuracy"].to_numpy() for name in ("ncm", "lda")]
    assert gaps["difference"] == pytest.approx((by_head[0] - by_head[1]).mean())


def test_numbers_and_rules():
    few = {"name": "meta_dataset", "min_ways": 3, "max_support": 12}
    rows = evaluate(few, ways=6, queries=2).episodes
    ways = rows["classes"].map(len)
    assert ways.between(3, 6).all()
    assert (rows["support"] <= 12).all()
    assert (rows["queries"] == 2 * ways).all()


def test_a_taxonomy_in_names_pairs_and_files(tmp_path):
    pairs = [(f"group {c // 8}", name) for c, name in enumerate(NAMES)]
    path = tmp_path / "groups.json"
    path.write_text(json.dumps(pairs))
    results = [
        evaluate({"name": "meta_dataset", "taxonomy": taxonomy})
        for taxonomy in ("names", pairs, path)
    ]
    for result in results:
        groups = {
            frozenset(name.split("/")[0] for name in row) for row in result.episodes["classes"]
        }
        assert {len(group) for group in groups} == {1}
        reason = result.summary["accuracy_intervals"]["classes"]["reason"]
        assert reason == "the classes of an episode were drawn together"
    assert "3 groups of classes, two_levels" in results[0].table.iloc[0]["protocol"]
    for other in results[1:]:
        np.testing.assert_array_equal(other.episodes["accuracy"], results[0].episodes["accuracy"])


def test_verification_of_varying_ways():
    result = evaluate(task="verification", estimators=None)
    rows = result.tables["verification"] if hasattr(result, "tables") else result.episodes
    assert len(rows) > 20
    assert rows.groupby("episode").size().between(5, 24).all()


def test_saved_and_replayed(tmp_path):
    result = evaluate()
    folder = result.save(tmp_path / "runs")
    (path,) = (folder / "episodes").glob("*.safetensors")
    again = fewshot.evaluate(
        FEATURES, LABELS, estimators=[], classnames=NAMES, episodes=fewshot.EpisodeSet.load(path)
    )
    np.testing.assert_array_equal(again.episodes["accuracy"], result.episodes["accuracy"])
    assert again.table.iloc[0]["protocol"] == "meta_dataset(5-50 ways)"


def test_unequal_shots():
    uneven = {"name": "balanced", "shots_imbalance": 0.5}
    result = evaluate(uneven, shots=4, ways=5, queries=2)
    rows = result.episodes
    assert (rows["support"] == 20).all()
    assert (rows["shots"] == 4).all()
    assert result.table.iloc[0]["protocol"] == "balanced(shots_imbalance=0.5)"
    assert " 2-6 " in str(result)


@pytest.mark.parametrize(
    ("sampler", "changes", "message"),
    [
        ("meta_dataset", {"shots": 5}, "episodes.shots: expected null with the sampler"),
        ("meta_dataset", {"ways": 3}, "episodes.ways"),
        ("meta_dataset", {"unlabelled": 5}, "episodes.unlabelled: expected queries"),
        (
            {"name": "meta_dataset", "taxonomy": "missing.json"},
            {},
            "episodes.taxonomy: cannot read",
        ),
        ({"name": "meta_dataset", "taxonomy": 5}, {}, "episodes.taxonomy: expected pairs"),
        ({"name": "meta_dataset", "taxonomy": [("a", "b")]}, {}, "'group 0/class 0' is not in"),
        ({"name": "meta_dataset", "min_ways": 30}, {}, "at most the 24 classes"),
        ({"name": "all_way", "shots_imbalance": 0.5}, {}, "a setting of balanced or imbalanced"),
        ({"name": "balanced", "shots_imbalance": 0.5}, {"shots": 1}, "with 1 shots"),
        (
            {"name": "balanced", "shots_imbalance": 0.9},
            {"shots": 5, "queries": 3},
            "9 shots (the most of a class) + 3 queries need 12",
        ),
        ({"name": "balanced", "shots_imbalance": 2}, {}, "episodes.shots_imbalance"),
    ],
)
def test_mistakes(sampler, changes, message):
    with pytest.raises(FewshotError, match=re.escape(message)):
        evaluate(sampler, **changes)
