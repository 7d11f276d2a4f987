"""Which rivals the errors of a class go to, by standardised margins over them.

Pure functions on batches of episodes; z_cj is the expected margin of an image of class c over class
j, over its standard deviation.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Chosen by the likelihood of confusions on the data sets of the general calibrator, Caltech-101 and
# flowers left aside. In shots of a class: how much the distances between class means count against
# the margins, and how much is added to the variance of the margins for what the shots do not show.
DISTANCES, UNSEEN = 4.0, 4.0
DECISIONS = 2.0  # misclassified unlabelled images that the shots count as, by the same likelihood
LARGEST = 8.0  # of a standardised margin; held-out scores of few shots may have no spread at all
STEPS = 60


def blended_margins(z: Tensor | None, distances: Tensor, counts: Tensor, errors: Tensor) -> Tensor:
    r"""Standardised margins (E, N, N), drawn towards the distances between the class means.

    ``(K_c z_cj + a d_cj) / (K_c + a) / sqrt(1 + b / K_c)`` with the distances d in units in which
    their mean is that of the margins: few shots show little of how the classes scatter along the
    directions between them. For classes with one shot, whose margins are not known, distances alone
    count. Without any margins, the mean distance is that at which N - 1 equally distant rivals
    would make the error that was predicted.

    Parameters
    ----------
    z : Tensor of shape (E, N, N), or None
        None where no class has margins. The diagonals are ignored.
    distances : Tensor of shape (E, N, N)
        Between class means.
    counts : Tensor of shape (E, N)
        Shots.
    errors : Tensor of shape (E, N)
        Of the classes, in (0, 1).
    """
    N = distances.shape[-1]
    off = ~torch.eye(N, dtype=torch.bool, device=distances.device)
    distances, counts = distances.double(), counts.double()
    known = (counts > 1)[..., None] & (z is not None)
    margins = torch.zeros_like(distances) if z is None else z.double().clamp(-LARGEST, LARGEST)
    pairs = known & off
    number = pairs.sum((1, 2))
    rare = (errors.double().mean(-1) / (N - 1)).clamp(1e-12, 0.5)
    level = torch.where(
        number > 0,
        (margins * pairs).sum((1, 2)) / number.clamp_min(1),
        -torch.special.ndtri(rare),
    )
    mean = (distances * off).sum((1, 2)) / (N * (N - 1))
    alike = distances * (level / mean.clamp_min(1e-300))[:, None, None]
    weight = torch.where(known, counts[..., None], 0.0)
    return (
        (weight * margins + DISTANCES * alike)
        / (weight + DISTANCES)
        / (1 + UNSEEN / counts).sqrt()[..., None]
    )


def shares_of_rivals(z: Tensor, errors: Tensor) -> Tensor:
    r"""Share of the images of class c (second axis) that get the label j (third): (E, N, N).

    All margins of a class are moved by one number, ``P(t_cj < 0) = Phi(delta_c - z_cj)``, so that
    independent margins, ``1 - prod_j Phi(z_cj - delta_c)``, make the error of the class. It is then
    divided in proportion to these probabilities. The probability that j scores highest, a Gaussian
    integral for each of the N^2 pairs, predicts confusions no better.

    Parameters
    ----------
    z : Tensor of shape (E, N, N)
        Standardised margins; the diagonal is ignored.
    errors : Tensor of shape (E, N)

    Returns
    -------
    Tensor of shape (E, N, N), float64
        Rows sum to 1; the diagonal is one minus the errors.
    """
    eye = torch.eye(z.shape[-1], dtype=torch.bool, device=z.device)
    z = z.double().clamp(-LARGEST, LARGEST).masked_fill(eye, torch.inf)
    errors = errors.double()
    right = torch.log1p(-errors.clamp(1e-12, 1 - 1e-12))
    low = torch.full_like(errors, -3 * LARGEST)
    high = -low
    for _ in range(STEPS):
        middle = (low + high) / 2
        too_right = torch.special.log_ndtr(z - middle[..., None]).sum(-1) > right
        low, high = torch.where(too_right, middle, low), torch.where(too_right, high, middle)
    shares = torch.special.ndtr(high[..., None] - z)
    shares = shares / shares.sum(-1, keepdim=True) * errors[..., None]
    return shares + torch.diag_embed(1 - errors)


def with_decisions(shares: Tensor, decided: Tensor, weight: float = DECISIONS) -> Tensor:
    """Shares of the rivals, by what a head decides on images that are thought to be of a class.

    Parameters
    ----------
    shares : Tensor of shape (E, N, N)
        As of :func:`shares_of_rivals`.
    decided : Tensor of shape (E, N, N)
        Images, in fractions, of class c (second axis) that the head decides to be of j (third).
    weight : float
        Misclassified images that `shares` count as.

    Returns
    -------
    Tensor of shape (E, N, N), float64
        With the diagonal of `shares`.
    """
    eye = torch.eye(shares.shape[-1], dtype=torch.bool, device=shares.device)
    errors = 1 - shares.diagonal(dim1=-2, dim2=-1)
    wrong = shares.double().masked_fill(eye, 0.0)
    prior = wrong / wrong.sum(-1, keepdim=True).clamp_min(1e-300)
    counted = decided.double().masked_fill(eye, 0.0) + weight * prior
    rivals = counted / counted.sum(-1, keepdim=True).clamp_min(1e-300)
    return rivals * errors[..., None] + torch.diag_embed(1 - errors)
