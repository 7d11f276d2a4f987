"""Products of the few vectors of an episode's classes with its many images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

FEW = 8  # vectors up to which NumPy's product is the faster
ARRAYS = (torch.float32, torch.float64)


def products(one: Tensor, other: Tensor) -> Tensor:
    """``one @ other`` of (E, A, B) and (E, B, C), for few rows A or columns C as for many.

    Gradients are kept.
    """
    if min(one.shape[1], other.shape[2]) > FEW or not _as_arrays(one, other):
        return one @ other
    return narrow_products(one, other)


def gram(features: Tensor) -> Tensor:
    """``x . y`` of all pairs: (E, T, T) of (E, T, D).

    NumPy's product of a matrix with its transpose takes the symmetry into account.
    """
    if not _as_arrays(features):
        return features @ features.mT
    return narrow_products(features, features.mT)


def narrow_products(one: Tensor, other: Tensor, out: Tensor | None = None) -> Tensor:
    """``one @ other`` of batches (E, A, D) and (E, D, B) of which A or B is a few.

    On a CPU by NumPy's BLAS, as torch's takes up to three times as long for matrices this narrow on
    processors of AMD. No gradient is recorded.

    Parameters
    ----------
    one : Tensor of shape (E, A, D), floating
    other : Tensor of shape (E, D, B), floating
    out : Tensor of shape (E, A, B), optional
        Where the result is written.

    Returns
    -------
    Tensor of shape (E, A, B)
        Equal to torch's up to rounding; one core gives the same bits whatever E is.
    """
    one, other = one.detach(), other.detach()
    if one.device.type != "cpu":
        product = one @ other
        return product if out is None else out.copy_(product)
    if out is None:
        out = one.new_empty((one.shape[0], one.shape[1], other.shape[2]))
    np.matmul(one.numpy(), other.numpy(), out=out.numpy())
    return out


def _as_arrays(*tensors: Tensor) -> bool:
    """Whether NumPy can take them: no gradients, and not the tensors of a graph being traced."""
    gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    plain = all(type(tensor) is Tensor for tensor in tensors)
    return plain and tensors[0].dtype in ARRAYS and not gradient
