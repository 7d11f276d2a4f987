"""Pixels by true and predicted class, of many heads at once, without scores at native resolution.

Native scores are interpolated bilinearly between four tokens, so in the cell between them a class
that wins at all four wins everywhere, and a class whose largest corner is below another's smallest
wins nowhere. Only the other classes of the other cells are interpolated; the result is that of an
argmax over all classes at every native pixel.
"""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.tasks.segmentation.cells import BLOCK, Truth, shares_of
from fewshot.tasks.segmentation.dense.bilinear import Placement, upsampled

TINY = 1e-30
MOST_PAIRED = 9  # classes of a cell whose rows are compared in pairs: of more, pixels are cheaper


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
        is_way = ((answer == way) & uniform).to(truth.counts.dtype)
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
    crowded = (possible.sum(-1) > MOST_PAIRED).nonzero()[:, 0]
    if len(crowded):
        possible[crowded] &= ~_behind_winners(corners[:, crowded])
    for chosen, classes in _by_number(possible, 3):  # of many, most lose to another everywhere
        step = max(1, BLOCK // (4 * classes.shape[1] ** 2))
        for part, names in zip(chosen.split(step), classes.split(step), strict=True):
            unbeaten = possible[part].scatter(1, names, ~_beaten(mixed, part, names))
            possible[part] = possible[part] & unbeaten
    rows, columns = truth.before.shape[1:3]
    for chosen, classes in _by_number(possible, 1):
        several = classes.shape[1]
        count = {1: _count_whole, 2: _count_pair}.get(several, _count_several)
        if several > MOST_PAIRED:
            count = _count_pixels
        step = max(1, BLOCK // (rows * several * max(several, columns)))
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
    for low, high in pairwise((0, 1, 2, 3, 5, MOST_PAIRED, 2**62)):
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


def _behind_winners(corners: Tensor) -> Tensor:
    """Whether a class (n, N) is behind a winner of a corner, or of their mean, at all (4, n, N)."""
    behind = torch.zeros(corners.shape[1:], dtype=torch.bool, device=corners.device)
    for winner in (*corners.argmax(-1), corners.mean(0).argmax(-1)):
        best = corners.gather(-1, winner[None, :, None].expand(len(corners), -1, 1))
        behind |= (corners < best).all(0)
    return behind


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
    y, x, step = shares_of(truth.placement, cell)
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
    weights = before.new_ones(len(cell), 2, before.shape[1])
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
    won = won.view(ways, len(cell), -1)
    # Where several classes are equal, rounding may let each of them lose to another one.
    lost = (won.sum(0) != truth.counts[cell]).any(-1).nonzero()[:, 0]
    if len(lost):
        won[:, lost] = _count_pixels(mixed, part[lost], classes[lost], truth)
    return won


def _count_pixels(mixed: _Mixed, part: Tensor, classes: Tensor, truth: Truth) -> Tensor:
    """Pixels (k, n, M) of every true class that each of k classes (n, k) wins, one by one."""
    scores, cell = mixed.scores(part, classes)[:, :, None], mixed.cell[part]
    y, x, _ = shares_of(truth.placement, cell)
    left = torch.lerp(scores[0], scores[2], y[..., None])[:, :, None]  # (n, Py, 1, k)
    right = torch.lerp(scores[1], scores[3], y[..., None])[:, :, None]
    best = torch.lerp(left, right, x[:, None, :, None]).argmax(-1)  # (n, Py, Px)
    shape = (*classes.shape, len(truth.classes) + 1)  # of the last pixels are ignored
    key = torch.arange(len(cell), device=cell.device)[:, None] * shape[1] + best.flatten(1)
    key = key * shape[2] + truth.pixels[cell]
    counts = torch.bincount(key.flatten(), minlength=len(cell) * shape[1] * shape[2]).view(shape)
    return counts[..., :-1].movedim(1, 0).to(truth.counts.dtype)


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
