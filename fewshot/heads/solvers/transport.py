"""Entropic optimal transport of queries to classes of a given size."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-6
ITERATIONS = 200


def sinkhorn(
    logits: Tensor,
    mask: Tensor,
    sizes: Tensor,
    start: Tensor | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = ITERATIONS,
    ridge: float = 0.0,
) -> Tensor:
    r"""Potentials that make every class as large as wished.

    The transport plan ``P = softmax_c(logits + v)``, zero in the padding, gives every query one
    unit; wanted is v with ``sum_t P_ct = sizes_c`` (Cuturi, "Sinkhorn Distances", NeurIPS 2013).
    It minimises the convex ``sum_t logsumexp_c(logits_ct + v_c) - sizes . v``, whose Hessian
    ``diag(sum_t P) - P P'`` is but N x N, so that Newton's method takes a few steps where the
    alternating normalisation of rows and columns takes hundreds and ends at the same plan. A
    step s of range d is shortened by ``log(1 + d) / d``, which never overshoots: the third
    derivative of a logsumexp along s is at most d times the second (Sun and Tran-Dinh,
    "Generalized self-concordant functions", Mathematical Programming 2019).

    Parameters
    ----------
    logits : Tensor of shape (E, N, T)
        -lambda times the costs. Best in float64: plans that are nearly 0 or 1 need its digits.
    mask : Tensor of shape (E, T), bool
    sizes : Tensor of shape (E, N)
        Positive; their sum is the number of queries.
    start : Tensor of shape (E, N), optional
        Potentials to begin with.
    tolerance : float
        An episode stops when its classes miss their sizes by no more than this many queries.
    iterations : int
        And after this many steps at the latest.
    ridge : float >= 0
        Weight of a penalty ``|v|^2 / 2``. Plans of whole queries leave v an interval; this takes
        its least value, and lets classes miss their sizes by ``ridge |v|`` queries.

    Returns
    -------
    Tensor of shape (E, N)
        v, with mean zero.
    """
    potentials = torch.zeros_like(sizes) if start is None else start
    for _ in range(iterations):
        plan = transport_plan(logits, potentials, mask)
        filled = plan.sum(-1)
        gap = sizes - filled - ridge * potentials
        moving = gap.abs().amax(-1, keepdim=True) > tolerance
        if not bool(moving.any()):
            break
        potentials = torch.where(
            moving, potentials + newton_step(plan, filled, gap, ridge), potentials
        )
    return potentials


def transport_plan(logits: Tensor, potentials: Tensor, mask: Tensor) -> Tensor:
    """``softmax_c(logits + v)``, zero in the padding: (E, N, T)."""
    return (logits + potentials[..., None]).softmax(1) * mask[:, None]


def newton_step(plan: Tensor, filled: Tensor, gap: Tensor, ridge: float = 0.0) -> Tensor:
    """Damped step (E, N) of mean zero that closes the gap (E, N) to first order."""
    hessian = torch.diag_embed(filled) - plan @ plan.mT
    size = filled.mean(-1)[:, None, None]
    # Equal potentials change nothing: that direction gets a curvature, and so does a class that
    # no query thinks of, or the matrix would be singular.
    hessian = hessian + size / filled.shape[-1]
    least = torch.finfo(hessian.dtype).eps * size[..., 0]
    least = least.clamp_min(torch.finfo(hessian.dtype).tiny)
    hessian.diagonal(dim1=-2, dim2=-1).add_(least + ridge)
    step = torch.linalg.solve_ex(hessian, gap).result
    step = step - step.mean(-1, keepdim=True)
    span = (step.amax(-1, keepdim=True) - step.amin(-1, keepdim=True)).clamp_min(1e-300)
    return step * (span.log1p() / span)
