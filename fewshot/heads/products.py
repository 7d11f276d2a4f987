"""Products of many narrow matrices, the fastest way on a processor."""

from __future__ import annotations

import numpy as np
from torch import Tensor


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
