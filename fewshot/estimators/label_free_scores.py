"""Published scores of class probabilities that need no labels, for batches of episodes.

Probabilities P are (E, U, N) in float64, of U images for N classes, masks (E, U) with False in the
padding. An episode without images has NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fewshot.estimators.transport import largest_gain

# Weights of shots are ratios of small integers, confidences functions of the same probabilities in
# another order: those that differ by less are equal.
EQUAL = 1e-9


def mean_of_images(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values (E, U) over the images of an episode: (E,)."""
    values = values.double().masked_fill(~mask, 0.0)
    return values.sum(-1) / mask.sum(-1)


def average_confidence(probabilities: Tensor, mask: Tensor) -> Tensor:
    """Mean largest probability (E,), in [1 / N, 1].

    Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples
    in Neural Networks", ICLR 2017.
    """
    return mean_of_images(probabilities.amax(-1), mask)


def negative_entropy(probabilities: Tensor) -> Tensor:
    """``sum_c p_c log p_c`` over the last axis, in [-log N, 0]."""
    return torch.special.xlogy(probabilities, probabilities).sum(-1)


def share_below(
    confidence: Tensor, mask: Tensor, held_out: Tensor, weights: Tensor, error: Tensor
) -> Tensor:
    """Share of images below the threshold that has the share `error` of held-out shots below it.

    Average thresholded confidence (Garg et al., "Leveraging Unlabeled Data to Predict
    Out-of-Distribution Performance", ICLR 2022, eqs. 1 and 2). Shots at the threshold count below
    it by the fraction that makes their share equal to `error`, and so do images at the threshold:
    confidences of heads with few different answers (k nearest neighbours) are often equal.

    Parameters
    ----------
    confidence : Tensor of shape (E, U)
    mask : Tensor of shape (E, U), bool
    held_out : Tensor of shape (E, R)
        Confidences of held-out shots; any where `weights` is 0.
    weights : Tensor of shape (E, R)
        Of the held-out shots, with sum 1 in each episode.
    error : Tensor of shape (E,)
        Weighted share of held-out shots that are wrong.

    Returns
    -------
    Tensor of shape (E,), in [0, 1]
    """
    held_out = held_out.masked_fill(weights == 0, torch.inf)
    order = held_out.argsort(-1)
    held_out, weights = held_out.gather(-1, order), weights.gather(-1, order)
    up_to = weights.cumsum(-1)
    # The first shot at which more than the error has been seen; none if all shots are wrong.
    reached = up_to > error[:, None] + EQUAL
    place = torch.where(reached.any(-1), reached.int().argmax(-1), reached.shape[-1] - 1)
    threshold = held_out.gather(-1, place[:, None])
    threshold = torch.where(reached.any(-1, keepdim=True), threshold, torch.inf)
    low, high = threshold - EQUAL, threshold + EQUAL
    below = (weights * (held_out < low)).sum(-1)
    at = (weights * ((low <= held_out) & (held_out <= high))).sum(-1)
    fraction = ((error - below) / at).nan_to_num(0.0, 0.0, 0.0).clamp(0.0, 1.0)
    ties = (low <= confidence) & (confidence <= high)
    share = mean_of_images((confidence < low) + fraction[:, None] * ties, mask)
    return share.masked_fill(error.isnan(), torch.nan)


def transport_cost(probabilities: Tensor, mask: Tensor) -> Tensor:
    """Wasserstein distance (E,) of the probability vectors from one-hot labels, in [0, 1 - 1 / N].

    Confidence optimal transport (Lu et al., "Characterizing Out-of-Distribution Error via Optimal
    Transport", NeurIPS 2023), with equal shares of the classes. The cost of labelling an image c,
    half the L1 distance from p to the one-hot vector, is ``1 - p_c``, and so is the distance in the
    maximum norm.
    """
    return 1 - largest_gain(probabilities, mask)


def nuclear_norm(probabilities: Tensor, mask: Tensor) -> Tensor:
    """``|P|_* / sqrt(min(U, N) U)`` (E,), in (0, 1].

    Deng et al., "Confidence and Dispersity Speak: Characterizing Prediction Matrix for Unsupervised
    Accuracy Estimation", ICML 2023. 1 where all images are certain and the classes have equal
    shares. Singular values are roots of eigenvalues of the N by N matrix P'P.
    """
    P = probabilities.double().masked_fill(~mask[..., None], 0.0)
    images, ways = mask.sum(-1), P.shape[-1]
    gram = P.mT @ P if P.shape[1] >= ways else P @ P.mT
    finite = gram.flatten(1).isfinite().all(-1)
    eigenvalues = torch.linalg.eigvalsh(torch.where(finite[:, None, None], gram, 0.0))
    norm = eigenvalues.clamp_min(0.0).sqrt().sum(-1)
    norm = torch.where(finite, norm, torch.nan)
    return norm / (images.clamp_max(ways) * images).sqrt()


def softrun(logits: Tensor, mask: Tensor, threshold: float = 5.0) -> Tensor:
    """Normalise logits (E, U, N) by softmax, or by its Taylor polynomial where it is too flat.

    Xie et al., "MaNo: Exploiting Matrix Norm for Unsupervised Accuracy Estimation Under
    Distribution Shifts", NeurIPS 2024, section 4: ``v(q) / sum_c v(q)_c`` with v = exp in episodes
    whose mean cross-entropy of the uniform distribution to the softmax exceeds the threshold, and
    ``1 + q + q^2 / 2`` in the others.
    """
    criterion = mean_of_images(-logits.log_softmax(-1).mean(-1), mask)
    taylor = 1 + logits + logits.square() / 2  # at least 1 / 2
    taylor = taylor / taylor.sum(-1, keepdim=True)
    return torch.where((criterion > threshold)[:, None, None], logits.softmax(-1), taylor)


def matrix_norm(normalised: Tensor, mask: Tensor, order: float = 4.0) -> Tensor:
    """``(mean over images and classes of p^order)^(1 / order)`` (E,).

    The score of Xie et al. (2024) of logits normalised by `softrun`, in [1 / N, N^(-1 / order)].
    """
    return mean_of_images(normalised.pow(order).mean(-1), mask).pow(1 / order)


def disagreement(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """Share of images (E,) for which two heads decide differently, of decisions (E, U).

    Jiang et al., "Assessing Generalization of SGD via Disagreement", ICLR 2022: equal to the error
    in expectation where the ensemble of such heads is calibrated.
    """
    return mean_of_images(first != second, mask)
