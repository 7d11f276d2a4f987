"""Heads fitted on the annotated images of a draw, and how they segment images that they lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.tasks.segmentation.annotated import AnnotatedImages, DrawnImages
from fewshot.tasks.segmentation.counting import Truth
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.estimators.base import (
    Held,
    SegmentationEstimator,
    SegmentationPrediction,
)
from fewshot.tasks.segmentation.heads.base import DenseHead, DenseSupport, MomentHead
from fewshot.tasks.segmentation.measures import counts_of
from fewshot.tasks.segmentation.moments import Moments
from fewshot.tasks.segmentation.stacking import HeadStack

MOST_REFITS = 10  # of heads that take long


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head fitted on a draw, and what estimators predict of it.

    Attributes
    ----------
    head : DenseHead
    predictions : dict of str to SegmentationPrediction
        By estimator; without those that see the truth.
    """

    head: DenseHead
    predictions: dict[str, SegmentationPrediction]


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
        self._totals: dict[tuple[bool, bool], Moments] = {}
        self.heads = [self._fitted(head.clone(), None) for head in heads]

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
        fitted = self._counts(self.heads, range(len(rows)))
        result: list[dict[str, SegmentationPrediction]] = [{} for _ in self.heads]
        known: dict[bytes, list[tuple[NDArray, NDArray]]] = {}
        for name, estimator in asked.items():
            folds = estimator.folds(len(rows), of_images)
            if folds is not None and folds.tobytes() not in known:
                known[folds.tobytes()] = self._left_out(folds)
            for place, predictions in enumerate(result):
                counts, merged = (None, None) if folds is None else known[folds.tobytes()][place]
                held = Held(counts, merged, fitted[:, place], descriptors, level)
                predictions[name] = estimator.predict(held)
        return result

    def _left_out(self, folds: NDArray[np.int64]) -> list[tuple[NDArray, NDArray]]:
        """Counts (S, 3, N) of every head fitted without each fold in turn, and its folds."""
        cheap = [place for place, head in enumerate(self.heads) if _is_cheap(head)]
        dear = [place for place in range(len(self.heads)) if place not in cheap]
        result: list[tuple[NDArray, NDArray]] = [(folds, folds)] * len(self.heads)
        for places, labels in ((cheap, folds), (dear, folds % MOST_REFITS)):
            if not places:
                continue
            counts = np.zeros((len(folds), len(places), 3, self.drawn.ways), dtype=np.int64)
            for fold in np.unique(labels):
                members = np.flatnonzero(labels == fold)
                heads = [self._fitted(_unfitted(self.heads[p]), members) for p in places]
                counts[members] = self._counts(heads, members.tolist())
            for at, place in enumerate(places):
                result[place] = counts[:, at], labels
        return result

    def _fitted(self, head: DenseHead, without: NDArray[np.int64] | None) -> DenseHead:
        """`head` fitted on the images, without those at some places."""
        if isinstance(head, MomentHead):
            kind = head.unit_length, head.needs_second
            if kind not in self._totals:
                self._totals[kind] = self._moments(range(len(self.images)), head)
            moments = self._totals[kind]
            if without is not None:
                moments = moments - self._moments(without.tolist(), head)
            head.map_ = head.from_moments(moments)
            return head
        images: Sequence = self.images
        if without is not None:
            left_out = set(without.tolist())
            images = [self.images[i] for i in range(len(self.images)) if i not in left_out]
        return head.fit(DenseSupport(images, self.drawn.ways), self.seed)

    def _moments(self, places: Sequence[int], head: MomentHead) -> Moments:
        return reduce(
            add,
            (self.source.moments(self.drawn, self.draw, place, head) for place in places),
        )

    def _counts(self, heads: Sequence[DenseHead], places: Sequence[int]) -> NDArray[np.int64]:
        """Counts (len(places), H, 3, N) of annotated images under fitted heads."""
        stack = HeadStack(heads, self.drawn.ways, self.source.device)
        result = []
        for place in places:
            tokens = self.source.bank.tokens(int(self.drawn.support[self.draw, place]))
            mask = torch.from_numpy(self.source.mask(self.drawn, self.draw, place))
            truth = Truth.of(mask.to(self.source.device), self.drawn.ways, tokens.placement)
            result.append(counts_of(stack.confusions(tokens, truth)))
        return np.stack(result)


def _is_cheap(head: DenseHead) -> bool:
    return head.delegate().cheap_to_refit


def _unfitted(head: DenseHead) -> DenseHead:
    """The head to fit on fewer images: of one that chooses, what it chose."""
    return head.delegate().clone()
