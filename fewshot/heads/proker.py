"""ProKeR: kernel ridge regression of what zero-shot scores leave of the labels."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect, expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.selection import loss_of
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

Setting = float | Literal["search", "imagenet"]
PAPER = {"beta": "imagenet", "lmbda": "imagenet"}

# The authors' values for ImageNet by number of shots, which they carry over to other data sets.
SHOTS = (1, 2, 4, 8, 16)
IMAGENET = {"beta": (3.0, 2.6, 1.5, 1.66, 1.7), "lmbda": (0.05, 0.05, 0.05, 0.07, 0.1)}
# What "search" goes through: the authors' ranges.
GRIDS = {"beta": (0.5, 1.0, 2.0, 4.0, 8.0), "lmbda": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)}
# Shots of an episode up to which "search" decomposes their kernel.
MOST_SEARCHED = 2048


class ProKeR(Head):
    r"""Zero-shot scores plus kernel ridge regression of their errors on the shots.

    Bendou, Ouasfi, Gripon and Boukhayma, "ProKeR: A Kernel Perspective on Few-Shot Adaptation of
    Large Vision-Language Models", CVPR 2025. With unit shots F of S images, their labels Y (S, N)
    as 0 and 1, unit text vectors t_c and the kernel ``k(x, f) = exp(-beta (1 - x . f))``,

        score_c(x) = x . t_c + sum_i k(x, f_i) A_ic,   A = (I + K / lambda)^-1 (Y - F T')

    with K the kernel of the shots. As lambda falls to 0 only the zero-shot scores are left. Unlike
    the sums of Tip-Adapter, the solution takes into account how alike the shots are. Cosines are
    not scaled in it. O(S^3 + S^2 N) for fitting, O(S (D + N)) a query.

    Parameters
    ----------
    beta : float > 0, "search" or "imagenet"
        Sharpness of the kernel.
    lmbda : float > 0, "search" or "imagenet"
        lambda. The authors choose both on validation images for every data set, or carry over what
        they found on ImageNet for the number of shots: "imagenet" (3 and 0.05 at one shot; of the
        values for 1, 2, 4, 8 and 16 shots, those whose number is nearest by ratio to the harmonic
        mean of the shots). "search", the default, goes through 5 values of beta from 0.5 to 8 and 6
        of lambda from 0.01 to 3, the authors' ranges, on the shots alone: each shot is scored by
        the fit without it, in closed form, and mistakes, among equals the cross-entropy, decide.
        Where fewer than half of the classes have two shots, and in episodes of more than 2,048
        shots, "imagenet".
    preset : {"none", "paper"}
        "paper": "imagenet" for both.

    Attributes
    ----------
    shots_ : Tensor of shape (E, S, D)
    coefficients_ : Tensor of shape (E, S, N)
        A, zero in the padding.
    text_ : Tensor of shape (E, N, D)
    beta_, lmbda_ : Tensor of shape (E,)
    """

    references = ("bendou2025proker",)
    tags = HeadTags(scale_invariant=True, check_with={"beta": 2.0})

    def __init__(
        self, beta: Setting = "search", lmbda: Setting = "search", preset: Preset = "none"
    ) -> None:
        self.beta = beta
        self.lmbda = lmbda
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Choose what is to be chosen, and solve for the coefficients."""
        head = with_preset(self, PAPER, "head.proker")
        check_setting("beta", head.beta)
        check_setting("lmbda", head.lmbda)
        text, exact = class_text(support, "proker"), support.to(torch.float64)
        problem, dtype = problem_of(exact), support.features.dtype
        self.beta_, self.lmbda_ = settings(exact, problem, head.beta, head.lmbda)
        self.coefficients_ = solve(problem, self.beta_, self.lmbda_).to(dtype)
        self.shots_ = problem.shots.to(dtype)
        self.text_, self.scale_ = text, support.context.logit_scale
        return self

    def scores(self, query: Query) -> Tensor:
        """Scores (E, T, N) times the scale of the dual encoder, which changes no decision."""
        x = unit_length(query.features)
        nearness = kernel(x, self.shots_, self.beta_.to(x.dtype))
        return self.scale_ * (x @ self.text_.mT + nearness @ self.coefficients_)

    def leave_one_out(self, support: Support) -> Tensor | None:
        """Scores (E, N, K, N) of every shot by the fit without it, unless that has other settings.

        The shots of the others are left out one at a time from the same inverse.
        """
        head = with_preset(self, PAPER, "head.proker")
        if isinstance(head.beta, str) or isinstance(head.lmbda, str):
            return None
        problem = problem_of(support.to(torch.float64))
        ones = torch.ones_like(problem.residuals[:, 0, 0])
        beta, lmbda = head.beta * ones, head.lmbda * ones
        values, vectors = torch.linalg.eigh(masked_kernel(problem, beta))
        scores = left_out_scores(problem, vectors, values, lmbda)
        scaled = support.context.logit_scale * scores.to(support.features.dtype)
        return in_places(scaled, problem, support.mask.shape[1:])


class Problem(NamedTuple):
    """Shots of E episodes, and what is left to learn of them.

    S is the largest number of shots of an episode, not the number of places for them, N K, of
    which most are padding where one class has many shots: what is done costs S^3.

    Attributes
    ----------
    shots : Tensor of shape (E, S, D)
        Unit length.
    mask : Tensor of shape (E, S), bool
        False in the padding.
    zero_shot : Tensor of shape (E, S, N)
        Cosines with the text.
    residuals : Tensor of shape (E, S, N)
        Labels minus these; zero in the padding.
    place : Tensor of shape (E, S), int64
        Of a shot among the N K of the support.
    """

    shots: Tensor
    mask: Tensor
    zero_shot: Tensor
    residuals: Tensor
    place: Tensor


def problem_of(support: Support) -> Problem:
    """The regression that the shots and the text of a support make."""
    ways, most = support.mask.shape[1:]
    mask = support.mask.flatten(1)
    first = mask.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)
    place = first[:, : int(mask.sum(-1).max())]
    mask = mask.gather(1, place)
    shots = support.features.flatten(1, 2)
    shots = unit_length(shots.gather(1, place[..., None].expand(-1, -1, shots.shape[-1])))
    zero_shot = shots @ class_text(support, "proker").mT
    labels = torch.nn.functional.one_hot(place // most, ways).to(shots.dtype)
    return Problem(shots, mask, zero_shot, (labels - zero_shot) * mask[..., None], place)


def in_places(values: Tensor, problem: Problem, shape: torch.Size) -> Tensor:
    """Values (E, S, N) of the shots as (E, N, K, N), zero in the padding; shape is (N, K)."""
    spread = values.new_zeros(len(values), shape.numel(), values.shape[-1])
    place = problem.place[..., None].expand_as(values)
    return spread.scatter(1, place, values).unflatten(1, shape)


def kernel(first: Tensor, second: Tensor, beta: Tensor) -> Tensor:
    """``exp(-beta (1 - x . y))`` of unit vectors (E, m, D) and (E, n, D), beta (E,): (E, m, n)."""
    return (first @ second.mT).sub_(1).mul_(beta[:, None, None]).exp_()


def masked_kernel(problem: Problem, beta: Tensor) -> Tensor:
    """The kernel (E, S, S) of the shots; in the padding diagonal, with no number twice.

    Of many equal eigenvalues, as of zeros there, LAPACK's decomposition may not converge.
    """
    pairs = problem.mask[:, :, None] & problem.mask[:, None]
    matrix = kernel(problem.shots, problem.shots, beta).mul_(pairs)
    number = torch.arange(1, matrix.shape[1] + 1, device=matrix.device)
    matrix.diagonal(dim1=-2, dim2=-1).add_(~problem.mask * number)
    return matrix


def solve(problem: Problem, beta: Tensor, lmbda: Tensor) -> Tensor:
    """``(I + K / lambda)^-1 residuals``: (E, S, N)."""
    matrix = masked_kernel(problem, beta).div_(lmbda[:, None, None])
    matrix.diagonal(dim1=-2, dim2=-1).add_(1)
    return torch.cholesky_solve(problem.residuals, torch.linalg.cholesky(matrix))


def left_out_scores(problem: Problem, vectors: Tensor, values: Tensor, lmbda: Tensor) -> Tensor:
    """Scores (E, S, N) of every shot by the regression on the others.

    With ``M = (I + K / lambda)^-1``, the fit without shot i misses its residual by ``(M R)_i /
    M_ii`` in the regression on R with the penalty lambda, of which ProKeR's is lambda times.

    Parameters
    ----------
    vectors, values : Tensor of shape (E, S, S) and (E, S)
        Eigenvectors and eigenvalues of K.
    lmbda : Tensor of shape (E,)
    """
    kept = lmbda[:, None] / (values.clamp_min(0) + lmbda[:, None])
    missed = vectors @ (kept[..., None] * (vectors.mT @ problem.residuals))
    free = vectors.square() @ kept[..., None]
    correction = problem.residuals - missed / free.clamp_min(torch.finfo(free.dtype).eps)
    return problem.zero_shot + lmbda[:, None, None] * correction


def settings(
    support: Support, problem: Problem, beta: Setting, lmbda: Setting
) -> tuple[Tensor, Tensor]:
    """beta and lambda of every episode: (E,) each."""
    known = {"beta": beta, "lmbda": lmbda}
    start = {name: known_values(name, value, support) for name, value in known.items()}
    searched = [name for name, value in known.items() if value == "search"]
    several = support.counts > 1
    judged = support.mask & several[..., None]
    # Shots of few classes alone would choose what favours these classes.
    worth = (2 * several.sum(-1) >= several.shape[1]) & (problem.mask.sum(-1) <= MOST_SEARCHED)
    if not searched or not bool(worth.any()):
        return start["beta"], start["lmbda"]
    grids = {
        name: [torch.full_like(start[name], value) for value in GRIDS[name]]
        if name in searched
        else [start[name]]
        for name in known
    }
    losses, pairs = [], []
    for sharpness in grids["beta"]:
        values, vectors = torch.linalg.eigh(masked_kernel(problem, sharpness))
        for weight in grids["lmbda"]:
            scores = left_out_scores(problem, vectors, values, weight)
            scores = in_places(scores, problem, support.mask.shape[1:])
            losses.append(loss_of(support.context.logit_scale * scores, judged))
            pairs.append(torch.stack([sharpness, weight]))
    best = torch.stack(losses).argmin(0)
    chosen = torch.stack(pairs)[best, :, torch.arange(len(best), device=best.device)]
    chosen = torch.where(worth[:, None], chosen, torch.stack(list(start.values()), -1))
    return chosen[:, 0], chosen[:, 1]


def known_values(name: str, value: Setting, support: Support) -> Tensor:
    """A number for all episodes, or the authors' for ImageNet at their number of shots: (E,)."""
    shots = support.typical_shots
    if not isinstance(value, str):
        return torch.full_like(shots, float(value))
    numbers = torch.tensor(SHOTS, dtype=shots.dtype, device=shots.device)
    nearest = (shots[:, None].log() - numbers.log()).abs().argmin(-1)
    return torch.tensor(IMAGENET[name], dtype=shots.dtype, device=shots.device)[nearest]


def check_setting(name: str, value: object) -> None:
    """Raise unless it is a positive number or the name of a rule."""
    if isinstance(value, str):
        choices = ("search", "imagenet")
        problem = f"expected a number, 'search' or 'imagenet', got {value!r}"
        expect(value in choices, f"head.proker.{name}", problem)
        return
    remedy = "Or 'search', on the shots, or 'imagenet', the authors' for that data set."
    expect_number(f"head.proker.{name}", value, 0, above=True, remedy=remedy)
