"""Several reservations about the same and about different episodes: none hides another."""

from __future__ import annotations

import numpy as np
import torch

import fewshot
from fewshot.estimators.auto import (
    COPIES,
    GUESS,
    UNFAMILIAR_HEAD,
    Auto,
)
from fewshot.estimators.base import NO_BASE, Prediction, reserved
from fewshot.estimators.calibration.transferred import General
from fewshot.heads.base import Support
from fewshot.heads.logistic import LogisticRegression
from fewshot.heads.ncm import NCM
from fewshot.heads.ridge import Ridge
from fewshot.heads.simpleshot import SimpleShot
from fewshot.heads.svm import SVM
from fewshot.tasks.classification.cell import all_reasons


def support(shots, copies=False):
    features = torch.randn(4, 3, shots, 8, generator=torch.Generator().manual_seed(0))
    if copies:
        features[1, 2, 1] = features[1, 2, 0]
    return Support.of(features, None)


def predict(head, drawn):
    return Auto().fit(NO_BASE).predict(drawn, head.fit(drawn))


def test_of_one_support():
    assert predict(NCM(), support(3)).by_reservation() == {}
    assert predict(Ridge(), support(3)).by_reservation() == {}
    assert set(predict(SVM(), support(3)).by_reservation()) == {UNFAMILIAR_HEAD}
    assert set(predict(SVM(), support(1)).by_reservation()) == {GUESS, UNFAMILIAR_HEAD}
    prediction = predict(SVM(), support(3, copies=True))
    masks = prediction.by_reservation()
    assert masks[UNFAMILIAR_HEAD].all() and masks[COPIES].tolist() == [False, True, False, False]
    assert (
        prediction.fallback.all() and prediction.fallback_reason == f"{UNFAMILIAR_HEAD}; {COPIES}"
    )
    only = predict(NCM(), support(3, copies=True))
    assert only.fallback.tolist() == [False, True, False, False]
    assert only.fallback_reason == COPIES


def test_one_reason_from_two_is_one():
    first, second = torch.tensor([True, False, False]), torch.tensor([False, False, True])
    fields = reserved([("a", first), ("b", torch.zeros(3, dtype=torch.bool)), ("a", second)])
    assert list(fields["reservations"]) == ["a"] and fields["fallback"].tolist() == [1, 0, 1]
    assert reserved([]) == {}
    plain = Prediction(torch.zeros(3), fallback=first, fallback_reason="b")
    assert list(plain.by_reservation()) == ["b"]


def test_rows_and_summary_name_them_all():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = generator.normal(size=(6, 5))[labels] + generator.normal(size=(60, 5))
    result = fewshot.evaluate(
        features.astype("float32"), labels, head="svm", ways=3, shots=1, episodes=8,
        estimators=["auto"],
    )  # fmt: skip
    assert set(result.predictions["reason"]) == {f"{GUESS}; {UNFAMILIAR_HEAD}"}
    assert result.summary["estimators"]["auto"]["fallback_reason"] == f"{GUESS}; {UNFAMILIAR_HEAD}"


def test_reasons_of_different_episodes():
    reasons = np.array(["a; b", "a", None, "c; a"], dtype=object)
    assert all_reasons(reasons[[0, 1, 3]]) == "a; b; c"
    assert all_reasons(reasons[:0]) is None


def test_a_calibrator_knows_its_own_heads():
    row = {"head": "ridge"}
    mine = General({}, left_out=[row])
    assert mine.fitted_with(Ridge()) and not mine.fitted_with(NCM())
    assert General({}).fitted_with(NCM())  # it does not say


def test_heads_are_found_by_the_names_of_the_registry_and_not_by_those_of_classes():
    mine = General({}, left_out=[{"head": name} for name in ("logistic", "simpleshot", "gone")])
    assert mine.fitted_with(LogisticRegression()) and mine.fitted_with(SimpleShot("support"))
    assert not mine.fitted_with(NCM())
    assert not mine.fitted_with(type("Logistic", (NCM,), {})())
