"""Annotated images that are held out to choose a head or its settings; tokens judge them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.tasks.segmentation.heads.base import DenseSupport, SupportImage

MOST_IMAGES = 30  # that are held out; more tell no better which head is best
MOST_GROUPS = 10


class Split(NamedTuple):
    """Images that are held out together, and the support without them."""

    held_out: Sequence[SupportImage]
    rest: DenseSupport


def splits(support: DenseSupport, most_groups: int = MOST_GROUPS) -> list[Split]:
    """Leave one image out of at least two; of many, up to 30 of them in at most so many groups.

    Samplers list the images of a class one after another: every n-th image is taken, and images of
    a group are far apart.
    """
    count = len(support.images)
    judged = range(0, count, -(-count // MOST_IMAGES))
    groups = min(len(judged), most_groups)
    return [_split(support, set(judged[first::groups])) for first in range(groups)]


def _split(support: DenseSupport, group: set[int]) -> Split:
    rest = [image for index, image in enumerate(support.images) if index not in group]
    held_out = [image for index, image in enumerate(support.images) if index in group]
    return Split(held_out, DenseSupport(rest, support.ways))


def token_confusion(scores: Tensor, labels: Tensor) -> Tensor:
    """Pixels (N, N), float64, by class and by the class that wins at their token.

    Parameters
    ----------
    scores : Tensor of shape (T, N)
    labels : Tensor of shape (T, N)
        Native pixels of every class that a token stands for.
    """
    ways = labels.shape[1]
    confusion = torch.zeros(ways, ways, dtype=torch.float64, device=labels.device)
    confusion.index_add_(0, scores.argmax(1), labels.double())
    return confusion.mT


def mean_iou(confusion: Tensor) -> Tensor:
    """Mean IoU (...) over the classes in the truth of confusions (..., N, N); NaN without any."""
    hits, truth = confusion.diagonal(dim1=-2, dim2=-1), confusion.sum(-1)
    present = truth > 0
    union = (truth + confusion.sum(-2) - hits).masked_fill(~present, 1.0)
    return torch.where(present, hits / union, 0.0).sum(-1) / present.sum(-1)


def best_candidate(confusions: Tensor) -> int:
    """The candidate of the largest mean IoU, if it is clearly better than the first.

    The first is left for those alone whose mean IoU exceeds its own by more than a standard error,
    that of the jackknife over the groups of held-out images. With few images the largest mean IoU
    is mostly chance.

    Parameters
    ----------
    confusions : Tensor of shape (G, M, N, N)
        Of G groups and M candidates.
    """
    groups = len(confusions)
    whole = confusions.sum(0)
    ious = mean_iou(whole)
    gains = mean_iou(whole - confusions)
    gains = gains - gains[:, :1]
    variance = (gains - gains.mean(0)).square().sum(0) * (groups - 1) / groups
    clear = ious - ious[0] > variance.sqrt()
    clear[0] = True
    return int(ious.masked_fill(~clear, -1.0).argmax())
