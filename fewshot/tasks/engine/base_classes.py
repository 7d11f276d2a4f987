"""Errors of a head on base classes and their moments, for estimators that are fitted on them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from fewshot.estimators.base import BaseClasses, ErrorEstimator, OnEpisodes, OnUnlabelled
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.progress import stage
from fewshot.tasks.engine.base_drawing import BaseEpisodes, fold_banks, number_of_folds
from fewshot.tasks.engine.episodes import actual_errors
from fewshot.tasks.engine.moments import base_moments, has_moments
from fewshot.tasks.engine.supports import map_supports
from fewshot.tasks.engine.unlabelled import map_unlabelled


def fit_on_base_classes(estimator: ErrorEstimator, base: BaseClasses) -> None:
    """Fit an estimator; without unlabelled images where the head cannot score some of those.

    Raises
    ------
    FewshotError
        It cannot be fitted without them either.
    """
    try:
        estimator.fit(base)
    except FewshotError:
        if not base.has_unlabelled or estimator.unlabelled == "ignored":
            raise
        estimator.fit(base.without_unlabelled())


def evaluate_base_classes(
    bank: FeatureBank,
    base: BaseEpisodes,
    head: Head,
    *,
    device: torch.device,
    threads: int | None = None,
) -> BaseClasses:
    """Errors of a head on base-class episodes, and what else estimators learn from.

    Parameters
    ----------
    bank : FeatureBank
    base : BaseEpisodes
        As from `draw_base_episodes`.
    head : Head
        Unfitted.
    device : torch.device
    threads : int, optional
        Cores to use; all by default.

    Returns
    -------
    BaseClasses
        For ``ErrorEstimator.fit``: errors by class and episode, maps over the supports of these
        episodes and over their unlabelled images, if they have any, and the moments of the base
        classes; without errors where `base` has no episodes.
    """
    moments = (lambda: base_moments(bank)) if has_moments(bank) else None
    episodes = base.episodes
    if episodes is None:
        return BaseClasses(moments=moments, reason=base.reason)
    with stage("episodes of base classes", len(episodes), "episodes") as work:
        errors, _ = actual_errors(
            bank, episodes, head, device=device, threads=threads, progress=work.update
        )

    def joined(pieces: Iterator[Tensor]) -> Tensor:
        with stage("fitting on episodes of base classes", len(episodes), "episodes") as work:
            done = []
            for piece in pieces:
                done.append(piece)
                work.update(len(piece))
        return torch.cat(done)

    def over_supports(function: OnEpisodes) -> Tensor:
        return joined(map_supports(bank, episodes, head, function, device=device, threads=threads))

    def over_unlabelled(function: OnUnlabelled) -> Tensor:
        return joined(
            map_unlabelled(bank, episodes, head, function, device=device, threads=threads)
        )

    return BaseClasses(
        moments=moments,
        map=over_supports,
        errors_by_class=torch.from_numpy(errors),
        members=torch.from_numpy(episodes.classes),
        map_unlabelled=over_unlabelled if episodes.has_unlabelled else None,
        folds=lambda: list(_folds(bank, base, head, device, threads)),
    )


def _folds(
    bank: FeatureBank,
    base: BaseEpisodes,
    head: Head,
    device: torch.device,
    threads: int | None,
) -> Iterator[BaseClasses]:
    """The base classes in parts: each with its episodes, and the moments of the other classes."""
    assert base.episodes is not None and base.again is not None
    number = number_of_folds(base.classes, base.episodes.ways)
    for episodes_of, moments_of in fold_banks(bank, number):
        drawn = base.again(episodes_of, -(-len(base.episodes) // number))
        if drawn.episodes is None or not drawn.episodes.has_unlabelled:
            continue
        fold = evaluate_base_classes(episodes_of, drawn, head, device=device, threads=threads)
        yield fold.with_moments(partial(base_moments, moments_of))
