"""Pixels by true and predicted class, of many heads at once, without scores at native resolution.

Native scores are interpolated bilinearly between four tokens, so in the cell between them a class
that wins at all four wins everywhere, and a class whose largest corner is below another's smallest
wins nowhere. Only the other classes of the other cells are interpolated; the result is that of an
argmax over all classes at every native pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.tasks.segmentation.dense.bilinear import Placement, upsampled

# Values of native pixels that are worked on at a time.
BLOCK = 2**22


class _Axis(NamedTuple):
    """Pixels of an axis by cell.

    Attributes
    ----------
    pixels : Tensor of shape (cells, P), int64
        -1 in the padding.
    shares : Tensor of shape (cells, P), float32
        Of the token behind, in [0, 1].
    step : float
        Between the shares of pixels.
    """

    pixels: Tensor
    shares: Tensor
    step: float


@lru_cache(maxsize=256)
def _axis(placement: Placement, axis: int, device: torch.device) -> _Axis:
    tokens = placement.grid[axis]
    at = placement.positions(axis)
    low = at.floor()
    # Cell c lies between tokens c - 1 and c; the first and the last have their token twice.
    cell = (low.long() + 1).clamp(0, tokens)
    counts = torch.bincount(cell, minlength=tokens + 1)
    most = int(counts.max())
    place = torch.arange(len(at)) - (counts.cumsum(0) - counts)[cell]
    pixels = torch.full((tokens + 1, most), -1)
    pixels[cell, place] = torch.arange(len(at))
    step = placement.resized[axis] / placement.native[axis] / placement.stride
    shares = (torch.arange(most) * step).expand(tokens + 1, -1).double().clone()
    shares += (at - low)[(counts.cumsum(0) - counts).clamp_max(len(at) - 1)][:, None]
    return _Axis(pixels.to(device), shares.float().to(device), step)


@dataclass(frozen=True, eq=False)
class Truth:
    """The mask of an image by cells between tokens.

    Attributes
    ----------
    placement : Placement
    ways : int
        N.
    classes : Tensor of shape (M,), int64
        Those that the mask shows.
    pixels : Tensor of shape (cells, Py * Px), int32
        Index into `classes`; M for ignored pixels and padding.
    counts : Tensor of shape (cells, M), float32
        Pixels of every class.
    """

    placement: Placement
    ways: int
    classes: Tensor
    pixels: Tensor
    counts: Tensor

    @classmethod
    def of(cls, mask: Tensor, ways: int, placement: Placement) -> Truth:
        """The mask (H, W) of an image, integer; what is outside of [0, N) is ignored."""
        rows, columns = (_axis(placement, axis, mask.device).pixels for axis in (0, 1))
        known = torch.where((mask >= 0) & (mask < ways), mask, ways).long()
        shown = torch.bincount(known.flatten(), minlength=ways + 1)
        classes = shown[:ways].nonzero()[:, 0]
        index = torch.full((ways + 1,), len(classes), dtype=torch.int32, device=mask.device)
        index[classes] = torch.arange(len(classes), dtype=torch.int32, device=mask.device)
        padded = torch.nn.functional.pad(index[known], (0, 1, 0, 1), value=len(classes))
        pixels = padded[rows[:, None, :, None], columns[None, :, None, :]].flatten(0, 1).flatten(1)
        width = len(classes) + 1
        key = torch.arange(len(pixels), device=mask.device)[:, None] * width + pixels
        counts = torch.bincount(key.flatten(), minlength=len(pixels) * width).view(-1, width)
        return cls(placement, ways, classes, pixels, counts[:, :-1].float())

    def totals(self) -> Tensor:
        """Pixels (N,) of every class, int64."""
        totals = torch.zeros(self.ways, dtype=torch.int64, device=self.counts.device)
        totals[self.classes] = self.counts.sum(0).round().long()
        return totals

    @cached_property
    def before(self) -> Tensor:
        """Pixels (cells, Py, Px + 1, M) of every class among the first 0, 1, ... of a row."""
        pixels = _axis(self.placement, 1, self.pixels.device).pixels.shape[1]
        names = torch.arange(len(self.classes), dtype=torch.int32, device=self.pixels.device)
        rows = self.pixels.view(len(self.pixels), -1, 1, pixels)
        is_class = (rows == names[:, None]).float()  # (cells, Py, M, Px)
        up_to = torch.ones(pixels, pixels + 1, device=rows.device).triu(1)
        return (is_class @ up_to).mT.contiguous()


def confusions(scores: Tensor, truth: Truth) -> Tensor:
    """Pixels (E, N, N) by true and predicted class, int64.

    Parameters
    ----------
    scores : Tensor of shape (rows, columns, E, N), float32
        Of every token under E heads; the largest interpolated one wins, the first among equals.
    truth : Truth
        Of that image.
    """
    heads, ways = scores.shape[2:]
    result = torch.zeros(heads, ways, ways, dtype=torch.int64, device=scores.device)
    if not len(truth.classes):
        return result
    padded = _with_edges(scores)
    best = _argmax(padded)  # (rows + 2, columns + 2, E)
    corners = [best[:-1, :-1], best[:-1, 1:], best[1:, :-1], best[1:, 1:]]
    uniform = corners[0] == corners[1]
    for corner in corners[2:]:
        uniform &= corners[0] == corner
    uniform = uniform.flatten(0, 1)
    counted = _of_uniform(corners[0].flatten(0, 1), uniform, truth)
    cell, head = (~uniform).nonzero(as_tuple=True)
    across = padded.shape[1]
    first = (cell // (across - 1)) * across + cell % (across - 1)
    flat = padded.flatten(0, 2)
    step = max(1, BLOCK // (4 * ways))
    for start in range(0, len(cell), step):
        chosen = slice(start, start + step)
        places = [first[chosen] + shift for shift in (0, 1, across, across + 1)]
        values = torch.stack([flat[place * heads + head[chosen]] for place in places])
        _count_mixed(values, cell[chosen], head[chosen], truth, counted)
    result[:, truth.classes] = counted.round().long().mT
    return result


def _with_edges(scores: Tensor) -> Tensor:
    """Scores with the first and the last row and column twice."""
    rows = torch.arange(-1, scores.shape[0] + 1, device=scores.device)
    columns = torch.arange(-1, scores.shape[1] + 1, device=scores.device)
    rows, columns = rows.clamp(0, scores.shape[0] - 1), columns.clamp(0, scores.shape[1] - 1)
    return scores[rows][:, columns]


def _argmax(scores: Tensor) -> Tensor:
    """Number of the largest score along the last axis, int16; the first among equals."""
    best = scores[..., 0].clone()
    answer = torch.zeros(best.shape, dtype=torch.int16, device=scores.device)
    for way in range(1, scores.shape[-1]):
        larger = scores[..., way] > best
        answer.masked_fill_(larger, way)
        torch.maximum(best, scores[..., way], out=best)
    return answer


def _of_uniform(answer: Tensor, uniform: Tensor, truth: Truth) -> Tensor:
    """Pixels (E, N, M), float64, by predicted and true class of cells (cells, E) of one answer."""
    result = []
    for way in range(truth.ways):
        is_way = ((answer == way) & uniform).float()
        result.append(is_way.mT @ truth.counts)
    return torch.stack(result, 1).double()


def _count_mixed(values: Tensor, cell: Tensor, head: Tensor, truth: Truth, counted: Tensor) -> None:
    """Add the pixels of cells with several answers to `counted` (E, N, M).

    `values` (4, n, N) are the scores of the corners: above left, above right, below left and right.
    """
    smallest, largest = reduce(torch.minimum, values), reduce(torch.maximum, values)
    possible = largest >= smallest.amax(-1, keepdim=True)
    names, number = _listed(possible)
    for chosen, several in _by_number(number, 3):  # of many, most lose to another at all corners
        classes = names[chosen, :several]
        scores = values[:, chosen].gather(2, classes.expand(4, -1, -1))
        possible[chosen] = possible[chosen].scatter(1, classes, ~_beaten(scores))
    names, number = _listed(possible)
    flat = counted.flatten(0, 1)
    for chosen, several in _by_number(number, 1):
        step = max(1, BLOCK // (truth.before[0].numel() * several))
        for part in chosen.split(step):
            classes = names[part, :several]
            scores = values[:, part].gather(2, classes.expand(4, -1, -1))
            count = _count_pair if several < 3 else _count_several
            count(scores, classes, cell[part], head[part] * truth.ways, truth, flat)


def _by_number(number: Tensor, least: int) -> list[tuple[Tensor, int]]:
    """Places of equal numbers (n,), from `least` on, and the number."""
    return [
        ((number == several).nonzero()[:, 0], several)
        for several in number.unique().tolist()
        if several >= least
    ]


def _listed(possible: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of the possible classes (n, N) first, in order, and how many there are (n,)."""
    order = torch.argsort(possible.to(torch.int8), dim=-1, descending=True, stable=True)
    return order, possible.sum(-1)


