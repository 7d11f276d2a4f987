"""A mixture of Dirichlet distributions on the zero-shot probabilities of a dual encoder."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number, expect_repeats
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

PAPER = {"temperature": 30.0, "mm_steps": 1000}
FLOOR = 1e-15  # added to probabilities in logarithms, as in the authors' program
CONVERGED = 1e-11  # squared relative change of the parameters at which an M step stops
CHECK = 10
LEAST, MOST = 1e-6, 1e6  # of parameters: the likelihood of equal points has no maximum
CURVATURE_AT_ZERO = torch.pi**2 / 6


class EMDirichlet(Head):
    """EM-Dirichlet: queries and shots as points of the simplex of zero-shot probabilities.

    Martin et al., "Transductive Zero-Shot and Few-Shot CLIP", CVPR 2024. An image is
    ``z = softmax(t cos(x, text_k))`` (eq. 1), a class a Dirichlet distribution with parameters
    a_k (E, N, N). Answers u (E, T, N) and a minimise (eq. 4)
    ``-sum_nk u_nk log Dir(z_n; a_k) + sum u log u - l sum_k pi_k log pi_k``, pi being the mean of
    u over the queries, labels being fixed; the last term is the description length of the classes
    in use. Starting from u = z, in turns (algorithm 2): a by majorisation and minimisation, a
    positive root of a quadratic equation in every step (eq. 12); ``v = log pi + 1``;
    ``u_n = softmax_k(log Dir(z_n; a_k) + l / T v_k)``. O(steps (mm_steps N^2 + n N^2)) per
    episode, n = N K + T.

    Parameters
    ----------
    temperature : float > 0, or "encoder"
        Factor t of the cosines with the class texts, from which zero-shot probabilities come.
        "encoder", the default, is the dual encoder's own, 100 in CLIP; 30 is the authors' value. It
        leaves more of the simplex than its corners, and doubts names that are right.
    penalty : float >= 0
        Price of using a class, per query: l / T. The authors' l is T times the number of classes
        over the number that occur among the queries; 1 where all may.
    steps : int >= 1
        Rounds of the three updates.
    mm_steps : int >= 1
        Most steps of an update of the Dirichlet parameters a; fewer where it stands still. The
        authors allow 1000, which gives nearly the same answers: the next round goes on where this
        one stopped.
    labels : {"use", "ignore"}
        "ignore" leaves the shots out: transductive zero-shot classification.
    preset : {"none", "paper"}
        "paper" sets ``temperature=30`` and takes up to 1000 mm_steps, as the authors do.
    """

    references = ("martin2024transductive", "erdogan1999monotonic")
    tags = HeadTags(check_with={"steps": 10, "mm_steps": 10})

    def __init__(
        self,
        temperature: float | Literal["encoder"] = "encoder",
        penalty: float = 1.0,
        steps: int = 20,
        mm_steps: int = 50,
        labels: str = "use",
        preset: Preset = "none",
    ) -> None:
        self.temperature = temperature
        self.penalty = penalty
        self.steps = steps
        self.mm_steps = mm_steps
        self.labels = labels
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """Class names and all queries together; no assumption on the shares of classes."""
        return frozenset({"text", "queries"})

    def fit(self, support: Support) -> Self:
        """Keep the shots; what is learned depends on the queries."""
        self._check_parameters()
        class_text(support, "em_dirichlet")  # or an error
        self.support_ = support
        return self

    def scores(self, query: Query) -> Tensor:
        """Log posterior (E, T, N), up to what is common to the classes of a query.

        Computed in float64: parameters are large and differences of log-gammas small.
        """
        settings = with_preset(self, PAPER, "head.em_dirichlet")
        temperature, mm_steps = settings.temperature, settings.mm_steps
        support = self.support_.to(torch.float64)
        text = class_text(support, "em_dirichlet")
        factor = support.context.logit_scale if temperature == "encoder" else float(temperature)
        shots, z = (
            simplex(one, text, factor)
            for one in (support.features.flatten(1, 2), query.features.double())
        )
        N, K = support.mask.shape[1:]
        one_hot = torch.eye(N, dtype=z.dtype, device=z.device).repeat_interleave(K, 1)
        given = one_hot * support.mask.flatten(1, 2)[:, None] * (self.labels == "use")
        points = (torch.cat([shots, z], 1) + FLOOR).log()
        learning = query.learning_mask
        scores = self._mixture(points, given, z.mT * learning[:, None], learning, mm_steps)
        return scores.mT.to(query.features.dtype)

    def _mixture(
        self, logs: Tensor, labels: Tensor, answers: Tensor, mask: Tensor, mm_steps: int
    ) -> Tensor:
        """Scores (E, N, T) from log points (E, n, N), labels (E, N, S) and answers (E, N, T)."""
        shots = labels.shape[2]
        number = mask.sum(1).clamp_min(1)[:, None, None]
        a = torch.ones_like(labels[..., :1].expand(-1, -1, labels.shape[1]))
        scores = answers
        for _ in range(self.steps):
            joined = torch.cat([labels, answers], -1)
            total = joined.sum(-1, keepdim=True)
            mean_logs = joined @ logs / total.clamp_min(FLOOR)
            fitted = dirichlet_fit(mean_logs, a, mm_steps)
            a = torch.where(total > 0, fitted, a)
            shares = (answers.sum(-1, keepdim=True) / number + FLOOR).log()
            scores = log_density(logs[:, shots:], a) + self.penalty * shares
            answers = scores.softmax(1) * mask[:, None]
        return scores

    def _check_parameters(self) -> None:
        with_preset(self, PAPER, "head.em_dirichlet")  # or an error
        if self.temperature != "encoder":
            remedy = "Or 'encoder', for its own."
            expect_number(
                "head.em_dirichlet.temperature", self.temperature, 0, above=True, remedy=remedy
            )
        expect_number("head.em_dirichlet.penalty", self.penalty, 0)
        expect_repeats("head.em_dirichlet.steps", self.steps)
        expect_repeats("head.em_dirichlet.mm_steps", self.mm_steps)
        expect_choice("head.em_dirichlet.labels", self.labels, ("use", "ignore"))


def simplex(features: Tensor, text: Tensor, temperature: float) -> Tensor:
    """Zero-shot probabilities (E, n, N) of features (E, n, D) under unit text (E, N, D)."""
    return (temperature * (unit_length(features) @ text.mT)).softmax(-1)


def log_density(logs: Tensor, a: Tensor) -> Tensor:
    """Log Dirichlet densities (E, N, n), parameters a (E, N, N), at points with logs (E, n, N)."""
    constant = torch.lgamma(a.sum(-1)) - torch.lgamma(a).sum(-1)
    return (a - 1) @ logs.mT + constant[..., None]


def dirichlet_fit(mean_logs: Tensor, start: Tensor, steps: int) -> Tensor:
    """Parameters (E, N, N) of largest likelihood given mean logarithms (E, N, N), by MM.

    log Gamma(sum a) is replaced by its tangent, log Gamma(a_i) = log Gamma(a_i + 1) - log a_i by
    the parabola of least curvature above its convex part (Erdogan and Fessler, 1999), which
    leaves ``c a_i^2 + b a_i - 1 = 0``.
    """
    a = start
    still = torch.zeros(len(a), 1, 1, dtype=torch.bool, device=a.device)
    for step in range(steps):
        slope = torch.digamma(a + 1)
        c = curvature(a, slope)
        b = slope - torch.digamma(a.sum(-1, keepdim=True)) - mean_logs - c * a
        before = a
        a = ((b.square() + 4 * c).sqrt() - b) / (2 * c)
        a = torch.where(still, before, a.clamp(LEAST, MOST))
        if step % CHECK == CHECK - 1:
            change = (a - before).square().sum((1, 2)) / before.square().sum((1, 2))
            still = (change < CONVERGED)[:, None, None]  # whatever the others of the batch do
            if bool(still.all()):
                break
    return a


def curvature(a: Tensor, slope: Tensor) -> Tensor:
    """``2 (a psi(a + 1) - log Gamma(a + 1)) / a^2``, with its limit at zero."""
    value = 2 * (a * slope - torch.lgamma(a + 1)) / a.square()
    return torch.where(a > 1e-4, value, CURVATURE_AT_ZERO)
