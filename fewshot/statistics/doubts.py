"""Shots whose labels are in doubt: leave-one-out margins with a chance rate, and outliers.

Everything rests on squared distances to class means. The shot itself is left out of its class mean,
and the scatter of the shots that makes up a mean of k of them is subtracted: with t the pooled
variance of the classes, summed over the dimensions, ``u_ij = |x_i - m_j|^2 - t / k`` is an unbiased
estimate of the squared distance to the true mean, whatever the number of shots. Without that a
class with many shots looks nearer than one with few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import stdtr
from torch import Tensor

from fewshot.exceptions import expect

# Shots that are set aside one after another: at most a quarter of a task, in 32 steps.
DOUBTED, STEPS = 4, 32
# Every shot that is judged takes a probability for all pairs of classes.
PAIRS, FEWEST = 20_000_000, 20
# Most degrees of freedom of Student's t, as features are not quite normal, and weight, in shots, of
# the variance that all pairs of classes share.
FREEDOM, SHARED = 30.0, 4.0
# Log chance of the lowest margin of a task with right labels: EXCESS - RATE (evidence + GAP gap).
# Of 2 to 10 shots of 5 and 10 classes, random and similar ones, of nine data sets (crops of
# photographs and textures, ImageNet, clip art, emoji, icons, fonts, game art, digits): 20, 10, 5
# and 1 % of the tasks exceed 4.1, 5.9, 7.7 and 11.6, whatever the shots, ways and similarity.
EXCESS, RATE, GAP = 0.03, 0.4, 10.0
# What is added to the squared distance of two classes that the gap is a share of, in units of t:
# between classes that coincide any gap would be large.
APART = 0.25
ROUNDING = 1e-9


class LabelDoubts(NamedTuple):
    """What speaks against the labels of the shots.

    Attributes
    ----------
    margins : Tensor of shape (E, N, K), float64
        ``min_j u_ij - u_ic`` of a shot with label c over the classes j != c, in units of t: below 0
        it is nearer to another class. NaN for padding and where its class has no other shot.
    rivals : Tensor of shape (E, N, K), int64
        The class j of the margin.
    chances : Tensor of shape (E, N, K), float64
        How probable it is that some shot of a task with right labels has a margin as low, in
        [0, 1]; 1 where the margin is positive, or NaN.
    ranks : Tensor of shape (E, N, K), int64
        Position on the list of the task, 0 for the label in the greatest doubt; padding is last.
    """

    margins: Tensor
    rivals: Tensor
    chances: Tensor
    ranks: Tensor


def label_doubts(
    features: Tensor, mask: Tensor | None = None, counted: Tensor | None = None
) -> LabelDoubts:
    """Margins of all shots under the class Gaussians without them, and their chance rates.

    The shot with the lowest margin is set aside, then the one with the lowest margin given the
    others, and so on while margins are negative, for a quarter of the shots at most (of 300 classes
    and more, for some 20 to 200): several wrong labels would hide each other (the generalised
    extreme Studentised deviate procedure, Rosner 1983). Against its label speak

    - the evidence ``-log P(the lowest of all margins of the task is as low)``. A margin of class c
      over j has, given the other shots, the mean ``|m_c - m_j|^2 - t (1 / K_c + 1 / K_j)`` and
      Student's t distribution, with its variance in class c measured on the other shots and drawn
      towards what is common to all pairs of classes; the shots are taken as independent;
    - the gap between its margin and the next lowest, as a share of the squared distance between
      the means of its class and of the rival (plus t / 4): of classes that overlap many margins
      are low.

    The tails of features are not normal. So the chance rate is measured: it is that of clean tasks
    of other data sets, by the sum of the evidence and ten times the gap.

    Parameters
    ----------
    features : Tensor of shape (E, N, K, D), floating
        K shots of each of N classes in E tasks.
    mask : Tensor of shape (E, N, K), bool, optional
        False for padding.
    counted : Tensor of shape (E, N, K), bool, optional
        False for shots that are judged but belong to no class mean, as copies in several classes.

    Raises
    ------
    FewshotError
        Shapes that do not fit.
    """
    features, mask, counted = _checked(features, mask, counted)
    trusted, left = counted.clone(), mask.clone()
    tasks = torch.arange(len(features), device=features.device)[:, None]
    first = state = _State.of(features, mask, trusted)
    steps = torch.ceil(mask.flatten(1).sum(1) / DOUBTED)
    steps = steps.clamp_max(max(FEWEST, PAIRS // mask.shape[1] ** 2))
    most = int(steps.amax()) if len(steps) else 0
    block = max(1, math.ceil(most / STEPS))
    chances, aside = [], []
    for step in range(math.ceil(most / block)):
        lowest = state.lowest().masked_fill(~left, torch.inf).flatten(1)
        value, shot = lowest.topk(block, largest=False)
        # Nothing speaks against what is nearest to its class.
        nearer = value < -ROUNDING * state.variance[:, None]
        taken = nearer & (step * block < steps)[:, None]
        if not bool(taken.any()):
            break
        rival = state.rivals().flatten(1).gather(1, shot)
        for among in (trusted, left):
            among.flatten(1)[tasks, shot] &= ~taken
        state = _State.of(features, mask, trusted)
        following = state.lowest().masked_fill(~left, torch.inf).flatten(1).amin(1, keepdim=True)
        gap = (following.clamp_max(0.0) - value) / state.apart(shot // mask.shape[2], rival)
        evidence = state.evidence(value, taken) + GAP * gap.nan_to_num(0.0)
        # Many steps are many tests: the later, the more it takes.
        log_chance = EXCESS + 2 * math.log(step + 1) - RATE * evidence
        chances.append(torch.where(taken, log_chance.exp().clamp_max(1.0), 1.0))
        aside.append(torch.where(taken, shot, mask[0].numel()))
    return _listed(first, mask, aside, chances)


def outlier_chances(
    features: Tensor, mask: Tensor | None = None, counted: Tensor | None = None
) -> Tensor:
    """How probable it is that some shot of a task is as far from all classes: (E, N, K).

    The logarithm of a shot's squared distance to the nearest class mean, without it, is compared
    with that of the other shots, by Student's t; shots of its class count for more, as some classes
    vary more than others. 1 for padding and where its class has no other shot.

    Parameters
    ----------
    features, mask, counted
        As for :func:`label_doubts`.
    """
    features, mask, counted = _checked(features, mask, counted)
    state = _State.of(features, mask, counted)
    spread = state.squared / (1 + 1 / state.shots.clamp_min(1))
    floor = ROUNDING * state.variance[:, None, None, None]
    nearest = _infinite(spread.clamp_min(floor)).amin(-1).log()
    known = state.defined & mask & nearest.isfinite()
    nearest = torch.where(known, nearest, 0.0)
    use = (known & counted).to(nearest)
    total, size = (use * nearest).sum((1, 2)), use.sum((1, 2))
    in_class, of_class = (use * nearest).sum(2), use.sum(2)
    rest = (size[:, None, None] - use).clamp_min(1)
    mean = (total[:, None, None] - use * nearest) / rest
    beside = of_class[..., None] - use
    place = (in_class[..., None] - use * nearest + SHARED * mean) / (beside + SHARED)
    deviation = nearest - place
    squares = use * deviation.square()
    freedom = (rest - 1).clamp_min(1)
    variance = (squares.sum((1, 2))[:, None, None] - squares) / freedom
    scale = (variance * (1 + 1 / (beside + SHARED))).clamp_min(ROUNDING**2).sqrt()
    tail = _student(freedom.clamp_max(FREEDOM), -deviation / scale)
    chance = -torch.expm1(size[:, None, None] * torch.log1p(-tail.clamp_max(1 - 1e-16)))
    return torch.where(known & (deviation > 0) & (freedom > 1), chance, 1.0)


@dataclass(frozen=True, eq=False)
class _State:
    """Distances to the means of trusted shots, and what they say of the classes.

    Attributes
    ----------
    means : Tensor of shape (E, N, D)
    counts : Tensor of shape (E, N)
        Trusted shots.
    variance : Tensor of shape (E,)
        t, 0 where no class has two trusted shots.
    freedom : Tensor of shape (E,)
        Degrees of freedom of t.
    squared : Tensor of shape (E, N, K, N)
        |x_i - m_j|^2, NaN where no shot is left for m_j.
    shots : Tensor of shape (E, N, K, N)
        How many make m_j.
    margins : Tensor of shape (E, N, K, N)
        u_ij - u_ic; NaN where undefined, infinite for j = c.
    trusted : Tensor of shape (E, N, K), bool
    sizes : Tensor of shape (E, N)
        All shots.
    """

    means: Tensor
    counts: Tensor
    variance: Tensor
    freedom: Tensor
    squared: Tensor
    shots: Tensor
    margins: Tensor
    trusted: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, features: Tensor, mask: Tensor, trusted: Tensor) -> _State:
        counts = trusted.sum(-1).to(features)
        sums = (trusted.to(features)[:, :, None] @ features).squeeze(2)
        means = sums / counts.clamp_min(1)[..., None]
        cross = (features.flatten(1, 2) @ means.mT).view(*features.shape[:3], -1)
        lengths = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
        squared = lengths.square() - 2 * cross
        squared = (squared + means.square().sum(-1)[:, None, None]).clamp_min(0)
        ways = torch.eye(features.shape[1], dtype=torch.bool, device=mask.device)[None, :, None]
        label, itself = ways & mask[..., None], ways & trusted[..., None]
        freedom = (counts - 1).clamp_min(0).sum(1)
        variance = squared.masked_fill(~itself, 0.0).sum((1, 2, 3)) / freedom.clamp_min(1)
        # x - m without x is K / (K - 1) times x - m.
        all_counts = counts[:, None, None].expand_as(squared)
        shots = all_counts - itself.to(features)
        without = squared * (all_counts / shots.clamp_min(1)).square()
        squared = torch.where(itself, without, squared).masked_fill(shots == 0, torch.nan)
        distance = squared - variance[:, None, None, None] / shots.clamp_min(1)
        to_label = torch.where(label, distance, 0.0).sum(-1, keepdim=True)
        margins = (distance - to_label).masked_fill(label, torch.inf)
        margins = margins.masked_fill(~mask[..., None], torch.nan)
        sizes = mask.sum(-1).to(features)
        return cls(means, counts, variance, freedom, squared, shots, margins, trusted, sizes)

    @property
    def defined(self) -> Tensor:
        """Shots (E, N, K) whose class has another one."""
        label = torch.eye(self.margins.shape[1], dtype=torch.bool, device=self.margins.device)
        return (self.shots * label[None, :, None]).sum(-1) > 0

    def lowest(self) -> Tensor:
        """The margin over the nearest rival (E, N, K), infinite where undefined."""
        return _infinite(self.margins).amin(-1)

    def rivals(self) -> Tensor:
        """The class (E, N, K) of the lowest margin."""
        return _infinite(self.margins).argmin(-1)

    def apart(self, first: Tensor, second: Tensor) -> Tensor:
        """Squared distances (E, R) between the means of classes (E, R), and a share of t."""
        tasks = torch.arange(len(self.means), device=self.means.device)[:, None]
        squared = (self.means[tasks, first] - self.means[tasks, second]).square().sum(-1)
        return squared + APART * self.variance[:, None]

    def evidence(self, values: Tensor, wanted: Tensor) -> Tensor:
        """-log P(the lowest margin of a task is <= value), normal classes: (E, R) of (E, R).

        0 for values that no task wants (E, R).
        """
        mean, deviation = self._moments()
        freedom = self.freedom.clamp(1, FREEDOM)[:, None, None]
        log_none = []
        for value, any_wanted in zip(values.unbind(1), wanted.any(0).tolist(), strict=True):
            if not any_wanted:
                log_none.append(torch.full_like(value, -torch.inf))
                continue
            below = _student(freedom, (value[:, None, None] - mean) / deviation)
            none = torch.log1p(-below.clamp_max(1 - 1e-16)) * self.sizes[..., None]
            log_none.append(none.masked_fill(deviation == torch.inf, 0.0).sum((1, 2)))
        return -(-torch.expm1(torch.stack(log_none, 1))).clamp_min(1e-300).log()

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (E, N, N) of the margin of a new shot of c over j."""
        ways = torch.eye(self.counts.shape[1], dtype=torch.bool, device=self.counts.device)
        apart = torch.cdist(self.means, self.means).square()
        few = 1 / self.counts.clamp_min(1)
        mean = apart - self.variance[:, None, None] * (few[:, :, None] + few[:, None])
        known = self.trusted[..., None] & self.margins.isfinite()
        size = known.sum(2).to(apart)
        margins = torch.where(known, self.margins, 0.0)
        middle = margins.sum(2) / size.clamp_min(1)
        squares = torch.where(known, margins - middle[:, :, None], 0.0).square().sum(2)
        freedom = (size - 1).clamp_min(0)
        # The variance of a margin is 4 w'Sw with w = m_c - m_j; as a share of 4 |w|^2.
        share = squares / (4 * apart).clamp_min(1e-300)
        pooled = share.masked_fill(ways, 0.0).sum((1, 2)) / freedom.masked_fill(ways, 0.0).sum(
            (1, 2)
        ).clamp_min(1)
        share = (SHARED * pooled[:, None, None] + share) / (SHARED + freedom)
        variance = 4 * apart * share * (1 + few)[..., None]
        unknown = ways | (self.counts == 0)[:, None] | (self.counts == 0)[..., None]
        smallest = (ROUNDING * self.variance[:, None, None]).clamp_min(1e-300)
        deviation = torch.maximum(variance.sqrt(), smallest).masked_fill(unknown, torch.inf)
        return mean, deviation