def _beaten(scores: Tensor) -> Tensor:
    """Whether another class has the larger corners, all four of (4, n, k): (n, k), bool."""
    first, second = scores[..., :, None], scores[..., None, :]
    earlier = torch.ones(2 * scores.shape[-1:], device=scores.device).triu(1).bool()
    beats = torch.where(earlier, (first >= second).all(0), (first > second).all(0))
    return beats.any(1)


def _count_pair(
    scores: Tensor, names: Tensor, cell: Tensor, row: Tensor, truth: Truth, counted: Tensor
) -> None:
    """Add the pixels of cells with one or two possible classes, from corner scores (4, n, k)."""
    if scores.shape[-1] == 1:
        counted.index_add_(0, row + names[:, 0], truth.counts[cell].double())
        return
    second = _won_by_second(scores[..., 1] - scores[..., 0], cell, truth)
    counted.index_add_(0, row + names[:, 1], second.double())
    counted.index_add_(0, row + names[:, 0], (truth.counts[cell] - second).double())


def _won_by_second(gap: Tensor, cell: Tensor, truth: Truth) -> Tensor:
    """Pixels (n, M) of every true class where the interpolated gap (4, n) is positive."""
    start, stop = _positive(gap, cell, truth)
    return _between(start, stop, cell, truth)


