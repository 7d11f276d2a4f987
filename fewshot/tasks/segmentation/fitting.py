"""Heads fitted on the annotated images of a draw, and how they segment images that they lack."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.tasks.segmentation.annotated import AnnotatedImages, DrawnImages, annotated_pixels
from fewshot.tasks.segmentation.cells import Truth
from fewshot.tasks.segmentation.draws import EVERY_CLASS, DrawSet
from fewshot.tasks.segmentation.estimators.base import (
    Held,
    SegmentationEstimator,
    SegmentationPrediction,
)
from fewshot.tasks.segmentation.heads.base import DenseHead, DenseSupport, MomentHead
from fewshot.tasks.segmentation.measures import counts_of
from fewshot.tasks.segmentation.moments import Moments
from fewshot.tasks.segmentation.stacking import HeadStack

ONE_CLASS = (
    "one class is annotated in each image: what is taken for it elsewhere in the image is not seen"
)
MOST_REFITS = 10  # of heads that are fitted from scratch
MOST_JUDGED = 30  # images of a draw that heads without closed forms are judged on
# What leaving an image out takes.
MOMENTS, CHEAP, REFITS = "moments", "cheap", "refits"


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head fitted on a draw, and what estimators predict of it.

    Attributes
    ----------
    head : DenseHead
    predictions : dict of str to SegmentationPrediction
        By estimator; without those that see the truth.
    fit_seconds, predict_seconds : float
        What the fit took, and the predictions.
    """

    head: DenseHead
    predictions: dict[str, SegmentationPrediction]
    fit_seconds: float
    predict_seconds: float


class _LeftOut(NamedTuple):
    """Images under heads that were fitted without them.

    Attributes
    ----------
    counts : ndarray of shape (S', H, 3, N)
    folds : ndarray of shape (S',)
    unknown : ndarray of shape (N,), bool
        Classes that some of those heads had never seen.
    """

    counts: NDArray[np.int64]
    folds: NDArray[np.int64]
    unknown: NDArray[np.bool_]