def _listed(first: _State, mask: Tensor, aside: list[Tensor], chances: list[Tensor]) -> LabelDoubts:
    """Doubts from the shots (E, B) that every step set aside, N K for none, and their chances."""
    lowest = first.lowest()
    scale = torch.where(first.variance > 0, first.variance, 1.0)[:, None, None]
    margins = torch.where(lowest.isfinite(), lowest / scale, torch.nan)
    listed = torch.ones_like(lowest).flatten(1)
    # By the margin, padding last, behind all that were set aside; one column for none.
    size = listed.shape[1]
    order = size * (1 + (~mask).flatten(1)) + _positions(lowest.flatten(1))
    listed, order = (torch.nn.functional.pad(entry, (0, 1)) for entry in (listed, order))
    if aside:
        shots = torch.cat(aside, 1)
        # A shot is no less in doubt than one that was set aside after it.
        rates = torch.cat(chances, 1).flip(1).cummin(1).values.flip(1)
        listed = listed.scatter(1, shots, rates)
        order = order.scatter(1, shots, torch.arange(shots.shape[1]).to(order).expand_as(shots))
    ranks = _positions(order[:, :size]).view(lowest.shape)
    return LabelDoubts(margins, first.rivals(), listed[:, :size].view(lowest.shape), ranks)


