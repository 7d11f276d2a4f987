"""Class Gaussians predicted from text for the classes of a bank."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewshot.episodes.episode_set import ClassIndex
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.hardware import torch_threads
from fewshot.tasks.engine.moments import base_moments
from fewshot.text.gaussians.class_gaussians import COVARIANCES, PRIORS, ClassGaussians
from fewshot.text.gaussians.fitted import (
    TextGaussians,
    main_directions,
    prior_freedom,
    residual_variances,
)
from fewshot.text.gaussians.mixing import Pool
from fewshot.text.gaussians.pooling import TaskScores, fit_pool
from fewshot.text.gaussians.predictors import predictors
from fewshot.text.gaussians.predictors.base import BaseMoments, TextPredictor

SHOTS = (0, 1, 2, 4, 8, 16)
DRAWS = 2
WAYS = 64
QUERIES = 8
LEAST_CLASSES = 5
# Values of a feature space that are not specified; they are not compared.
UNSPECIFIED = frozenset({None, "unknown", "given"})


@lru_cache(maxsize=2)  # the same for every head, shot and chunk of a run
def class_gaussians(bank: FeatureBank) -> ClassGaussians:
    """Gaussians of all classes of a bank, predicted from text by its predictor.

    A base class gets what is predicted without it, so that tasks of base classes are as hard as
    those of novel ones.

    Raises
    ------
    FewshotError
        No text vectors, too few base classes, or a predictor for other features.
    """
    text = text_of(bank)
    if isinstance(bank.predictor, TextGaussians):
        check_space(bank.predictor, bank)
        return bank.predictor.predict(text, _learned_from(bank.predictor, bank))
    fitted, classes = _fitted(bank)
    return fitted.predict(text, {int(c): place for place, c in enumerate(classes)})


def _learned_from(predictor: TextGaussians, bank: FeatureBank) -> dict[int, int]:
    """Positions of a bank's classes among the training classes of a predictor, by class."""
    if predictor.record.get("features") != bank.hash():
        return {}
    # Matched by identifier: class names may have changed since the predictor was fitted.
    places = {identifier: place for place, identifier in enumerate(learned_classes(predictor))}
    return {
        c: places[identifier]
        for c, identifier in enumerate(bank.identifiers)
        if identifier in places
    }


def learned_classes(predictor: TextGaussians) -> Sequence[str]:
    """Identifiers of the classes that a predictor was fitted on; class names in older files."""
    ids: Sequence[str] = predictor.record.get("ids") or predictor.classnames
    return ids


def fit_text_gaussians(bank: FeatureBank) -> TextGaussians:
    """Fit the predictor of ``bank.predictor``, an object or a name, on the base classes."""
    return _fit(bank)[0]


@lru_cache(maxsize=2)
def _fitted(bank: FeatureBank) -> tuple[TextGaussians, Tensor]:
    return _fit(bank)


def _fit(bank: FeatureBank) -> tuple[TextGaussians, Tensor]:
    text = text_of(bank)
    moments = class_moments(bank)
    predictor = _predictor(bank.predictor).fit(text[moments.classes], moments)
    means, logs = predictor.held_out_means_, predictor.held_out_log_variances_
    parts: dict[str, Any] = {
        "origin": moments.means.mean(0),
        "within": moments.pooled,
        "doubt": residual_variances(means, moments),
        "factor": main_directions(base_moments(bank).covariance),
        "freedom": prior_freedom(logs, moments),
    }
    record: dict[str, Any] = {
        "dataset": bank.info.get("dataset", "features"),
        "classes": len(moments.classes),
        "images": int(moments.counts.sum()),
        "text": bank.info.get("text", {}),
        "features": bank.hash(),
    }
    if bank.ids is not None:
        record["ids"] = [bank.ids[c] for c in moments.classes.tolist()]
    names = tuple(bank.classnames[c] for c in moments.classes.tolist())
    alone = TextGaussians(predictor, **parts, pools={}, space=feature_space(bank),
                          classnames=names, record=record)  # fmt: skip
    pools = _pools(bank, moments, alone.gaussians(means, logs))
    fitted = TextGaussians(predictor, **parts, pools=pools, space=alone.space,
                           classnames=names, record=record)  # fmt: skip
    return fitted, moments.classes


def _predictor(choice: object) -> TextPredictor:
    """A new predictor from a name, or with the parameters of an existing predictor."""
    if isinstance(choice, TextPredictor):
        return type(choice)(**choice.get_params())
    expect(isinstance(choice, str), "predictor", f"expected a name or a predictor, got {choice!r}")
    predictor: TextPredictor = predictors.create(str(choice))
    return predictor


def text_of(bank: FeatureBank) -> Tensor:
    """Text vectors (C, P) of a bank that has them."""
    assert bank.text is not None, "check_uses comes first"
    return torch.from_numpy(bank.text)


