"""The head that does best on support images that are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect, shown
from fewshot.importing import origin_of
from fewshot.tasks.segmentation.heads.base import (
    DenseHead,
    DenseSupport,
    MomentHead,
)
from fewshot.tasks.segmentation.heads.leave_out import (
    Split,
    best_candidate,
    mean_iou,
    splits,
    token_confusion,
)
from fewshot.tasks.segmentation.moments import Moments

Spec = str | Mapping[str, Mapping[str, Any]] | DenseHead
# The first is a little worse than the default on many images and better on two to five.
CANDIDATES: tuple[Spec, ...] = (
    {"pixel_lda": {"shrinkage": 0.3, "tau": 0.5}},
    "pixel_lda",
    {"pixel_lda": {"shrinkage": 0.03}},
    "ridge",
    "prototype",
    "dense_knn",
)


class Auto(DenseHead):
    """Picks head and settings by leaving out support images, one at a time.

    The held-out images' pixels are counted at their token, by class and by the class that wins
    there. The candidate of the largest mean IoU over the classes in the truth is fitted on all
    images, but the first candidate where no other is better than it by more than a standard error
    (jackknife over the held-out images), and where there is a single image. Of many images up to 30
    are held out, in at most ten groups.

    Parameters
    ----------
    candidates : sequence, optional
        Names of heads, mappings of a name to settings, ``{"dense_knn": {"k": 10}}``, or heads. By
        default `CANDIDATES`: pixel LDA with more shrinkage and half the class shares, then with
        other settings, ridge, prototype and dense KNN.

    Attributes
    ----------
    chosen_ : str
        The head with what differs from its defaults: ``pixel_lda (shrinkage=0.3)``.
    head_ : DenseHead
        Fitted on all images.
    ious_ : dict of str to float
        Mean IoU of every candidate; empty for a single image.
    """

    def __init__(self, candidates: Sequence[Spec] | None = None) -> None:
        self.candidates = candidates
        self._made()

    @property
    def references(self) -> tuple[str, ...]:
        """Those of the candidates."""
        heads = [head for _, head in self._made()]
        return tuple(dict.fromkeys(key for head in heads for key in head.references or ()))

    def fit(self, support: DenseSupport, seed: int = 0) -> Self:
        """Choose, and fit the chosen head."""
        candidates = self._made()
        self.ious_: dict[str, float] = {}
        best = 0
        if len(support.images) > 1:
            heads = [head for _, head in candidates]
            confusions = held_out_confusions(heads, support, seed)
            ious = mean_iou(confusions.sum(0)).tolist()
            self.ious_ = {text: iou for (text, _), iou in zip(candidates, ious, strict=True)}
            best = best_candidate(confusions)
        self.chosen_, head = candidates[best]
        self.head_ = head.clone().fit(support, seed)
        return self

    def delegate(self) -> DenseHead:
        """The chosen head."""
        return self.head_

    def scores(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Scores (T, N) of the chosen head."""
        return self.head_.scores(tokens, grid)

    def _made(self) -> list[_Candidate]:
        specs = CANDIDATES if self.candidates is None else self.candidates
        expect(
            isinstance(specs, Sequence) and not isinstance(specs, str) and len(specs) > 0,
            "candidates",
            f"expected a list of heads, got {shown(specs)}",
            "Such as [pixel_lda, {dense_knn: {k: 10}}].",
        )
        return [_candidate(spec) for spec in specs]


class _Candidate(NamedTuple):
    text: str
    head: DenseHead


def _candidate(spec: Spec) -> _Candidate:
    name, head = _head_of(spec)
    expect(
        head.only_ways is None and not isinstance(head, Auto),
        "candidates",
        f"expected heads for any number of classes, got {name!r}",
    )
    variant = head.variant()
    return _Candidate(f"{name} ({variant})" if variant else name, head)


def _head_of(spec: Spec) -> tuple[str, DenseHead]:
    from fewshot.tasks.segmentation.heads import heads

    if isinstance(spec, DenseHead):
        origin = origin_of(type(spec))
        names = [name for name in heads.registered() if heads[name].origin == origin]
        return names[0] if names else type(spec).__name__, spec
    entry = {spec: {}} if isinstance(spec, str) else spec
    expect(
        isinstance(entry, Mapping)
        and len(entry) == 1
        and all(isinstance(settings, Mapping) for settings in entry.values()),
        "candidates",
        f"expected names of heads, or a name with its settings, got {shown(spec)}",
        "Such as [pixel_lda, {dense_knn: {k: 10}}].",
    )
    ((name, settings),) = entry.items()
    try:
        return str(name), heads.create(str(name), **settings)
    except FewshotError as error:
        problem = f"{name!r}: {error.argument}: {error.problem}"
        raise FewshotError("candidates", problem, error.remedy) from None


def held_out_confusions(
    candidates: Sequence[DenseHead], support: DenseSupport, seed: int
) -> Tensor:
    """Confusions (G, M, N, N) of G groups of held-out images by M heads fitted on the others."""
    ways, parts = support.ways, splits(support)
    confusions = torch.zeros(len(parts), len(candidates), ways, ways, dtype=torch.float64)
    whole = _SharedMoments(support)
    for group, split in enumerate(parts):
        rest = _SharedMoments(split.rest, whole, split)
        for at, head in enumerate(candidates):
            fitted = _fitted(head.clone(), split.rest, rest, seed)
            for image in split.held_out:
                scores = fitted.scores(image.tokens, image.grid)
                confusions[group, at] += token_confusion(scores, image.labels).cpu()
    return confusions


def _fitted(head: DenseHead, rest: DenseSupport, moments: _SharedMoments, seed: int) -> DenseHead:
    if isinstance(head, MomentHead):
        head.map_ = head.from_moments(moments.of(head.unit_length))
        return head
    return head.fit(rest, seed)


class _SharedMoments:
    """Moments of a support, of tokens as they are and at unit length, computed where needed.

    Those of a support without some images are the whole's less theirs.
    """

    def __init__(
        self,
        support: DenseSupport,
        whole: _SharedMoments | None = None,
        split: Split | None = None,
    ) -> None:
        self._support, self._whole, self._split = support, whole, split
        self._moments: dict[bool, Moments] = {}

    def of(self, unit_length: bool) -> Moments:
        """Moments of tokens at unit length if so asked."""
        if unit_length not in self._moments:
            self._moments[unit_length] = self._computed(unit_length)
        return self._moments[unit_length]

    def _computed(self, unit_length: bool) -> Moments:
        if self._whole is None or self._split is None:
            return self._support.moments(unit_length)
        held_out = DenseSupport(self._split.held_out, self._support.ways)
        return self._whole.of(unit_length) - held_out.moments(unit_length)
