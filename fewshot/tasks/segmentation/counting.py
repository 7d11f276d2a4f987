"""Pixels by true and predicted class, of many heads at once, without scores at native resolution.

Native scores are interpolated bilinearly between four tokens, so in the cell between them a class
that wins at all four wins everywhere, and a class whose largest corner is below another's smallest
wins nowhere. Only the other classes of the other cells are interpolated; the result is that of an
argmax over all classes at every native pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.tasks.segmentation.dense.bilinear import Placement, upsampled

# Values of native pixels that are worked on at a time.
BLOCK = 2**22
TINY = 1e-30


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
    place = (cell // (across - 1)) * across + cell % (across - 1)
    step = max(1, BLOCK // (4 * ways))
    for start in range(0, len(cell), step):
        chosen = slice(start, start + step)
        mixed = _Mixed(padded, place[chosen] * heads + head[chosen], cell[chosen], head[chosen])
        _count_mixed(mixed, truth, counted.flatten(0, 1))
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


class _Mixed(NamedTuple):
    """Cells whose corners have several answers, of some heads.

    Attributes
    ----------
    padded : Tensor of shape (rows + 2, columns + 2, E, N)
        Scores.
    corner : Tensor of shape (n,)
        Number of the token and head of the corner above left.
    cell, head : Tensor of shape (n,)
    """

    padded: Tensor
    corner: Tensor
    cell: Tensor
    head: Tensor

    def scores(self, chosen: Tensor | None = None, classes: Tensor | None = None) -> Tensor:
        """Scores (4, n, N) of the corners above left, above right, below left and right.

        Of chosen cells, and of k of their classes: (4, n, k).
        """
        across, heads, ways = self.padded.shape[1:]
        flat = self.padded.view(-1, ways)
        corner = self.corner if chosen is None else self.corner[chosen]
        shifts = (0, heads, across * heads, (across + 1) * heads)
        if classes is None:
            return torch.stack([flat[corner + shift] for shift in shifts])
        index = corner[:, None] * ways + classes
        return torch.stack([flat.take(index + shift * ways) for shift in shifts])


def _count_mixed(mixed: _Mixed, truth: Truth, counted: Tensor) -> None:
    """Add the pixels of cells with several answers to `counted` (E * N, M)."""
    corners = mixed.scores()
    smallest, largest = reduce(torch.minimum, corners), reduce(torch.maximum, corners)
    possible = largest >= smallest.amax(-1, keepdim=True)
    for chosen, classes in _by_number(possible, 3):  # of many, most lose to another everywhere
        unbeaten = possible[chosen].scatter(1, classes, ~_beaten(mixed, chosen, classes))
        possible[chosen] = possible[chosen] & unbeaten
    for chosen, classes in _by_number(possible, 1):
        several = classes.shape[1]
        count = {1: _count_whole, 2: _count_pair}.get(several, _count_several)
        step = max(1, BLOCK // (truth.before.shape[1] * several * several))
        for part, names in zip(chosen.split(step), classes.split(step), strict=True):
            row = mixed.head[part, None] * truth.ways + names
            pixels = count(mixed, part, names, truth)  # (k, n, M)
            counted.index_add_(0, row.mT.flatten(), pixels.flatten(0, 1).double())


def _by_number(possible: Tensor, least: int) -> list[tuple[Tensor, Tensor]]:
    """Cells by their number of possible classes, `least` or more, and these: (n', k).

    Cells of four classes and more are taken together with those of a few more, their classes
    filled up by others, which win nowhere.
    """
    number, ways = possible.sum(-1), possible.shape[1]
    groups = []
    for low, high in pairwise((0, 1, 2, 3, 5, 9, 2**62)):
        if high < least or low >= ways:
            continue
        chosen = ((number > low) & (number <= high)).nonzero()[:, 0]
        if not len(chosen):
            continue
        if high <= 3:
            classes = possible[chosen].nonzero()[:, 1].view(-1, high)
        else:
            most = min(high, ways) if high < ways else int(number[chosen].max())
            order = torch.argsort(possible[chosen].to(torch.int8), dim=-1, descending=True)
            classes = order[:, :most].sort(-1).values
        groups.append((chosen, classes))
    return groups


def _beaten(mixed: _Mixed, chosen: Tensor, classes: Tensor) -> Tensor:
    """Whether another one of k classes (n, k) has the larger scores at all four corners."""
    scores = mixed.scores(chosen, classes)
    i, j = torch.triu_indices(classes.shape[1], classes.shape[1], 1, device=classes.device)
    gaps = scores[..., j] - scores[..., i]
    first_loses, second_loses = reduce(torch.minimum, gaps) > 0, reduce(torch.maximum, gaps) <= 0
    ways = torch.arange(classes.shape[1], device=classes.device)
    losses = first_loses.float() @ (i[:, None] == ways).float()
    losses += second_loses.float() @ (j[:, None] == ways).float()
    return losses > 0


def _count_whole(mixed: _Mixed, part: Tensor, classes: Tensor, truth: Truth) -> Tensor:
    """Pixels (1, n, M) that the only possible class (n, 1) wins: all."""
    return truth.counts[mixed.cell[part]][None]


def _count_pair(mixed: _Mixed, part: Tensor, classes: Tensor, truth: Truth) -> Tensor:
    """Pixels (2, n, M) of every true class that each of two classes (n, 2) wins."""
    scores, cell = mixed.scores(part, classes), mixed.cell[part]
    second = _between(*_positive(scores[..., 1] - scores[..., 0], cell, truth), cell, truth)
    return torch.stack([truth.counts[cell] - second, second])


def _positive(gap: Tensor, cell: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """First pixel, and the one after the last, where a gap (4, n) is positive: (n, Py), float.

    Along a row of a cell the gap is linear, so that those pixels are the first or the last ones.
    """
    y, x, step = _shares(truth.placement, cell)
    left = torch.lerp(gap[0, :, None], gap[2, :, None], y)  # (n, Py)
    slope = torch.lerp(gap[1, :, None], gap[3, :, None], y).sub_(left)
    rises = slope > 0
    last = truth.before.shape[2] - 1
    # Where it is zero, in pixels; a level gap is positive at all pixels or at none.
    zero = left.div_(slope.mul_(-step).masked_fill_(slope == 0, TINY)).sub_(x[:, :1] / step)
    start = (zero.floor() + 1).clamp_(0, last)
    stop = zero.ceil_().clamp_(0, last)
    return start.mul_(rises), stop.masked_fill_(rises, last)


def _between(start: Tensor, stop: Tensor, cell: Tensor, truth: Truth) -> Tensor:
    """Pixels (n, M) of every true class from a first pixel on to another one, by row (n, Py)."""
    before = truth.before
    rows = torch.arange(before.shape[1], device=cell.device)
    index = (cell[:, None] * before.shape[1] + rows) * before.shape[2]
    weights = torch.ones(len(cell), 2, before.shape[1], device=cell.device)
    weights[:, 1] = -1
    return torch.nn.functional.embedding_bag(
        torch.cat([index + stop.long(), index + start.long()], 1),
        before.flatten(0, 2),
        mode="sum",
        per_sample_weights=weights.flatten(1),
    )


def _count_several(mixed: _Mixed, part: Tensor, classes: Tensor, truth: Truth) -> Tensor:
    """Pixels (k, n, M) of every true class that each of k > 2 classes (n, k) wins.

    A class wins a row where it wins against all others: between the last of their first pixels
    and the first of their last ones.
    """
    scores, cell, ways = mixed.scores(part, classes), mixed.cell[part], classes.shape[1]
    last = truth.before.shape[2] - 1
    i, j = torch.triu_indices(ways, ways, 1, device=scores.device)
    gaps = (scores[..., j] - scores[..., i]).movedim(-1, 1).flatten(1)  # pair by pair
    first, end = _positive(gaps, cell.repeat(len(i)), truth)
    # What is left for i: after `end`, else before `first`.
    shape = (2 * len(i), len(cell), -1)
    starts = torch.cat([first, torch.where(first == 0, end, 0)]).view(shape)
    stops = torch.cat([end, torch.where(first == 0, last, first)]).view(shape)
    from_pixel, to_pixel = [], []
    for way in range(ways):
        places = torch.cat([j == way, i == way]).nonzero()[:, 0].tolist()
        from_pixel.append(reduce(torch.maximum, [starts[at] for at in places]))
        to_pixel.append(reduce(torch.minimum, [stops[at] for at in places]))
    start, stop = torch.cat(from_pixel), torch.cat(to_pixel)
    won = _between(start, torch.maximum(start, stop), cell.repeat(ways), truth)
    return won.view(ways, len(cell), -1)


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
