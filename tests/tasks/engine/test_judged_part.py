"""Evaluation on validation or base classes: evaluated classes, base classes, names in rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fewshot
from fewshot.episodes import sample_episodes
from fewshot.exceptions import FewshotError
from fewshot.features.bank import make_bank
from fewshot.tasks.base import dataset_label
from fewshot.tasks.engine.judged_part import check_judged, judged_part
from fewshot.tasks.engine.keys import feature_causes
from fewshot.tasks.engine.rows import bank_columns

PARTS = np.repeat(["base", "base", "base", "validation", "validation", "novel", "novel"], 8)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 8)
    return rng.normal(size=(7, 5))[labels] + rng.normal(size=(56, 5)), labels


@pytest.fixture
def bank(data):
    return make_bank(*data, split=PARTS, info={"dataset": "seven"})


def test_the_classes_that_are_judged_teach_nobody(bank):
    assert judged_part(bank, "novel") is bank
    assert judged_part(bank, None) is bank
    base = judged_part(bank, "base")
    assert base.classes("novel").tolist() == [0, 1, 2]
    assert base.classes("base").tolist() == []
    validation = judged_part(bank, "validation")
    assert validation.classes("novel").tolist() == [3, 4]
    assert validation.classes("base").tolist() == [0, 1, 2]


def test_the_name_says_which_classes(bank):
    names = [
        dataset_label(bank_columns(judged_part(bank, part)))
        for part in (None, "validation", "base")
    ]
    assert names == ["seven", "seven (validation classes)", "seven (base classes)"]


def test_parts_that_are_not_there(bank, data):
    with pytest.raises(FewshotError, match=r"^episodes\.part: .*'bas'.* mean 'base'"):
        judged_part(bank, "bas")
    with pytest.raises(FewshotError, match=r"^episodes\.part: expected base classes.*random"):
        judged_part(make_bank(*data), "base")


def test_the_key_of_a_cell_knows_the_part(data):
    """Relabelled splits can be equal, but the names in their rows differ."""
    ours = make_bank(*data, split=np.repeat([*["base"] * 3, *["novel"] * 4], 8))
    theirs = make_bank(*data, split=np.repeat([*["novel"] * 3, *["validation"] * 4], 8))
    relabelled = judged_part(ours, "base")
    assert relabelled.parts == theirs.parts
    assert feature_causes(relabelled) != feature_causes(theirs)
    assert feature_causes(ours) == feature_causes(judged_part(ours, "novel"))


def test_replayed_episodes_are_of_the_judged_classes(bank):
    labels = bank.labels
    base = sample_episodes(labels, 2, 1, 3, 5, 0, classes=np.arange(3))
    novel = sample_episodes(labels, 2, 1, 3, 5, 0, classes=np.array([5, 6]))
    assert check_judged(novel, bank) is novel
    assert check_judged(base, judged_part(bank, "base")) is base
    for episodes, part in ((base, None), (novel, "base"), (base, "validation")):
        with pytest.raises(FewshotError, match=r"Set episodes\.part"):
            check_judged(episodes, judged_part(bank, part))


@pytest.mark.parametrize("part", ["base", "validation"])
def test_evaluate_draws_from_the_part(data, part):
    result = fewshot.evaluate(
        *data, split=PARTS, ways=2, shots=2, episodes=30, queries=3, part=part,
        estimators=["constant"], threads=1,
    )  # fmt: skip
    seen = {name for names in result.episodes["classes"] for name in names}
    assert seen == {"base": {"0", "1", "2"}, "validation": {"3", "4"}}[part]
    assert set(result.episodes["dataset"]) == {"features"}
    assert set(result.episodes["part"]) == {part}
    constant = result.summary["estimators"]["constant"]
    if part == "base":
        assert constant["defined"] == 0
        assert "they are the judged ones (episodes.part=base)" in constant["reason"]
        assert "reason" in result.summary["base"]
    else:
        assert constant["defined"] == 30
        assert result.summary["base"]["classes"] == 3


def test_the_command_line_says_the_part(workplace, data):
    from fewshot.cli.main import main

    np.savez("seven.npz", features=data[0].astype(np.float32), labels=data[1], split=PARTS)
    arguments = ["dataset=features", "dataset.path=seven.npz", "episodes.ways=2", "threads=1",
             "episodes.shots=1", "episodes.count=10", "estimator=constant", "head=ncm"]  # fmt: skip
    for part in ("base", "novel", "null"):
        assert main([*arguments, f"episodes.part={part}"]) == 0
    summaries = [json.loads(path.read_text()) for path in Path("runs").glob("*/summary.json")]
    assert sorted(summary["data"]["part"] for summary in summaries) == ["base", "novel", "novel"]
    parts = {"base": 3, "validation": 2, "novel": 2}
    assert all(summary["data"]["classes_by_part"] == parts for summary in summaries)
    keys = {summary["cells"][0]["part"]: summary["cells"][0]["key"] for summary in summaries}
    assert keys.keys() == {"novel", "base"}
    assert len(set(keys.values())) == 2
    tables = map(pd.read_parquet, Path("runs").glob("*/episodes.parquet"))
    assert {name for table in tables for name in table["part"]} == set(keys)