def _infinite(values: Tensor) -> Tensor:
    """Infinity for NaN."""
    return torch.where(values.isnan(), torch.inf, values)


def _positions(keys: Tensor) -> Tensor:
    """Position of each of the keys (E, M) in ascending order."""
    return keys.argsort(dim=1, stable=True).argsort(dim=1)


def _student(freedom: Tensor, values: Tensor) -> Tensor:
    """P(T <= value) of Student's t."""
    tail = stdtr(freedom.cpu().numpy(), values.cpu().numpy())
    return torch.from_numpy(np.asarray(tail)).to(values)


def _checked(
    features: Tensor, mask: Tensor | None, counted: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Features in float64 about their mean, padding at zero, and both masks."""
    expect(
        features.ndim == 4 and features.is_floating_point(),
        "features",
        f"expected floats of shape (E, N, K, D), got {features.dtype} of {tuple(features.shape)}",
    )
    everything = torch.ones(features.shape[:3], dtype=torch.bool, device=features.device)
    mask = everything if mask is None else mask
    counted = mask if counted is None else counted
    for name, chosen in (("mask", mask), ("counted", counted)):
        expect(
            chosen.shape == features.shape[:3] and chosen.dtype == torch.bool,
            name,
            f"expected bool of shape {tuple(features.shape[:3])}, got {chosen.dtype} of "
            f"{tuple(chosen.shape)}",
        )
    wide = torch.where(mask[..., None], features, 0.0).double()
    size = mask.sum((1, 2)).clamp_min(1)[:, None]
    centre = wide.sum((1, 2)) / size
    wide = torch.where(mask[..., None], wide - centre[:, None, None], 0.0)
    return wide, mask, counted & mask
