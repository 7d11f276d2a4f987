"""Coefficients of temperatures, fitted to scores of new images of several data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from fewshot.episodes import EpisodeSet, sample_episodes
from fewshot.estimators.auto import Auto
from fewshot.estimators.base import BaseClasses
from fewshot.estimators.calibration.temperatures import (
    OTHERS,
    TERMS,
    ScoreCalibrator,
    ScoreEvidence,
    Temperatures,
    score_evidence,
)
from fewshot.estimators.probabilities import probabilities
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.heads import heads as head_registry
from fewshot.statistics.confidence import expected_calibration_error
from fewshot.tasks.calibration.cells import confusable, each_bank
from fewshot.tasks.engine.batches import load_queries, load_support

# New images per class and in a task: temperatures are learned from many tasks, not many images.
QUERIES, IN_A_TASK = 5, 50
MOST_SHOTS = 100  # in a support, as heads are refitted for every shot of a class
LEAST_GROUPS = 3
LEAST = 1e-12  # probability in a log loss
PENALTY = 1e-3  # of squared coefficients other than the constant
FIRST = np.array([-1.0, 0.0, 0.5, 0.3, 0.3])
CPU = torch.device("cpu")


@dataclass(frozen=True)
class ScorePlan:
    """Episodes that coefficients of temperatures are fitted on.

    Attributes
    ----------
    ways, shots : tuples of int
    heads : tuple of str
    episodes : int
        Per bank, ways and shots: half of random classes, half of classes near each other.
    seed : int
    weights : dict of str to float
        Of groups that count for more or less than 1.
    calibrators : dict of str to Path
        JSON of a calibrator that was fitted without a group, by group: what predicts the errors of
        its episodes. Of others the one of the package.
    """

    ways: tuple[int, ...] = (2, 5, 10, 20)
    shots: tuple[int, ...] = (1, 2, 3, 5, 10, 20)
    heads: tuple[str, ...] = ("ncm", "lda", "ridge", "logistic", "knn")
    episodes: int = 12
    seed: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    calibrators: Mapping[str, Path] = field(default_factory=dict)


class ScoreCell(NamedTuple):
    """Scores of new images, and evidence, of E episodes of one bank, head, ways and shots.

    Attributes
    ----------
    group, dataset, backbone, head : str
    ways, shots : int
    evidence : ScoreEvidence
    scores : Tensor of shape (E, R, N)
    labels : Tensor of shape (R,), int64
    """

    group: str
    dataset: str
    backbone: str
    head: str
    ways: int
    shots: int
    evidence: ScoreEvidence
    scores: Tensor
    labels: Tensor


def score_cells(
    groups: Mapping[str, Sequence[FeatureBank]],
    plan: ScorePlan,
    progress: Callable[[str], object] = lambda text: None,
) -> list[ScoreCell]:
    """Scores and evidence on episodes of all groups: what coefficients are fitted on.

    Parameters
    ----------
    groups : mapping of str to sequence of FeatureBank
        A group is one set of images under one or several backbones.
    plan : ScorePlan
    progress : callable, optional
        Called with a line on each bank before it is evaluated.
    """
    cells: list[ScoreCell] = []
    for group, bank in each_bank(groups, "temperatures", progress):
        path = plan.calibrators.get(group)
        auto = Auto("datasets", None if path is None else str(path)).fit(BaseClasses())
        for episodes in _episodes(bank, plan):
            cells += [_cell(group, bank, name, episodes, auto) for name in plan.heads]
    return cells


def _episodes(bank: FeatureBank, plan: ScorePlan) -> Iterator[EpisodeSet]:
    """For all ways and shots, episodes of random classes and of classes near each other."""
    classes = bank.classes()
    for ways in plan.ways:
        pools = confusable(bank, classes, ways, plan.seed)
        half = plan.episodes // 2
        draws = [(classes, half, 0)]
        draws += [(pool, -(-half // len(pools)), 1 + place) for place, pool in enumerate(pools)]
        for shots in (K for K in plan.shots if ways * K <= MOST_SHOTS):
            drawn = [
                episodes
                for pool, count, place in draws
                for episodes in _drawn(bank, ways, shots, count, pool, plan.seed + 1000 * place)
            ]
            if drawn:
                yield EpisodeSet(
                    np.concatenate([episodes.classes for episodes in drawn]),
                    np.concatenate([episodes.support for episodes in drawn]),
                    np.concatenate([episodes.query_rows(0, len(episodes)) for episodes in drawn]),
                    bank.labels,
                )


def _drawn(
    bank: FeatureBank, ways: int, shots: int, count: int, classes: NDArray, seed: int
) -> Iterator[EpisodeSet]:
    """Episodes of some classes; none if these or their images are too few."""
    with suppress(FewshotError):
        yield sample_episodes(
            bank.labels,
            ways,
            shots,
            _queries(ways),
            count,
            seed,
            classes=classes,
            min_images="drop",
        )


def _queries(ways: int) -> int:
    """New images per class."""
    return max(1, min(QUERIES, IN_A_TASK // ways))


def _cell(group: str, bank: FeatureBank, name: str, episodes: EpisodeSet, auto: Auto) -> ScoreCell:
    support = load_support(bank, episodes, 0, len(episodes), CPU)
    queries, _ = load_queries(bank, episodes, 0, len(episodes), CPU)
    head = head_registry.create(name).fit(support)
    return ScoreCell(
        group,
        str(bank.info.get("dataset", "features")),
        str(bank.info.get("backbone", "unknown")),
        name,
        episodes.ways,
        episodes.shots,
        score_evidence(support, head, auto.predict(support, head).error),
        head.scores(queries),
        torch.arange(episodes.ways).repeat_interleave(_queries(episodes.ways)),
    )


def fit_score_calibrator(
    cells: Sequence[ScoreCell],
    weights: Mapping[str, float] | None = None,
    notes: str = "",
    fitted_on: Sequence[dict[str, Any]] = (),
    start: ScoreCalibrator | None = None,
) -> ScoreCalibrator:
    """Coefficients of the least log loss of new images, and results of every group left out.

    Every group weighs the same, and every episode of a group; ``others``, the coefficients of heads
    that have none, are fitted to all heads.

    Parameters
    ----------
    cells : sequence of ScoreCell
    weights : mapping of str to float, optional
        Of groups that count for more or less than 1.
    notes : str
        Kept in the file.
    fitted_on : sequence of dict
        Record of the data sets, kept in the file.
    start : ScoreCalibrator, optional
        Fitted to nearly the same cells, which saves time; then no group is left out in turn.

    Raises
    ------
    FewshotError
        Fewer than three groups.
    """
    groups = sorted({cell.group for cell in cells})
    expect(
        len(groups) >= LEAST_GROUPS,
        "groups",
        f"expected {LEAST_GROUPS} groups of data sets or more, got {len(groups)}",
    )
    weights = weights or {}
    heads, left_out = {}, []
    for name in sorted({cell.head for cell in cells}):
        of_head = [cell for cell in cells if cell.head == name]
        heads[name] = fit_temperatures(
            of_head, weights, None if start is None else start.heads[name]
        )
        for group in groups if start is None else ():
            others = [cell for cell in of_head if cell.group != group]
            of_group = [cell for cell in of_head if cell.group == group]
            left_out += _figures(fit_temperatures(others, weights, heads[name]), of_group)
    heads[OTHERS] = fit_temperatures(cells, weights, None if start is None else start.heads[OTHERS])
    return ScoreCalibrator(heads, list(fitted_on), left_out, notes)


def fit_temperatures(
    cells: Sequence[ScoreCell], weights: Mapping[str, float], start: Temperatures | None = None
) -> Temperatures:
    """Coefficients for every number of shots, of the least log loss.

    Those of `start`, fitted to nearly the same cells, save most of the time.
    """
    shots = sorted({cell.shots for cell in cells})
    rows = []
    for K in shots:
        first = FIRST if start is None else start.at(torch.tensor([float(K)]))[:, 0].numpy()
        rows.append(_fit([cell for cell in cells if cell.shots == K], weights, first))
    coefficients, floors = (np.array(column) for column in zip(*rows, strict=True))
    return Temperatures(np.array(shots, dtype=float), coefficients, floors)


class _Block(NamedTuple):
    """Cells of the same ways: scores (E, R, N), labels (R,) alike; weights (E,) of episodes."""

    evidence: ScoreEvidence
    scores: Tensor
    labels: Tensor
    weights: Tensor


def _fit(
    cells: Sequence[ScoreCell], weights: Mapping[str, float], first: NDArray
) -> tuple[NDArray, float]:
    """Coefficients (4,) and floor for one number of shots, by L-BFGS from `first` (5,)."""
    blocks = _blocks(cells, weights)
    terms = 2 if cells[0].shots == 1 else len(TERMS)  # no held-out shots with one of each class

    def loss_and_slope(free: NDArray) -> tuple[float, NDArray]:
        with torch.inference_mode(False), torch.enable_grad():
            values = torch.tensor(free, requires_grad=True)
            loss = PENALTY * values[1:-1].square().sum()
            for block in blocks:
                loss = loss + (block.weights * _log_loss(block, values[:-1], values[-1])).sum()
            (slope,) = torch.autograd.grad(loss, values)
        return float(loss.detach()), slope.numpy()

    bounds = [(None, None)] * terms + [(0.0, 1.0)]
    free = np.append(first[:terms], first[-1])
    fitted = minimize(loss_and_slope, free, jac=True, method="L-BFGS-B", bounds=bounds).x
    coefficients = np.zeros(len(TERMS))
    coefficients[:terms] = fitted[:-1]
    return coefficients, fitted[-1]


def _log_loss(block: _Block, coefficients: Tensor, floor: Tensor) -> Tensor:
    """Mean log loss (E,) of episodes."""
    evidence, terms = block.evidence, len(coefficients) - 1
    logarithm = coefficients[0] + evidence.covariates[:, :terms] @ coefficients[1:]
    p = (block.scores * (-logarithm).exp()[:, None, None].float()).softmax(-1)
    right = p.gather(-1, block.labels.expand(len(p), -1)[..., None])[..., 0].double()
    shrinkage = (floor * evidence.error)[:, None]
    mixed = (1 - shrinkage) * right + shrinkage / p.shape[-1]
    return -mixed.clamp_min(LEAST).log().mean(-1)  # it is 0 where single precision ends


def _blocks(cells: Sequence[ScoreCell], weights: Mapping[str, float]) -> list[_Block]:
    """Cells of the same ways together, with scores over the units of their episodes."""
    size: Counter[tuple[str, str]] = Counter()
    for cell in cells:
        size[cell.group, cell.head] += len(cell.scores)
    total = sum(weights.get(group, 1.0) for group, _ in size)
    blocks = []
    for ways in sorted({cell.ways for cell in cells}):
        same = [cell for cell in cells if cell.ways == ways]
        evidence = ScoreEvidence(
            *(torch.cat(c) for c in zip(*(x.evidence for x in same), strict=True))
        )
        weight = torch.cat(
            [
                torch.full(
                    (len(cell.scores),),
                    weights.get(cell.group, 1.0) / total / size[cell.group, cell.head],
                    dtype=torch.float64,
                )
                for cell in same
            ]
        )
        scores = torch.cat([cell.scores for cell in same]).double()
        usable = evidence.unit > 0
        scores = (scores - scores.mean(-1, keepdim=True))[usable] / evidence.unit[
            usable, None, None
        ]
        scores = scores.float()
        evidence = ScoreEvidence(*(column[usable] for column in evidence))
        blocks.append(_Block(evidence, scores, same[0].labels, weight[usable]))
    return blocks


def _figures(fitted: Temperatures, cells: Sequence[ScoreCell]) -> list[dict[str, Any]]:
    """Log loss and calibration error, per number of shots, of a group that was left out."""
    rows = []
    for K in sorted({cell.shots for cell in cells}):
        losses, confidence, right = [], [], []
        for cell in (cell for cell in cells if cell.shots == K):
            p = _probabilities(fitted, cell)
            best = p.max(-1)
            confidence.append(best.values.flatten())
            right.append((best.indices == cell.labels).flatten())
            of_label = p.gather(-1, cell.labels.expand(len(p), -1)[..., None])
            losses.append(float(-of_label.clamp_min(LEAST).log().mean()))
        error = expected_calibration_error(torch.cat(confidence).numpy(), torch.cat(right).numpy())
        rows.append(
            {
                "group": cells[0].group,
                "head": cells[0].head,
                "shots": K,
                "log_loss": round(float(np.mean(losses)), 4),
                "calibration_error": round(error, 4),
            }
        )
    return rows


def _probabilities(fitted: Temperatures, cell: ScoreCell) -> Tensor:
    """Probabilities (E, R, N) of the new images of a cell."""
    temperature, shrinkage = fitted.of(cell.evidence)
    weight = shrinkage[:, None, None]
    return (1 - weight) * probabilities(cell.scores, temperature) + weight / cell.scores.shape[-1]
