"""Mixtures of an episode's classes, fitted to its shots and unlabelled images together.

Pure functions on batches of episodes, by expectation maximisation. Shots keep their labels;
unlabelled images get responsibilities r_ic >= 0, which sum to at most 1 over the classes: the rest
is the share that is explained better by none of them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

RANK = 10  # principal components that soft k-means works in
STEPS = 6
# The likelihood of an image counts this much: features of one image are not independent, so that a
# product over dimensions is far too sure. Chosen on the data sets of the general calibrator.
K_MEANS_TEMPERATURE = 0.5
PRIOR_TEMPERATURE = 0.2  # in 128 dimensions, inversely proportional to them, 1 at most
PRIOR_RANK = 128  # leading directions within classes that the prior is used in
PRIOR_STEPS = 4
OUTSIDE = 0.05  # share of images of none of the classes, before any is seen
OUTSIDE_WEIGHT = 20.0  # images that this share counts as
LEAST_OUTSIDE, MOST_OUTSIDE = 1e-3, 0.6
# Up to the first share outside, images are not thought to be of other classes; beyond the second
# they are. Without a prior the mixture leaves more of the classes' own images outside.
K_MEANS_GATE = (0.33, 0.42)
PRIOR_GATE = (0.05, 0.15)
UNSUITED = (0.6, 0.8)
TINY = 1e-12


class Images(NamedTuple):
    """Shots and unlabelled images of E episodes in the same coordinates.

    Attributes
    ----------
    shots : Tensor of shape (E, N, K, d)
        Zero in the padding.
    shot_mask : Tensor of shape (E, N, K), bool
    images : Tensor of shape (E, U, d)
        Zero in the padding.
    mask : Tensor of shape (E, U), bool
    """

    shots: Tensor
    shot_mask: Tensor
    images: Tensor
    mask: Tensor

    def all(self) -> tuple[Tensor, Tensor]:
        """All images (E, N K + U, d), and their mask (E, N K + U, 1), bool."""
        mask = torch.cat([self.shot_mask.flatten(1), self.mask], 1)
        return torch.cat([self.shots.flatten(1, 2), self.images], 1), mask[..., None]

    def times(self, basis: Tensor, centre: Tensor) -> Images:
        """The images less `centre` (D,), projected on `basis` (D, d)."""
        centre = centre @ basis
        shots = (self.shots @ basis - centre) * self.shot_mask[..., None]
        images = (self.images @ basis - centre) * self.mask[..., None]
        return Images(shots, self.shot_mask, images, self.mask)


def principal_components(given: Images, rank: int = RANK, iterations: int = 2) -> Images:
    """Coordinates in the leading principal subspace of shots and unlabelled images together.

    By subspace iteration on the Gram matrix (Halko, Martinsson and Tropp, "Finding Structure with
    Randomness", 2011, algorithm 4.4); the basis of the subspace is arbitrary, which
    functions of distances do not notice. In units of the root mean square of an episode.

    Parameters
    ----------
    given : Images
    rank : int
        Dimensions kept, fewer where there are fewer images than that.
    """
    images, mask = given.all()
    # Features are read as few times as possible: that is what takes the time.
    centred = images.sub_(images.sum(1, keepdim=True) / mask.sum(1, keepdim=True))
    if not bool(mask.all()):
        centred.masked_fill_(~mask, 0.0)
    gram = centred @ centred.mT  # (E, T, T)
    # In units of the mean square, so that squares of squares are numbers.
    size = gram.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    gram = gram / size.clamp_min(torch.finfo(gram.dtype).tiny)
    T = gram.shape[-1]
    rank = max(1, min(rank, T - 1, images.shape[-1]))
    # Projections on fixed irregular directions: whatever the order of images, the same subspace.
    D = images.shape[-1]
    directions = torch.sin(torch.arange(1, D * rank + 1, dtype=torch.float64) ** 2).view(D, rank)
    basis = orthonormal(centred @ directions.to(gram))
    for _ in range(iterations):
        basis = orthonormal(gram @ basis)
    # Coordinates on the principal axes v = X' q / |X' q|: of x_i, they are (G q)_i / |X' q|. An
    # orthonormal basis of the subspace of features takes the Cholesky factor of q' G q.
    projected = gram @ basis
    factor = _cholesky(basis.mT @ projected)
    coordinates = torch.linalg.solve_triangular(factor, projected.mT, upper=False).mT
    E, N, K = given.shot_mask.shape
    shots, unlabelled = coordinates.split([N * K, T - N * K], 1)
    return Images(
        shots.reshape(E, N, K, rank) * given.shot_mask[..., None],
        given.shot_mask,
        unlabelled * given.mask[..., None],
        given.mask,
    )


def orthonormal(columns: Tensor) -> Tensor:
    """An orthonormal basis (E, T, d) of the space of columns (E, T, d), by Cholesky's factor."""
    scale = columns.norm(dim=1, keepdim=True).clamp_min(torch.finfo(columns.dtype).tiny)
    columns = columns / scale
    factor = _cholesky(columns.mT @ columns)
    return torch.linalg.solve_triangular(factor, columns.mT, upper=False).mT


def _cholesky(matrices: Tensor) -> Tensor:
    """Lower factors of positive semi-definite matrices (E, d, d), made definite by a trace."""
    d = matrices.shape[-1]
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    identity = torch.eye(d, dtype=matrices.dtype, device=matrices.device)
    jitter = 1e-5 * trace / d + torch.finfo(matrices.dtype).tiny
    return torch.linalg.cholesky(matrices + jitter * identity)


def soft_k_means(
    given: Images, steps: int = STEPS, temperature: float = K_MEANS_TEMPERATURE
) -> Tensor:
    """Responsibilities (E, U, N) of isotropic Gaussians of one variance, started at the shots.

    ``r_ic ~ N(x_i; mu_c, v)^temperature``, where mu_c is the mean of the shots and of the images by
    their responsibilities, and v the pooled variance about these means; against
    ``N(x_i; mean, V)^temperature`` for images of none of the classes, with mean and variance V of
    all unlabelled images; their share is estimated along. No assumption on the shares of classes.

    Parameters
    ----------
    given : Images
        In few dimensions, as of `principal_components`: noise in the others would blur distances.
    steps : int
    temperature : float
        Of the likelihood, see `K_MEANS_TEMPERATURE`.
    """
    shots, _, images, mask = given
    counts = given.shot_mask.sum(-1).to(shots)  # (E, N)
    totals, squares = shots.sum(2), shots.square().sum((1, 2, 3))
    present = mask.to(images)
    seen = present.sum(-1).clamp_min(1)
    d = images.shape[-1]
    means = totals / counts[..., None]
    distances = squared_distances(images, means)
    variance = ((distances.amin(-1) * present).sum(-1) / (d * seen)).clamp_min(TINY)
    centre = images.sum(1) / seen[:, None]
    from_centre = (images - centre[:, None]).square().sum(-1) * present
    total = (from_centre.sum(-1) / (d * seen)).clamp_min(TINY)
    outside = -from_centre / (2 * total[:, None])
    freedom = counts.sum(-1) - counts.shape[1]
    share = torch.full_like(seen, OUTSIDE)
    responsibilities = distances
    for _ in range(steps):
        ratio = d / 2 * (total / variance).log()
        inside = ratio[:, None, None] - distances / (2 * variance)[:, None, None]
        responsibilities = _against(inside, outside, share, present, temperature)
        weights = responsibilities.sum(1)
        means = (totals + responsibilities.mT @ images) / (counts + weights)[..., None]
        distances = squared_distances(images, means)
        # Squares of the shots about the new means follow from their sums.
        about = squares + (counts[..., None] * means.square() - 2 * totals * means).sum((1, 2))
        within = (responsibilities * distances).sum((1, 2)) + about.clamp_min(0)
        variance = within / (d * (weights.sum(-1) + freedom)).clamp_min(1)
        variance = variance.clamp_min(TINY)
        share = _share_outside(weights, seen)
    return responsibilities


def _against(
    inside: Tensor, outside: Tensor, share: Tensor, present: Tensor, temperature: float
) -> Tensor:
    """Responsibilities (E, U, N) of classes from log densities (E, U, N), against (E, U)."""
    odds = torch.log((1 - share) / inside.shape[-1]) - torch.log(share)
    logits = temperature * (inside - outside[..., None]) + odds[:, None, None]
    padded = torch.cat([logits, torch.zeros_like(outside)[..., None]], -1)
    return padded.softmax(-1)[..., :-1] * present[..., None]


def _share_outside(weights: Tensor, seen: Tensor) -> Tensor:
    """Share (E,) of images of none of the classes, from weights of the classes (E, N)."""
    missing = (seen - weights.sum(-1)).clamp_min(0)
    share = (missing + OUTSIDE * OUTSIDE_WEIGHT) / (seen + OUTSIDE_WEIGHT)
    return share.clamp(LEAST_OUTSIDE, MOST_OUTSIDE)


def squared_distances(images: Tensor, means: Tensor) -> Tensor:
    """Squared distances (E, U, N) of images (E, U, d) from means (E, N, d)."""
    products = images @ means.mT
    square = images.square().sum(-1)[..., None] + means.square().sum(-1)[:, None]
    return (square - 2 * products).clamp_min(0)


def posterior_mixture(
    given: Images,
    within: Tensor,
    between: Tensor,
    steps: int = PRIOR_STEPS,
    temperature: float | None = None,
) -> Tensor:
    r"""Responsibilities (E, U, N) under a Gaussian prior of the classes from base classes.

    Classes are ``N(mu_c, W)`` with ``mu_c ~ N(0, B)``, W and B diagonal in the coordinates given
    (:class:`~fewshot.estimators.moments.ClassPrior`). Every step computes the posterior
    ``N(m_c, P_c^-1)`` of the class means, ``P_c = 1 / B + n_c / W``, from the shots and the images
    by their responsibilities; then ``r_ic ~ N(x_i; m_c, W + 1 / P_c)^temperature``, against
    ``N(x_i; 0, W + B)^temperature`` for images of none of the classes, whose share is estimated
    along. No assumption on the shares of the classes.

    Parameters
    ----------
    given : Images
        Less the mean of the base classes, along directions of the prior.
    within, between : Tensor of shape (d,)
        Variances W and B along them.
    steps : int
    temperature : float, optional
        Of the likelihood; by default as `PRIOR_TEMPERATURE` says.
    """
    shots, _, images, mask = given
    if temperature is None:
        temperature = min(1.0, PRIOR_TEMPERATURE * PRIOR_RANK / len(within))
    present = mask.to(images)
    counts = given.shot_mask.sum(-1).to(shots)
    totals = shots.sum(2)
    square = images.square()
    marginal = within + between
    outside = _log_density(
        square, images, (1 / marginal)[None, None], torch.zeros_like(totals[:, :1])
    )
    outside = outside[..., 0] - 0.5 * marginal.log().sum()
    seen = present.sum(-1).clamp_min(1)
    share = torch.full_like(seen, OUTSIDE)
    weights, sums = counts, totals
    responsibilities = images
    for step in range(steps + 1):
        precision = 1 / between + weights[..., None] / within
        means = sums / within / precision
        variance = within + 1 / precision
        inside = _log_density(square, images, 1 / variance, means)
        inside = inside - 0.5 * variance.log().sum(-1)[:, None]
        responsibilities = _against(inside, outside, share, present, temperature)
        if step < steps:
            in_classes = responsibilities.sum(1)
            weights, sums = counts + in_classes, totals + responsibilities.mT @ images
            share = _share_outside(in_classes, seen)
    return responsibilities


def _log_density(square: Tensor, images: Tensor, precision: Tensor, means: Tensor) -> Tensor:
    """``-sum_d precision (x - mean)^2 / 2``: (E, U, N), from x^2 (E, U, d) and x."""
    weighted = precision * means
    quadratic = square @ precision.expand_as(weighted).mT
    return images @ weighted.mT - 0.5 * (quadratic + (weighted * means).sum(-1)[:, None])


def readmitted(responsibilities: Tensor, mask: Tensor, gate: tuple[float, float]) -> Tensor:
    """Responsibilities (E, U, N) that sum to 1 again, unless many images are of no class.

    Images that are unusual for their class are those that a head has wrong: without strangers among
    the images, to leave them out would hide errors.

    Parameters
    ----------
    responsibilities : Tensor of shape (E, U, N)
    mask : Tensor of shape (E, U), bool
    gate : (float, float)
        Shares outside up to which all images are readmitted, and from which on none is; but with
        nearly all of them outside the mixture does not suit the images, and says nothing of them.
    """
    inside = responsibilities.sum(-1)
    present = mask.to(inside)
    outside = 1 - inside.sum(-1) / present.sum(-1).clamp_min(1)
    share = readmission(outside, gate)[:, None]
    whole = (inside + share * (1 - inside)) * present
    return responsibilities * (whole / inside.clamp_min(TINY))[..., None]


def readmission(outside: Tensor, gate: tuple[float, float]) -> Tensor:
    """Share (E,) of the images outside that are readmitted, from the share outside (E,).

    See `readmitted`.
    """
    low, high = gate
    few = (high - outside) / (high - low)
    most = (outside - UNSUITED[0]) / (UNSUITED[1] - UNSUITED[0])
    return torch.maximum(few, most).clamp(0, 1)


def disagreement(responsibilities: Tensor, decisions: Tensor) -> tuple[Tensor, Tensor]:
    """How much of every class a head decides otherwise than the mixture does.

    Parameters
    ----------
    responsibilities : Tensor of shape (E, U, N)
    decisions : Tensor of shape (E, U), int
        Way numbers that the head decides for.

    Returns
    -------
    wrong, total : Tensor of shape (E, N)
        ``sum_i r_ic [decision_i != c]`` and ``sum_i r_ic``, in images.

    Notes
    -----
    The mixture has seen the unlabelled images and labels them far better than a head that has seen
    the shots alone; so that this is mostly the error of the head.
    """
    total = responsibilities.sum(1)
    chosen = responsibilities.gather(-1, decisions[..., None])[..., 0]
    right = torch.zeros_like(total).scatter_add_(1, decisions, chosen)
    return (total - right).clamp_min(0), total