def class_moments(bank: FeatureBank) -> BaseMoments:
    """Means and variances of the base classes with two images or more, one class at a time.

    Raises
    ------
    FewshotError
        Fewer than five of them.
    """
    index = ClassIndex.of(bank.labels, len(bank.classnames))
    classes = [int(c) for c in bank.classes("base") if index.size[c] > 1]
    if len(classes) < LEAST_CLASSES:
        raise FewshotError(
            "head=text_gaussian",
            f"expected {LEAST_CLASSES} base classes or more with two images each to learn from, "
            f"got {len(classes)}",
            "Mark classes as base (dataset.split=random), or bring a predictor along: "
            "text.predictor=FILE, written by fewshot text fit.",
        )
    means, variances = [], []
    for c in classes:
        features = bank.take(torch.from_numpy(np.sort(index.rows_of(c)))).double()
        means.append(features.mean(0))
        variances.append(features.var(0))
    return BaseMoments(
        torch.tensor(classes),
        torch.from_numpy(index.size[classes]).double(),
        torch.stack(means),
        torch.stack(variances),
    )


def feature_space(bank: FeatureBank) -> dict[str, Any]:
    """Description of the feature space, compared with the space a predictor was fitted in.

    For extracted features the hash of the backbone's fingerprint (weights, feature kind,
    transform); for given ones their names and dimensions are all there is.
    """
    causes = bank.info.get("causes", {}).get("backbone")
    digest = None
    if causes is not None:
        digest = hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()
    return {
        "backbone": str(bank.info.get("backbone", "unknown")),
        "feature": str(bank.info.get("feature", "given")),
        "normalize": bank.normalize,
        "dimensions": bank.dim,
        "fingerprint": digest,
    }


def check_space(predictor: TextGaussians, bank: FeatureBank) -> None:
    """Raise unless a predictor was fitted on features of the same kind."""
    space = feature_space(bank)
    for key, value in predictor.space.items():
        if value != space.get(key) and UNSPECIFIED.isdisjoint((value, space.get(key))):
            raise FewshotError(
                "text.predictor",
                f"it was fitted on features with {key} {value!r}, "
                f"and these have {space.get(key)!r}",
                "Fit one on features of this kind: fewshot text fit.",
            )


def _pools(
    bank: FeatureBank, moments: BaseMoments, gaussians: ClassGaussians
) -> dict[tuple[str, str], Pool]:
    """Fitted pool for every kind of covariance and prior."""
    pools = {}
    sources = frozenset({"names", "regression"})
    with torch_threads(1):  # the tensors are too small to be shared among cores
        for covariance in COVARIANCES:
            tasks = _base_tasks(bank, moments, gaussians, covariance)
            for prior in PRIORS:
                without = frozenset() if prior == "both" else sources - {prior}
                pool = fit_pool(tasks, gaussians.ratio, bank.logit_scale, without)
                pools[covariance, prior] = pool
    return pools


def _base_tasks(
    bank: FeatureBank, moments: BaseMoments, gaussians: ClassGaussians, covariance: str
) -> list[TaskScores]:
    """Few-shot tasks of base classes, from none to many shots, the same for every covariance."""
    generator = torch.Generator().manual_seed(0)
    index = ClassIndex.of(bank.labels, len(bank.classnames))
    tasks = []
    for shots in SHOTS:
        enough = (moments.counts >= max(2 * shots, 2)).nonzero()[:, 0]
        for _ in range(DRAWS if len(enough) >= LEAST_CLASSES else 0):
            places = enough[torch.randperm(len(enough), generator=generator)[:WAYS]]
            support, query, truth = [], [], []
            for way, c in enumerate(moments.classes[places].tolist()):
                rows = torch.from_numpy(index.rows_of(c))
                rows = rows[torch.randperm(len(rows), generator=generator)]
                support.append(bank.take(rows[:shots]).float())
                query.append(bank.take(rows[shots : shots + QUERIES]).float())
                truth += [way] * len(query[-1])
            task_gaussians = gaussians[places]
            text = text_of(bank)[moments.classes[places]]
            tasks.append(
                _scores(torch.stack(support), torch.cat(query), torch.tensor(truth),
                        task_gaussians, text, covariance)
            )  # fmt: skip
    expect(bool(tasks), "head=text_gaussian", "expected base classes with two images, got none")
    return tasks


def _scores(
    support: Tensor, query: Tensor, truth: Tensor, gaussians: ClassGaussians, text: Tensor,
    covariance: str,
) -> TaskScores:  # fmt: skip
    """Scores of a task (shots (N, K, D), query (T, D)) by every source of evidence."""
    shots = support.shape[1]
    counts = torch.full((1, len(support)), float(shots))
    measured = support.var(1)[None] if shots > 1 else None
    gaussians = gaussians[None]
    variances = gaussians.common_variances(covariance, measured, counts)

    def scores(means: Tensor) -> Tensor:
        weights, biases = gaussians.form(means, variances, covariance)
        return (query @ weights[0].T + biases[0]).double()

    return TaskScores(
        shots,
        truth,
        (query @ text.T).double(),
        scores(gaussians.means),
        scores(support.mean(1)[None]) if shots else None,
    )
