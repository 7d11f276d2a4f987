"""Value of the labels of unlabelled images: a Gaussian process of the class probabilities.

Pure functions on batches of episodes. The share of class c near an image x is

``p_c(x) ~ GP(1 / N, S k(x, x'))``, ``k(x, x') = exp(-|x - x'|^2 / (2 LENGTH s))``,

with s the mean squared distance between the images of an episode and S the variance of a class
indicator. Shots are observations of it with noise. An image is decided for the class of the
largest mean, so that the expected share of wrong decisions is the mean of ``1 - max_c p_c``. A
label changes the means around its image; by how much they are expected to change does not depend
on what the label will be, so that the value of a whole list of images has a closed form before any
of them is labelled:

``value = mean_j E[max(m_j + s_j Z, 0) - m_j]``, with m_j the difference of the two largest means of
image j and s_j^2 the variance that the labels of the list explain of it. This is the knowledge
gradient of Frazier, Powell and Dayanik ("The Knowledge-Gradient Policy for Correlated Normal
Beliefs", INFORMS Journal on Computing 2009) with every unlabelled image as a decision between two
classes. With margins m = 0 it orders images as transductive experimental design does (Yu, Bi and
Tresp, "Active Learning via Transductive Experimental Design", ICML 2006).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fewshot.estimators.mixtures import Images, squared_distances

# Chosen on clip art, emoji, icons, fonts, textures, crops of photographs, game art and digits.
LENGTH = 0.3  # squared length of the kernel, in mean squared distances
NOISE = 0.1  # variance of a label about the share of its class, in variances of the process
# Standard deviation of the process, in those of an indicator of N equally frequent classes.
DEVIATION = 2.0
NEIGHBOURS = 5
JUDGED = 1000  # images that the value of a label is averaged over, at most
BLOCK = 2**22  # pairs of images whose gain is computed at once
TINY = 1e-12


class ClassProcess(NamedTuple):
    """The process of E episodes after the labels of the shots.

    Attributes
    ----------
    distances : Tensor of shape (E, U, L + U)
        Squared distances of the unlabelled images from shots and unlabelled images, in mean
        squared distances between all of them; infinite where there is padding.
    farthest_shots : Tensor of shape (E,)
        Largest squared distance between two shots.
    probabilities : Tensor of shape (E, U, N)
        Posterior means. They sum to 1 over the classes.
    covariance : Tensor of shape (E, U, U)
        Posterior covariance, the same for every class, in prior variances.
    deviation : float
        Prior standard deviation of the difference of two classes.
    """

    distances: Tensor
    farthest_shots: Tensor
    probabilities: Tensor
    covariance: Tensor
    deviation: float

    @property
    def margins(self) -> Tensor:
        """Difference of the two largest means: (E, U)."""
        largest = self.probabilities.topk(2, -1).values
        return largest[..., 0] - largest[..., 1]


def class_process(images: Images) -> ClassProcess:
    """The process with the shots as observations.

    Parameters
    ----------
    images : Images
        L = N K shots, U unlabelled images.
    """
    features, present = images.all()
    _, N, K = images.shot_mask.shape
    L = N * K
    weight = present.to(features)
    number = weight.sum(1, keepdim=True)
    features = (features - features.sum(1, keepdim=True) / number) * weight
    spread = 2 * features.square().sum((1, 2), keepdim=True) / number  # mean squared distance
    distances = squared_distances(features, features) / spread.clamp_min(TINY)
    distances = distances.masked_fill(~(present & present.mT), math.inf)
    kernel = torch.exp(-distances / (2 * LENGTH))
    identity = torch.eye(L, dtype=torch.float64, device=features.device)
    factor = torch.linalg.cholesky(kernel[:, :L, :L].double() + NOISE * identity)
    across = kernel[:, :L, L:]
    weights = torch.cholesky_solve(across.double(), factor).to(features)  # (E, L, U)
    targets = torch.eye(N).to(features).repeat_interleave(K, 0) - 1 / N
    return ClassProcess(
        distances[:, L:],
        distances[:, :L, :L].masked_fill(distances[:, :L, :L].isinf(), 0).amax((1, 2)),
        1 / N + weights.mT @ targets,
        kernel[:, L:, L:] - across.mT @ weights,
        DEVIATION * math.sqrt(2 / N * (1 - 1 / N)),
    )


def expected_gain(margins: Tensor, deviations: Tensor) -> Tensor:
    """``E[max(d Z - m, 0)]`` of margins m >= 0 and standard deviations d >= 0, elementwise.

    How much a change of the difference of two classes by ``d Z`` raises the probability of the
    class that is decided for, on average.
    """
    deviations = deviations.clamp_min(TINY)
    z = margins / deviations
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    return deviations * density - margins * (0.5 * torch.erfc(z / math.sqrt(2)))


class Balance(NamedTuple):
    """Labels of every class, and the class that an image is probably of.

    Attributes
    ----------
    counts : Tensor of shape (E, N)
        Labelled images, chosen ones by their responsibilities.
    responsibilities : Tensor of shape (E, U, N)
    """

    counts: Tensor
    responsibilities: Tensor

    def weights(self) -> Tensor:
        """Weights (E, U) in [0, 1] of labels: the larger, the fewer labels the likely class has.

        One image more than n takes ``1 / n - 1 / (n + 1) = 1 / (n (n + 1))`` of the variance within
        the class off the variance of its mean. Weights are that, as a share of what the class with
        the fewest labels gets; images of no class count by the mean number of labels.
        """
        typical = torch.cat([self.counts, self.counts.mean(-1, keepdim=True)], -1)
        falls = 1 / (typical * (typical + 1))
        falls = falls / falls.amax(-1, keepdim=True)
        inside = self.responsibilities @ falls[:, :-1, None]
        outside = (1 - self.responsibilities.sum(-1)).clamp_min(0)
        return inside[..., 0] + outside * falls[:, -1:]

    def after(self, rows: Tensor, are_chosen: Tensor) -> Balance:
        """The same once the images of rows (E,) are labelled, where `are_chosen` (E,)."""
        episodes = torch.arange(len(rows), device=rows.device)
        more = self.responsibilities[episodes, rows] * are_chosen[:, None]
        return Balance(self.counts + more, self.responsibilities)


class Choice(NamedTuple):
    """Images in the order in which they are to be labelled.

    Attributes
    ----------
    rows : Tensor of shape (E, n), int
        -1 once no candidate is left.
    values : Tensor of shape (E, n)
        Expected rise of the share of right decisions once this image and all before it are
        labelled, in [0, 1].
    """

    rows: Tensor
    values: Tensor


def greedy_choice(
    process: ClassProcess,
    mask: Tensor,
    candidates: Tensor,
    count: int,
    least_distance: float,
    balance: Balance | None = None,
) -> Choice:
    """Images whose labels raise the expected share of right decisions most, one after the other.

    Parameters
    ----------
    process : ClassProcess
    mask : Tensor of shape (E, U), bool
        Images that decisions are made on; of more than `JUDGED` the first count.
    candidates : Tensor of shape (E, U), bool
        Images that may be chosen.
    count : int
        Images to choose, at most; the choice ends where no candidate is left in any episode.
    least_distance : float
        Squared distance from every chosen image, in mean squared distances.
    balance : Balance, optional
        Gains are weighted for classes with few labels.
    """
    covariance, margins = process.covariance, process.margins
    U = covariance.shape[1]
    among = process.distances[..., -U:]
    explained = torch.zeros_like(margins)
    judged = mask[:, :JUDGED].to(margins)
    weight = judged / judged.sum(-1, keepdim=True).clamp_min(1)
    episodes = torch.arange(len(mask), device=mask.device)
    value = torch.zeros_like(margins[:, 0])
    rows, values = list[Tensor](), list[Tensor]()
    for _ in range(count):
        reached = _values(covariance, margins, explained, weight, process.deviation)
        gains = (reached - value[:, None]).clamp_min(0)
        if balance is not None:
            gains = gains * balance.weights()
        best = gains.masked_fill(~candidates, -math.inf).argmax(-1)
        left = candidates.any(-1)
        rows.append(torch.where(left, best, -1))
        value = torch.where(left, torch.maximum(reached[episodes, best], value), value)
        values.append(value)
        column = covariance[episodes, best] * left[:, None]  # (E, U)
        scale = column[episodes, best] + NOISE
        explained = explained + column.square() / scale[:, None]
        covariance = covariance - column[:, :, None] * (column / scale[:, None])[:, None]
        if balance is not None:
            balance = balance.after(best, left)
        near = among[episodes, best] < least_distance
        near[episodes, best] = True
        candidates = candidates & ~near
        if not bool(candidates.any()):
            break
    return Choice(torch.stack(rows, -1), torch.stack(values, -1))


def _values(
    covariance: Tensor, margins: Tensor, explained: Tensor, weight: Tensor, deviation: float
) -> Tensor:
    """Value (E, U) of the labels so far and of that of every image besides.

    Of weighted (E, J) images, the first of all.
    """
    (E, U), J = margins.shape, weight.shape[1]
    margins, explained = margins[:, None, :J], explained[:, None, :J]
    scale = covariance.diagonal(dim1=-2, dim2=-1) + NOISE
    values = []
    step = max(1, BLOCK // max(1, E * J))
    for start in range(0, U, step):
        rows = slice(start, start + step)
        variance = covariance[:, rows, :J].square() / scale[:, rows, None] + explained
        gain = expected_gain(margins, deviation * variance.sqrt())
        values.append((gain @ weight[..., None])[..., 0])
    return torch.cat(values, 1)


def oddness(images: Images, responsibilities: Tensor, distances: Tensor) -> Tensor:
    """How unlike all classes and all other images an image is: (E, U), in standard deviations.

    Mean of two standardised numbers: the distance from the nearest images, shots and unlabelled
    ones, and minus the cosine with the nearest class mean, about the mean of the unlabelled images.

    Parameters
    ----------
    images : Images
    responsibilities : Tensor of shape (E, U, N)
        Of the classes, for their means.
    distances : Tensor of shape (E, U, L + U)
        As of `class_process`.
    """
    shots, shot_mask, unlabelled, mask = images
    present = mask.to(unlabelled)
    seen = present.sum(-1).clamp_min(1)
    nearest = distances.topk(min(NEIGHBOURS + 1, distances.shape[-1]), -1, largest=False).values
    nearest = nearest[..., 1:].clamp_min(0)  # the first is the image itself
    finite = torch.isfinite(nearest)
    away = nearest.masked_fill(~finite, 0).sqrt().sum(-1) / finite.sum(-1).clamp_min(1)
    totals = shots.sum(2) + responsibilities.mT @ unlabelled
    counts = shot_mask.sum(-1) + responsibilities.sum(1)
    centre = (unlabelled.sum(1) / seen[:, None])[:, None]
    means, about = totals / counts[..., None] - centre, unlabelled - centre
    unit = torch.nn.functional.normalize
    unlike = -(unit(about, dim=-1) @ unit(means, dim=-1).mT).amax(-1)
    return (_standardised(away, present) + _standardised(unlike, present)) / 2


def _standardised(values: Tensor, present: Tensor) -> Tensor:
    number = present.sum(-1, keepdim=True).clamp_min(1)
    values = (values - (values * present).sum(-1, keepdim=True) / number) * present
    deviation = (values.square().sum(-1, keepdim=True) / number).sqrt()
    return values / deviation.clamp_min(TINY)
