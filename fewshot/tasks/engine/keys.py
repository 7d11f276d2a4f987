"""Keys of cells: a hash of everything that determines the rows of a cell."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.estimators.base import ErrorEstimator
from fewshot.estimators.calibration.transferred import SHIPPED
from fewshot.estimators.winning import EXACT_WAYS
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.files import regular_file
from fewshot.heads.base import Head
from fewshot.tasks.base import Task, dataset_label
from fewshot.tasks.engine.code import code_of
from fewshot.tasks.engine.labelled import VERSION as LABELLED_VERSION
from fewshot.tasks.engine.rows import bank_columns
from fewshot.tasks.engine.settings import Settings
from fewshot.text.gaussians.fitted import SHARED, TextGaussians
from fewshot.text.gaussians.predictors.base import TextPredictor


class HasParameters(Protocol):
    """A head or an estimator of any task."""

    def get_params(self) -> dict[str, Any]:
        """Constructor arguments by name."""


# Raise it when a formula changes, so that cells of earlier versions are recomputed. The version of
# the schema is not part of the key: rows of earlier schemas are migrated when they are read.
CELL_VERSION = 2
# Of the formulas for more than `EXACT_WAYS` ways.
MANY_WAYS_VERSION = 2
# Of what heads learn from in episodes with unlabelled images.
LEARNING_VERSION = 2


def cell_key(
    task: Task,
    bank: FeatureBank,
    episodes: EpisodeSet,
    head: tuple[str, Head],
    seed: int,
    further: Mapping[str, Any] | None = None,
) -> str:
    """SHA-256 over everything that a row of the cell depends on.

    Device, threads, paths of files and versions of packages are not included: an upgrade should
    not invalidate a sweep. The code of heads, estimators and tasks of other packages is, see
    `fewshot.tasks.engine.code`.

    Parameters
    ----------
    further : mapping, optional
        What else the task says that determines the rows.
    """
    name, classifier = head
    causes = {
        "version": CELL_VERSION,
        "task": task.name,
        "seed": seed,
        "features": feature_causes(bank),
        "text": _text(bank, classifier.uses),
        "episodes": episodes.hash(),
        "head": component_causes(name, classifier),
        **(further or {}),
    }
    if "base_episodes" in classifier.uses:
        causes["base_episodes"] = LABELLED_VERSION
    if episodes.ways > EXACT_WAYS:  # before, estimators had one method for all ways
        causes["many_ways"] = MANY_WAYS_VERSION
    if episodes.protocol:  # it stands in every row, and not in the hash of the episodes
        causes["protocol"] = episodes.protocol
    if "queries" in classifier.uses and episodes.has_unlabelled:
        # Before, such heads learned from the queries even where unlabelled images were apart from
        # them, and never from strangers.
        causes["learns_from"] = LEARNING_VERSION
    if task.version > 1:
        causes["task_version"] = task.version
    kind: type = type(task)
    if code := code_of(kind):
        causes["task_code"] = code
    return hashed(causes)


def estimator_causes(
    estimators: Mapping[str, ErrorEstimator], settings: Settings
) -> dict[str, Any]:
    """Estimators and their calibration, as causes of a cell."""
    return {
        "estimators": [component_causes(key, estimator) for key, estimator in estimators.items()],
        "calibration": {
            "source": settings.calibration,
            "method": settings.method,
            "level": settings.level,
            "episodes": settings.base_episodes,
            "calibrator": _file(settings.calibrator),
            "general": _file(SHIPPED),
        },
    }


def hashed(causes: Mapping[str, Any]) -> str:
    """SHA-256 of causes in JSON types."""
    text = json.dumps(causes, sort_keys=True, default=_unique_token)
    return hashlib.sha256(text.encode()).hexdigest()


def _unique_token(_: object) -> str:
    """Random token for a parameter without a JSON form, so that it never equals another."""
    return secrets.token_hex()


def feature_causes(bank: FeatureBank) -> list[Any]:
    """Content hash of a bank, the names in its rows, and the parts of its classes."""
    named = [
        dataset_label(bank_columns(bank)),
        *(bank.info.get(key) for key in ("backbone", "feature")),
    ]
    return [bank.hash(), *named, list(bank.classnames), bank.parts]


def _text(bank: FeatureBank, uses: frozenset[str]) -> list[Any] | None:
    """Hashes of the text vectors and of the text predictor, where the head uses them."""
    if bank.text is None or not uses & {"text", "text_gaussians"}:
        return None
    vectors = [array_digest(bank.text), bank.logit_scale]
    return [*vectors, _predictor(bank.predictor)] if "text_gaussians" in uses else vectors


def _predictor(predictor: str | TextPredictor | TextGaussians) -> Any:
    """Parameters of a predictor that is fitted on the bank, or hashes of a fitted predictor."""
    if isinstance(predictor, str):
        return predictor
    if isinstance(predictor, TextPredictor):
        return [predictor.name, predictor.get_params()]
    held_out = (predictor.predictor.held_out_means_, predictor.predictor.held_out_log_variances_)
    tensors = [
        *predictor.predictor.tensors().items(),
        *((name, getattr(predictor, name)) for name in SHARED),
    ]
    return [
        _predictor(predictor.predictor),
        [(key, array_digest(tensor)) for key, tensor in tensors],
        [array_digest(tensor) for tensor in held_out],
        predictor.freedom,
        [[*key, repr(pool)] for key, pool in sorted(predictor.pools.items())],
        list(predictor.classnames),
        predictor.record.get("dataset"),
    ]


def component_causes(name: str, component: HasParameters) -> list[Any]:
    """Name, class and parameters; a calibrator file is given by the hash of its content."""
    parameters = dict(component.get_params())
    if parameters.get("calibrator") is not None:
        parameters["calibrator"] = _file(parameters["calibrator"])
    code = code_of(type(component))
    return [name, type(component).__qualname__, parameters, *([code] if code else [])]


def _file(path: str | Path | None) -> str | None:
    """Hash of the content of a file."""
    if path is None:
        return None
    try:
        file = regular_file("calibrator", Path(str(path)).expanduser())
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, FewshotError):  # reported where the file is read
        return None


def array_digest(values: np.ndarray | torch.Tensor) -> str:
    """Hash of the content of an array."""
    array = np.ascontiguousarray(torch.as_tensor(values).cpu().numpy())
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
