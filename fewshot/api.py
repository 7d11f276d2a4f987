"""``fewshot.evaluate``: evaluation of a few-shot classifier on an array of features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from fewshot.datasets.labels import unlabelled
from fewshot.episodes import (
    EpisodeSet,
)
from fewshot.estimators.base import ErrorEstimator
from fewshot.estimators.calibration.calibrators import SOURCES
from fewshot.evaluation.evaluation import Evaluation
from fewshot.evaluation.named import named_estimators, named_heads
from fewshot.evaluation.notices import AsWarnings
from fewshot.evaluation.result import EvaluationResult
from fewshot.evaluation.sampling import Sampling
from fewshot.evaluation.sources import GivenFeatures
from fewshot.exceptions import (
    expect_choice,
)
from fewshot.features.bank import make_bank
from fewshot.features.copies import with_copies
from fewshot.features.ranges import check_range
from fewshot.heads.base import Head
from fewshot.tasks import task_named
from fewshot.tasks.engine.settings import Settings

DEFAULT_ESTIMATORS = ("auto", "margin", "gaussian", "loo", "constant")


def evaluate(
    features: Any,
    labels: Any,
    split: Any = None,
    head: str | Head = "ncm",
    ways: int = 5,
    shots: int = 5,
    episodes: int | EpisodeSet = 600,
    queries: int | str = "all",
    seed: int = 0,
    estimators: Iterable[str] | Mapping[str, ErrorEstimator] = DEFAULT_ESTIMATORS,
    calibration: str = "none",
    *,
    method: str = "slope",
    level: float = 0.9,
    calibrator: str | None = None,
    classnames: Sequence[str] | None = None,
    normalize: str = "none",
    min_images: str = "raise",
    text: Any = None,
    logit_scale: float = 100.0,
    predictor: Any = "ridge",
    subset: Any = None,
    sampler: str = "balanced",
    part: str = "novel",
    dataset: str = "features",
    backbone: str = "unknown",
    device: str | torch.device = "cpu",
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> EvaluationResult:
    """Evaluate a few-shot classifier on features, and the predictions of its error.

    Parameters
    ----------
    features : array or tensor of shape (M, D)
    labels : array or tensor of shape (M,)
        Integers or strings, none missing.
    split : array of M str, optional
        "base", "validation" or "novel" for every row, classes being disjoint. Episodes come
        from the novel classes; base classes serve the ``constant`` baseline, the one-shot
        estimates and the calibration. Without it episodes come from all classes.
    head : str or Head
        A name of ``fewshot list heads`` or an object.
    ways, shots : int
        N >= 2 classes of K labelled images; K = 0 for heads that know classes by their names.
    episodes : int or EpisodeSet
        How many to draw, or drawn ones to replay (`ways`, `shots`, `queries` are then theirs).
    queries : int or "all"
        Query images per class, or all the rest, which makes the actual error precise.
    seed : int
    estimators : names of ``fewshot list estimators``, or a mapping of names to objects
    calibration : {"none", "base", "datasets"}
        ``auto`` is always calibrated, on base classes if there are any. "base" and "datasets"
        calibrate the other estimators as well, on base-class episodes or by a calibrator fitted
        on other data sets, and give them intervals.
    method : {"slope", "offset", "isotonic"}
        How raw estimates are calibrated on base classes.
    level : float
        Nominal coverage of the prediction intervals.
    calibrator : str, optional
        JSON that ``fewshot calibrate`` wrote; the package's general-purpose one by default.
    classnames : sequence of str, optional
    normalize : {"none", "l2"}
        "l2" scales every feature to unit length first, as most few-shot work does, and as runs of
        the command line do with features of images. By default features are used unchanged, and
        the table of the result says so.
    min_images : {"raise", "drop"}
        What to do about a class with fewer images than an episode needs.
    text : array or tensor of shape (C, D), optional
        A vector per class name in the space of the features, for heads that read class names.
    logit_scale : float
        Factor by which the encoder of `text` multiplies cosines; CLIP's by default.
    predictor : str, TextPredictor or TextGaussians
        Predictor of class Gaussians from `text` for ``text_gaussian``: "ridge" or "network", which
        learn from the base classes, or the content of a file of ``fewshot text fit``, read by
        ``fewshot.text.gaussians.fitted.load_text_gaussians``.
    subset : array of M str, optional
        "train", "validation" or "test" for every row, for the sampler "all_way".
    sampler : {"balanced", "imbalanced", "all_way"}
        "imbalanced" draws the share of each class among `ways` times `queries` queries from a
        Dirichlet distribution (alpha 2).
        "all_way" has every class in every episode: `episodes` draws of `shots` training images, all
        test images as queries; `ways` and `queries` are ignored.
    part : {"novel", "validation", "base"}
        Which classes episodes come from, where there is a `split`. Hyper-parameters are chosen on
        "base" or "validation" classes, which then no longer serve as base classes; the name of the
        data set in the rows records it.
    dataset, backbone : str
        Names for the rows.
    device : str or torch.device
    threads : int, optional
        Cores to use; all by default. The rows do not depend on it.
    progress : callable, optional
        Called with the number of episodes finished since the last call.

    Returns
    -------
    EvaluationResult
        ``.episodes`` and ``.predictions`` are data frames, ``.summary`` a dict.

    Warns
    -----
    UserWarning
        Labels of -1 beside numbers from 0 on; rows with the same features as others. Both are
        counted in ``summary["data"]``.

    Raises
    ------
    FewshotError
        An invalid argument. The message names the argument, the allowed values, the value
        received and a remedy.

    Examples
    --------
    >>> import numpy as np, fewshot
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(np.arange(10), 50)
    >>> features = rng.normal(size=(10, 64))[labels] + rng.normal(size=(500, 64))
    >>> result = fewshot.evaluate(features, labels, ways=5, shots=5, episodes=100)
    >>> result.episodes.shape[0], bool(result.summary["accuracy"]["mean"] > 0.9)
    (100, True)
    """
    settings = Settings(
        calibration,
        method,
        level,
        calibrator,
        device=torch.device(device),
        threads=threads,
        progress=progress or (lambda _: None),
    )
    expect_choice("calibration", calibration, SOURCES)
    info = {"dataset": dataset, "backbone": backbone, "feature": "given"}
    classifiers, guessers = named_heads(head), named_estimators(estimators)
    bank = make_bank(
        features, labels, classnames, split=split, info=info, normalize=normalize, text=text,
        subset=subset,
    )  # fmt: skip
    check_range(bank)
    bank = with_copies(replace(bank, logit_scale=float(logit_scale), predictor=predictor))
    if isinstance(episodes, EpisodeSet):
        sampling = Sampling(part=part, replay=episodes)
    else:
        sampling = Sampling(
            ways, (shots,), queries, episodes, sampler, min_images=min_images, part=part
        )
    evaluation = Evaluation(
        task_named("classification"),
        GivenFeatures(bank),
        classifiers,
        guessers,
        sampling,
        (seed,),
        settings,
        notices=AsWarnings(),
    )
    output = evaluation.run()
    result = output.cells[0]
    result.summary["data"] = {
        "copies": output.bank.info["copies"],
        "labelled_minus_one": unlabelled(output.bank.labels, output.bank.classnames),
    }
    return EvaluationResult(**vars(result))
