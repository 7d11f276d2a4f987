"""Keys of cells: equal if and only if the rows must be equal."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.episodes import sample_episodes
from fewshot.estimators.auto import Auto
from fewshot.estimators.calibration.transferred import load_general
from fewshot.estimators.margin import Margin
from fewshot.features.bank import make_bank
from fewshot.heads.knn import KNN
from fewshot.heads.ncm import NCM
from fewshot.heads.zero_shot import ZeroShot
from fewshot.tasks import task_named
from fewshot.tasks.engine import keys as cell_keys
from fewshot.tasks.engine.keys import cell_key, estimator_causes
from fewshot.tasks.engine.settings import Settings
from fewshot.text.gaussians.predictors import predictors

LABELS = np.repeat(np.arange(4), 6)


@pytest.fixture
def bank():
    rng = np.random.default_rng(0)
    return make_bank(rng.normal(size=(24, 5)), LABELS, text=rng.normal(size=(4, 5)))


def key(bank, *, task="classification", seed=0, shots=2, head=None, estimators=None, **settings):
    episodes = sample_episodes(LABELS, 3, shots, 2, 10, seed)
    chosen = {"margin": Margin()} if estimators is None else estimators
    further = estimator_causes(chosen, Settings(**settings)) if task == "classification" else {}
    return cell_key(task_named(task), bank, episodes, head or ("ncm", NCM()), 0, further)


def test_a_key_is_a_hash_and_says_the_same_twice(bank):
    assert key(bank) == key(bank)
    assert len(key(bank)) == 64
    again = make_bank(bank.features.copy(), LABELS, text=bank.text.copy())
    assert key(again) == key(bank)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "verification"},
        {"seed": 1},
        {"shots": 1},
        {"head": ("knn", KNN())},
        {"head": ("other", NCM())},
        {"estimators": {}},
        {"estimators": {"margin": Margin(), "auto": Auto()}},
        {"calibration": "datasets"},
        {"method": "offset"},
        {"level": 0.8},
        {"base_episodes": 10},
    ],
)
def test_what_changes_rows_changes_the_key(bank, change):
    assert key(bank, **change) != key(bank)


def test_features_names_and_parts_change_the_key(bank):
    features = bank.features.copy()
    features[3, 2] += 1e-9
    for other in (
        replace(bank, features=features),
        replace(bank, normalize="l2"),
        replace(bank, classnames=("a", "b", "c", "d")),
        replace(bank, parts=("base", "novel", "novel", "novel")),
        replace(bank, info={"dataset": "other"}),
        replace(bank, info={"key": "of a bank on disk"}),
    ):
        assert key(other) != key(bank)


def test_parameters_of_a_head_change_the_key(bank):
    assert key(bank, head=("knn", KNN(k=1))) != key(bank, head=("knn", KNN(k=3)))


def test_device_threads_and_progress_do_not(bank):
    assert key(bank, threads=3, progress=print, device=torch.device("meta")) == key(bank)


def test_estimators_and_calibration_are_no_matter_of_verification(bank):
    settings = {"task": "verification"}
    assert key(bank, **settings, level=0.8, estimators={}) == key(bank, **settings)


def test_texts_count_for_heads_that_read_them(bank):
    other = replace(bank, text=bank.text[::-1].copy())
    assert key(other) == key(bank)
    reads = {"head": ("zero_shot", ZeroShot())}
    assert key(other, **reads) != key(bank, **reads)
    assert key(replace(bank, logit_scale=50.0), **reads) != key(bank, **reads)


def test_predictors_count_for_heads_that_use_them(bank):
    class Reads(NCM):
        uses = frozenset({"text", "text_gaussians"})

    reads = {"head": ("own", Reads())}
    ridge, reduced = predictors.create("ridge"), predictors.create("ridge", rank=2)
    keys = {
        key(replace(bank, predictor=predictor), **reads)
        for predictor in ("ridge", "network", ridge, reduced)
    }
    assert len(keys) == 4
    same = replace(bank, predictor=predictors.create("ridge", rank=2))
    assert key(same, **reads) in keys
    assert key(same) == key(bank)


def test_a_calibrator_counts_by_its_content(bank, workplace):
    load_general().save(workplace / "one.json")
    (workplace / "two.json").write_bytes((workplace / "one.json").read_bytes())
    first, second = ({"calibrator": str(workplace / f"{name}.json")} for name in ("one", "two"))
    estimators = [{"estimators": {"auto": Auto(**each)}} for each in (first, second)]
    assert key(bank, **first) == key(bank, **second) != key(bank)
    assert key(bank, **estimators[0]) == key(bank, **estimators[1])
    (workplace / "two.json").write_text("other")
    assert key(bank, **first) != key(bank, **second)
    assert key(bank, **estimators[0]) != key(bank, **estimators[1])


def test_a_newer_version_computes_anew(bank, monkeypatch):
    before = key(bank)
    monkeypatch.setattr(cell_keys, "CELL_VERSION", cell_keys.CELL_VERSION + 1)
    assert key(bank) != before


def test_a_parameter_without_a_plain_form_is_never_found_again(bank):
    head = NCM()
    head.get_params = lambda: {"weights": torch.zeros(2)}
    assert key(bank, head=("own", head)) != key(bank, head=("own", head))
