"""Pixels by true and predicted class, of many heads at once, without scores at native resolution.

Native scores are interpolated bilinearly between four tokens, so in the cell between them a class
that wins at all four wins everywhere, and a class whose largest corner is below another's smallest
wins nowhere. Only the other classes of the other cells are interpolated; the result is that of an
argmax over all classes at every native pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
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
        cells, across = len(self.pixels), _axis(self.placement, 1, self.pixels.device)
        shape = (cells, -1, across.pixels.shape[1])
        names = torch.arange(len(self.classes), dtype=torch.int32, device=self.pixels.device)
        is_class = self.pixels.view(shape)[..., None] == names
        padded = torch.nn.functional.pad(is_class.float(), (0, 0, 1, 0))
        return padded.cumsum(2)


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
    result = torch.zeros(heads, ways, ways, dtype=torch.int64, device=scores.device)
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
    possible = values.amax(0) >= values.amin(0).amax(-1, keepdim=True)
    number = possible.sum(-1)
    order = torch.argsort(possible.to(torch.int8), dim=-1, descending=True, stable=True)
    flat = counted.flatten(0, 1)
    for several in number.unique().tolist():
        chosen = (number == several).nonzero()[:, 0]
        step = max(1, BLOCK // (truth.pixels.shape[1] * several))
        for part in chosen.split(step):
            names, place = order[part, :several], cell[part]
            row = head[part] * truth.ways
            if several == 1:
                flat.index_add_(0, row + names[:, 0], truth.counts[place].double())
                continue
            scores = values[:, part].gather(2, names.expand(4, -1, -1))
            if several == 2:
                second = _won_by_second(scores[..., 1] - scores[..., 0], place, truth)
                flat.index_add_(0, row + names[:, 1], second.double())
                flat.index_add_(0, row + names[:, 0], (truth.counts[place] - second).double())
            else:
                _count_several(scores, names, place, row, truth, flat)


def _won_by_second(gap: Tensor, cell: Tensor, truth: Truth) -> Tensor:
    """Pixels (n, M) of every true class where the interpolated gap (4, n) is positive.

    Along a row of a cell the gap is linear, so that those pixels are the first or the last ones.
    """
    before = truth.before
    y, x, step = _shares(truth.placement, cell)
    left = torch.lerp(gap[0, :, None], gap[2, :, None], y)  # (n, Py)
    slope = torch.lerp(gap[1, :, None], gap[3, :, None], y) - left
    start, last = x[:, :1], before.shape[2] - 1
    rises = slope > 0
    edge = ((-left / slope - start) / step).nan_to_num(0.0).clamp(-1, last + 1).ceil()
    # The first pixel on the other side, exactly as single pixels are interpolated.
    earlier = (left + slope * (start + (edge - 1) * step) > 0) == rises
    later = (left + slope * (start + edge * step) > 0) != rises
    edge = (edge - earlier.float() + (later & ~earlier).float()).clamp(0, last).long()
    edge = torch.where(slope == 0, torch.where(left > 0, last, 0), edge)
    rows = torch.arange(before.shape[1], device=gap.device)
    index = (cell[:, None] * before.shape[1] + rows) * before.shape[2]
    table = before.flatten(0, 2)
    first = torch.nn.functional.embedding_bag(
        index + edge, table, mode="sum",
        per_sample_weights=torch.where(rises, -1.0, 1.0),
    )  # fmt: skip
    whole = torch.where(rises & (slope != 0), 1.0, 0.0)
    return first + torch.einsum("np,npm->nm", whole, before[cell, :, -1])


def _count_several(
    scores: Tensor, names: Tensor, cell: Tensor, row: Tensor, truth: Truth, counted: Tensor
) -> None:
    """Add the pixels of cells with k > 2 possible classes, from corner scores (4, n, k)."""
    y, x, _ = _shares(truth.placement, cell)
    left = torch.lerp(scores[0, ..., None], scores[2, ..., None], y[:, None])
    right = torch.lerp(scores[1, ..., None], scores[3, ..., None], y[:, None])
    ends = torch.stack([left, right], -1).flatten(1, 2)  # (n, k * Py, 2)
    native = torch.bmm(ends, torch.stack([1 - x, x], 1)).unflatten(1, left.shape[1:])
    answer = _argmax(native.movedim(1, -1)).long().flatten(1)  # of (n, k, Py, Px)
    width = len(truth.classes) + 1
    winner = (row[:, None] + names).to(torch.int32).gather(1, answer)
    key = winner * width + truth.pixels[cell]
    pixels = torch.bincount(key.flatten(), minlength=len(counted) * width)
    counted += pixels.view(-1, width)[:, :-1]


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