class DrawFit:
    """The fits of several heads on one draw.

    Parameters
    ----------
    source : AnnotatedImages
    drawn : DrawSet
    draw : int
        Its number.
    heads : sequence of DenseHead
        Unfitted.
    seed : int
        Decides what is random in heads.

    Attributes
    ----------
    fit_seconds, predict_seconds : ndarray of shape (H,)
        What the fit of every head took, and its predictions. Sums of features that several heads
        read count for each of them; what was worked out for several at once, in equal parts.
    """

    def __init__(
        self,
        source: AnnotatedImages,
        drawn: DrawSet,
        draw: int,
        heads: Sequence[DenseHead],
        seed: int,
    ) -> None:
        self.source, self.drawn, self.draw = source, drawn, draw
        self.images = DrawnImages(source, drawn, draw)
        self.seed = int(np.random.SeedSequence([seed, draw]).generate_state(1)[0])
        self._totals: dict[tuple[bool, bool], tuple[Moments, float]] = {}  # and their seconds
        chosen = drawn.only(draw)
        self._pixels = annotated_pixels(source.dataset, chosen)[0][: len(self.images)]
        self.fit_seconds, self.predict_seconds = np.zeros((2, len(heads)))
        self.heads = []
        for number, head in enumerate(heads):
            shared = self._total(head)[1] if isinstance(head, MomentHead) else 0.0
            begun = time.perf_counter()
            self.heads.append(self._fitted(head.clone(), None))
            self.fit_seconds[number] = shared + time.perf_counter() - begun

    def predictions(
        self, estimators: Mapping[str, SegmentationEstimator], level: float
    ) -> list[dict[str, SegmentationPrediction]]:
        """What estimators predict of every head, by name."""
        asked = {name: e for name, e in estimators.items() if not e.sees_truth}
        if not asked:
            return [{} for _ in self.heads]
        groups = self.source.dataset.groups
        rows = self.drawn.support_of(self.draw)
        of_images = None if groups is None else [groups[row] for row in rows]
        descriptors = self.images.descriptors().numpy()
        result: list[dict[str, SegmentationPrediction]] = [{} for _ in self.heads]
        for heads, places in self._judged_on():
            begun = time.perf_counter()
            fitted = self._counts([self.heads[h] for h in heads], places)
            known: dict[bytes, _LeftOut] = {}
            for name, estimator in asked.items():
                folds = estimator.folds(len(rows), of_images)
                if folds is not None and folds.tobytes() not in known:
                    known[folds.tobytes()] = self._left_out(heads, places, folds)
                left_out = None if folds is None else known[folds.tobytes()]
                for at, head in enumerate(heads):
                    held = Held(fitted[:, at], descriptors[places], level, first=self.drawn.first)
                    if left_out is not None:
                        held = replace(
                            held,
                            counts=left_out.counts[:, at],
                            folds=left_out.folds,
                            unknown=left_out.unknown,
                        )
                    result[head][name] = self._with_reservation(estimator.predict(held))
            self.predict_seconds[heads] = (time.perf_counter() - begun) / len(heads)
        return result

    def _with_reservation(self, said: SegmentationPrediction) -> SegmentationPrediction:
        """A prediction from images of which one class alone is annotated is told to be one."""
        of_one_class = (self.drawn.annotated[self.draw] != EVERY_CLASS).any()
        if not of_one_class or (self.drawn.ways == 2 and self.drawn.has_background):
            return said
        return replace(said, reservations=(*said.reservations, ONE_CLASS))

    def _judged_on(self) -> list[tuple[list[int], NDArray[np.int64]]]:
        """Numbers of heads, and the images that they are judged on: all, or some of many."""
        kinds: dict[str, list[int]] = {}
        for number, head in enumerate(self.heads):
            kinds.setdefault(_cost(head), []).append(number)
        images = len(self.images)
        some = np.unique(np.linspace(0, images - 1, MOST_JUDGED).round().astype(np.int64))
        every = np.arange(images)
        return [(heads, every if cost == MOMENTS else some) for cost, heads in kinds.items()]

    def _left_out(
        self, numbers: Sequence[int], places: NDArray[np.int64], folds: NDArray[np.int64]
    ) -> _LeftOut:
        """How images are segmented by heads that were fitted without their fold."""
        labels = folds[places]
        if _cost(self.heads[numbers[0]]) == REFITS:
            labels = np.unique(labels, return_inverse=True)[1] % MOST_REFITS
        counts = np.zeros((len(places), len(numbers), 3, self.drawn.ways), dtype=np.int64)
        unknown = np.zeros(self.drawn.ways, dtype=bool)
        shows = self._pixels > 0
        for fold in np.unique(labels):
            judged = labels == fold
            left_out = np.flatnonzero(np.isin(folds, folds[places[judged]]))
            heads = [self._fitted(_unfitted(self.heads[n]), left_out) for n in numbers]
            counts[judged] = self._counts(heads, places[judged])
            rest = np.delete(np.arange(len(shows)), left_out)
            unknown |= shows[places[judged]].any(0) & ~shows[rest].any(0)
        return _LeftOut(counts, labels, unknown)

    def _fitted(self, head: DenseHead, without: NDArray[np.int64] | None) -> DenseHead:
        """`head` fitted on the images, without those at some places."""
        if isinstance(head, MomentHead):
            moments = self._total(head)[0]
            if without is not None:
                moments = moments - self._moments(without.tolist(), head)
            head.map_ = head.from_moments(moments)
            return head
        images: Sequence = self.images
        if without is not None:
            left_out = set(without.tolist())
            images = [self.images[i] for i in range(len(self.images)) if i not in left_out]
        return head.fit(DenseSupport(images, self.drawn.ways), self.seed)

    def _total(self, head: MomentHead) -> tuple[Moments, float]:
        """Moments of all images as a head takes them, and the seconds that they took."""
        kind = head.unit_length, head.needs_second
        if kind not in self._totals:
            begun = time.perf_counter()
            moments = self._moments(range(len(self.images)), head)
            self._totals[kind] = moments, time.perf_counter() - begun
        return self._totals[kind]

    def _moments(self, places: Sequence[int], head: MomentHead) -> Moments:
        return reduce(
            add,
            (self.source.moments(self.drawn, self.draw, place, head) for place in places),
        )

    def _counts(self, heads: Sequence[DenseHead], places: Iterable[int]) -> NDArray[np.int64]:
        """Counts (len(places), H, 3, N) of annotated images under fitted heads."""
        stack = HeadStack(heads, self.drawn.ways, self.source.device)
        result = []
        for place in places:
            tokens = self.source.bank.tokens(int(self.drawn.support[self.draw, place]))
            mask = torch.from_numpy(self.source.mask(self.drawn, self.draw, place))
            truth = Truth.of(mask.to(self.source.device), self.drawn.ways, tokens.placement)
            result.append(counts_of(stack.confusions(tokens, truth)))
        return np.stack(result)


def _cost(head: DenseHead) -> str:
    chosen = head.delegate()
    if isinstance(chosen, MomentHead):
        return MOMENTS
    return CHEAP if chosen.cheap_to_refit else REFITS


def _unfitted(head: DenseHead) -> DenseHead:
    """The head to fit on fewer images: of one that chooses, what it chose."""
    return head.delegate().clone()
