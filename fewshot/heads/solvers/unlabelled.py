"""What heads that look at all queries of an episode share.

Their tensors go class by class, (E, N, T): sums and softmaxes over a few classes are several times
as fast that way on a CPU. Scores are turned round at the end and made contiguous, as the argmax
over classes is slow otherwise.
"""

from __future__ import annotations

from torch import Tensor

from fewshot.heads.base import Query
from fewshot.heads.solvers.products import products
from fewshot.heads.solvers.transforms import ncm_weights


def padding_zeroed(query: Query) -> Tensor:
    """Query features (E, T, D), zero in the padding, so that sums over queries need no mask."""
    if bool(query.mask.all()):
        return query.features
    return query.features.masked_fill(~query.mask[..., None], 0.0)


def proximities(features: Tensor, means: Tensor) -> Tensor:
    """``-|x - m_c|^2`` up to a constant of every query: (E, N, T).

    The constant, which a softmax over classes does not see, is that of nearest class mean and
    spares float32 the difference of large numbers.
    """
    weights, biases = ncm_weights(means)
    return products(weights, features.mT).add_(biases[..., None]).mul_(2)


def mixed_means(sums: Tensor, counts: Tensor, features: Tensor, shares: Tensor) -> Tensor:
    """Class means over shots, which count fully, and queries, which count by their shares.

    Parameters
    ----------
    sums : Tensor of shape (E, N, D)
        Sums of the shots of every class.
    counts : Tensor of shape (E, N)
    features : Tensor of shape (E, T, D)
    shares : Tensor of shape (E, N, T)
        Zero in the padding.
    """
    return (sums + products(shares, features)) / (counts + shares.sum(-1))[..., None]
