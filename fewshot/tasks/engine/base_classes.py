"""Errors of a head on base classes and their moments, for estimators that are fitted on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.episodes.draws import check_memory
from fewshot.estimators.base import BaseClasses, OnEpisodes
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads.base import Head
from fewshot.progress import stage
from fewshot.tasks.engine.episodes import actual_errors
from fewshot.tasks.engine.moments import base_moments, has_moments
from fewshot.tasks.engine.supports import map_supports

BASE_STREAM = 1
JUDGED = "no base classes: they are the judged ones (episodes.part=base)"


@dataclass(frozen=True, eq=False)
class BaseEpisodes:
    """Episodes of base classes with the ways, shots and queries of the evaluated episodes.

    Attributes
    ----------
    episodes : EpisodeSet or None
    reason : str
        Why `episodes` is None.
    classes : int
        Number of base classes.
    """

    episodes: EpisodeSet | None
    reason: str
    classes: int


def draw_base_episodes(
    bank: FeatureBank, ways: int, shots: int, queries: int | str, count: int, seed: int
) -> BaseEpisodes:
    """Draw episodes of base classes; those with too few images are left out.

    Parameters
    ----------
    bank : FeatureBank
        With `parts`; without base classes there are no episodes, and a reason.
    ways, shots : int
    queries : int or "all"
        Query images per class.
    count : int
        Number of episodes.
    seed : int
        Decides the episodes, independently of those of novel classes.
    """
    classes = bank.classes("base")
    if len(classes) == 0:
        judged = bank.info.get("part") == "base"
        return BaseEpisodes(None, JUDGED if judged else BaseClasses().reason, 0)
    images = shots + (0 if queries == "all" else int(queries))
    check_memory(count, ways, images, "calibration.episodes")
    try:
        episodes = sample_episodes(
            bank.labels,
            ways,
            shots,
            queries,
            count,
            seed,
            classes=classes,
            min_images="drop",
            stream=BASE_STREAM,
        )
    except FewshotError:
        reason = (
            f"no {ways}-way {shots}-shot episodes of base classes: only "
            f"{len(classes)} base classes, or too few images in them"
        )
        return BaseEpisodes(None, reason, len(classes))
    return BaseEpisodes(episodes, "", len(classes))


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
        For ``ErrorEstimator.fit``: errors by class and episode, a map over the supports of these
        episodes, and the moments of the base classes; without errors where `base` has no episodes.
    """
    moments = (lambda: base_moments(bank)) if has_moments(bank) else None
    episodes = base.episodes
    if episodes is None:
        return BaseClasses(moments=moments, reason=base.reason)
    with stage("episodes of base classes", len(episodes), "episodes") as work:
        errors, _ = actual_errors(
            bank, episodes, head, device=device, threads=threads, progress=work.update
        )

    def over_episodes(function: OnEpisodes) -> Tensor:
        with stage("fitting on episodes of base classes", len(episodes), "episodes") as work:
            pieces = []
            for piece in map_supports(
                bank, episodes, head, function, device=device, threads=threads
            ):
                pieces.append(piece)
                work.update(len(piece))
        return torch.cat(pieces)

    return BaseClasses(
        moments=moments,
        map=over_episodes,
        errors_by_class=torch.from_numpy(errors),
        members=torch.from_numpy(episodes.classes),
    )