def _positive(gap: Tensor, cell: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """First pixel, and the one after the last, where a gap (4, n) is positive: (n, Py) each.

    Along a row of a cell the gap is linear, so that those pixels are the first or the last ones.
    """
    y, x, step = _shares(truth.placement, cell)
    left = torch.lerp(gap[0, :, None], gap[2, :, None], y)  # (n, Py)
    slope = torch.lerp(gap[1, :, None], gap[3, :, None], y) - left
    begin, last = x[:, :1], truth.before.shape[2] - 1
    rises = slope > 0
    edge = ((-left / slope - begin) / step).nan_to_num(0.0).clamp(-1, last + 1).ceil()
    # The first pixel on the other side, exactly as single pixels are interpolated.
    earlier = (left + slope * (begin + (edge - 1) * step) > 0) == rises
    later = (left + slope * (begin + edge * step) > 0) != rises
    edge = (edge - earlier.float() + (later & ~earlier).float()).clamp(0, last).long()
    edge = torch.where(slope == 0, torch.where(left > 0, last, 0), edge)
    return torch.where(rises, edge, 0), torch.where(rises, last, edge)


def _between(start: Tensor, stop: Tensor, cell: Tensor, truth: Truth) -> Tensor:
    """Pixels (n, M) of every true class from a first pixel on to another one, by row (n, Py)."""
    before = truth.before
    rows = torch.arange(before.shape[1], device=cell.device)
    index = (cell[:, None] * before.shape[1] + rows) * before.shape[2]
    weights = torch.ones(len(cell), 2, before.shape[1], device=cell.device)
    weights[:, 1] = -1
    return torch.nn.functional.embedding_bag(
        torch.cat([index + stop, index + start], 1),
        before.flatten(0, 2),
        mode="sum",
        per_sample_weights=weights.flatten(1),
    )


def _count_several(
    scores: Tensor, names: Tensor, cell: Tensor, row: Tensor, truth: Truth, counted: Tensor
) -> None:
    """Add the pixels of cells with k > 2 possible classes, from corner scores (4, n, k).

    A class wins a row where it wins against all others: between the last of their first pixels
    and the first of their last ones.
    """
    ways, last = scores.shape[-1], truth.before.shape[2] - 1
    i, j = torch.triu_indices(ways, ways, 1, device=scores.device)
    pairs = len(i)
    gaps = (scores[..., j] - scores[..., i]).flatten(1)
    first, end = _positive(gaps, cell.repeat_interleave(pairs), truth)
    # What is left for i: after `end`, else before `first`.
    starts = torch.stack([first, torch.where(first == 0, end, 0)]).view(2, len(cell), pairs, -1)
    stops = torch.stack([end, torch.where(first == 0, last, first)]).view(2, len(cell), pairs, -1)
    sides = [(0, j.tolist()), (1, i.tolist())]
    for way in range(ways):
        places = [(side, at) for side, members in sides for at, n in enumerate(members) if n == way]
        start = reduce(torch.maximum, [starts[side, :, at] for side, at in places])
        stop = reduce(torch.minimum, [stops[side, :, at] for side, at in places])
        won = _between(start, torch.maximum(start, stop), cell, truth)
        counted.index_add_(0, row + names[:, way], won.double())


def _shares(placement: Placement, cell: Tensor) -> tuple[Tensor, Tensor, float]:
    """Shares (n, Py) and (n, Px) of the corners below and right, and the step of the latter."""
    down, across = (_axis(placement, axis, cell.device) for axis in (0, 1))
    cells_across = len(across.shares)
    return down.shares[cell // cells_across], across.shares[cell % cells_across], across.step


def segmented(scores: Tensor, placement: Placement) -> Tensor:
    """Class numbers (H, W), int16, from scores (rows, columns, N) of the tokens of one head."""
    best: Tensor | None = None
    answer = torch.zeros(placement.native, dtype=torch.int16, device=scores.device)
    for way in range(scores.shape[-1]):  # one class at a time: many classes at native size are GB
        native = upsampled(scores[..., way], placement)
        if best is None:
            best = native
            continue
        answer.masked_fill_(native > best, way)
        torch.maximum(best, native, out=best)
    return answer
