"""What determines the rows of a cell, as a hash: the same key, the same rows."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator
from fewshot.estimators.calibration.transferred import SHIPPED
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.results.schema import TASK
from fewshot.tasks.engine.judged_part import judged_name
from fewshot.tasks.engine.settings import Settings
from fewshot.text.gaussians.fitted import SHARED, TextGaussians
from fewshot.text.gaussians.predictors.base import TextPredictor

# To be raised whenever a formula changes, so that cells of earlier versions are computed anew.
# The version of the schema is no cause: rows of earlier ones are read as the present one's.
CELL_VERSION = 2


def cell_key(
    task: str,
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    estimators: Mapping[str, ErrorEstimator],
    settings: Settings,
    seed: int,
) -> str:
    """SHA-256 over everything that a row of the cell depends on.

    Device, threads, places of files and versions of packages are none of it: an upgrade should not
    cost a sweep. Verification has neither estimators nor calibration.
    """
    name, classifier = head
    causes = {
        "version": CELL_VERSION,
        "task": task,
        "seed": seed,
        "features": feature_causes(bank),
        "text": _text(bank, classifier.uses),
        "episodes": episodes.hash(),
        "head": _parameters(name, classifier),
    }
    if task == TASK:
        causes["estimators"] = [_parameters(key, one) for key, one in estimators.items()]
        causes["calibration"] = {
            "source": settings.calibration,
            "method": settings.method,
            "level": settings.level,
            "episodes": settings.base_episodes,
            "calibrator": _file(settings.calibrator),
            "general": _file(SHIPPED),
        }
    text = json.dumps(causes, sort_keys=True, default=_never_again)
    return hashlib.sha256(text.encode()).hexdigest()


def _never_again(_: object) -> str:
    """For a parameter that has no plain form, and so may not be taken for an equal one."""
    return secrets.token_hex()


def feature_causes(bank: FeatureBank) -> list[Any]:
    """Content, the names that stand in the rows, and the parts, as base classes teach."""
    named = [judged_name(bank), *(bank.info.get(key) for key in ("backbone", "feature"))]
    return [bank.hash(), *named, list(bank.classnames), bank.parts]


def _text(bank: FeatureBank, uses: frozenset[str]) -> list[Any] | None:
    """Text vectors and what predicts from them, where the head uses them."""
    if bank.text is None or not uses & {"text", "text_gaussians"}:
        return None
    vectors = [array_digest(bank.text), bank.logit_scale]
    return [*vectors, _predictor(bank.predictor)] if "text_gaussians" in uses else vectors


def _predictor(given: str | TextPredictor | TextGaussians) -> Any:
    """One that learns from the bank is known by its parameters, a fitted one by its numbers."""
    if isinstance(given, str):
        return given
    if isinstance(given, TextPredictor):
        return [given.name, given.get_params()]
    held_out = (given.predictor.held_out_means_, given.predictor.held_out_log_variances_)
    tensors = [*given.predictor.tensors().items(), *((one, getattr(given, one)) for one in SHARED)]
    return [
        _predictor(given.predictor),
        [(key, array_digest(one)) for key, one in tensors],
        [array_digest(one) for one in held_out],
        given.freedom,
        [[*key, repr(pool)] for key, pool in sorted(given.pools.items())],
        list(given.classnames),
        given.record.get("dataset"),
    ]


def _parameters(name: str, one: Head | ErrorEstimator) -> list[Any]:
    """Name, class and parameters; a calibrator by its content, wherever it lies."""
    found = dict(one.get_params())
    if found.get("calibrator") is not None:
        found["calibrator"] = _file(found["calibrator"])
    return [name, type(one).__qualname__, found]


def _file(path: str | Path | None) -> str | None:
    """Hash of the content of a file."""
    if path is None:
        return None
    try:
        return hashlib.sha256(Path(path).expanduser().read_bytes()).hexdigest()
    except OSError:  # whoever reads it will say so
        return None


def array_digest(values: np.ndarray | torch.Tensor) -> str:
    """Hash of the content of an array."""
    array = np.ascontiguousarray(torch.as_tensor(values).cpu().numpy())
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
