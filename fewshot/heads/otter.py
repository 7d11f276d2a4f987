"""Zero-shot classification whose class shares are put right."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_choice, expect_number
from fewshot.heads.base import Head, Query, Support
from fewshot.heads.presets import with_preset
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.solvers.transport import sinkhorn
from fewshot.heads.tags import HeadTags
from fewshot.heads.texts import class_text

# The authors know the shares and move whole queries, which transport this sharp does.
PAPER = {"prior": "support", "sharpness": 10.0}
PRIORS = ("none", "estimated", "support", "uniform")
STEPS = 1000  # of expectation maximisation, at most
TOLERANCE = 1e-6  # change of the shares at which it stops, as in the authors' program
RIDGE = 1e-6  # of offsets, which transport of whole queries leaves undetermined


class Otter(Head):
    r"""Zero-shot logits plus an offset per class that puts class shares right.

    With ``s_c(x) = logit_scale cos(x, t_c)``, p its softmax over classes and text vectors t_c,
    scores are ``s_c(x) + v_c``. Class names give some classes more images than they have; v takes
    that back, and brings in what is known of the queries:

    * "support", "uniform": optimal transport of the queries to classes whose shares q are those of
      the shots, or equal (Shin et al., "OTTER: Effortless Label Distribution Adaptation of
      Zero-shot Models", NeurIPS 2024). v is the potential with
      ``sum_t softmax_c(s(x_t) + v) = T q_c``.
    * "none": ``v_c = -log m_c`` with m the shares that class names make of the shots, classes alike
      (``m_c = (S mean p_c + 1) / (S + N)`` with S shots: one image more for every class, Laplace's
      rule). It asks nothing of the queries, each of which is classified by itself.
    * "estimated": ``v_c = log(q_c / m_c)`` with q the shares of the queries of largest posterior by
      expectation maximisation (Saerens et al., "Adjusting the Outputs of a Classifier to New a
      Priori Probabilities", Neural Computation 2002), one image more for every class.

    O(T N D), and O(T N^2) for each of a few steps of transport.

    Parameters
    ----------
    prior : {"none", "estimated", "support", "uniform"}
        What shares the queries are taken to have. "none", the default, is the only one that was not
        worse than `ZeroShot` on any kind of queries. A wrong share of the transport costs more
        than it can bring; an estimated one needs many queries of each class.
    sharpness : float > 0
        Of the transport ("support", "uniform"): factor of the logits under which v is found. 1
        divides queries among classes as zero-shot probabilities do; large values approach the
        authors' unregularised transport of whole queries.
    preset : {"none", "paper"}
        "paper": prior "support", sharpness 10. The authors' program is told the true shares.

    Attributes
    ----------
    text_ : Tensor of shape (E, N, D)
    log_shares_ : Tensor of shape (E, N)
        log m, plus log N; zero without shots.
    """

    references = ("shin2024otter", "saerens2002adjusting")
    tags = HeadTags(scale_invariant=True)

    def __init__(
        self,
        prior: Literal["none", "estimated", "support", "uniform"] = "none",
        sharpness: float = 1.0,
        preset: Literal["none", "paper"] = "none",
    ) -> None:
        self.prior = prior
        self.sharpness = sharpness
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """Class names; all queries together for transport and estimates."""
        prior = self._resolved().prior
        if prior == "none":
            return frozenset({"text"})
        together = frozenset({"text", "queries"})
        return together if prior == "estimated" else together | {"query_prior"}

    @property
    def least_shots(self) -> int:
        """None, unless their shares are wanted."""
        return 1 if self._resolved().prior == "support" else 0

    def fit(self, support: Support) -> Self:
        """Take the text vectors, and what they make of the shots."""
        resolved = self._resolved()
        expect_choice("head.otter.prior", resolved.prior, PRIORS)
        expect_number("head.otter.sharpness", resolved.sharpness, 0, above=True)
        self.text_, self.scale_ = class_text(support, "otter"), support.context.logit_scale
        self.counts_ = support.counts
        shots = self._logits(support.features.flatten(1, 2))
        self.log_shares_ = log_shares(shots.softmax(-1), support.mask)
        return self

    def scores(self, query: Query) -> Tensor:
        """Logits and offsets: (E, T, N)."""
        head, logits = self._resolved(), self._logits(query.features)
        known = query.learning_mask
        if head.prior == "none":
            offsets = -self.log_shares_
        elif head.prior == "estimated":
            plain = logits - self.log_shares_[:, None]
            offsets = estimated_log_prior(plain, known) - self.log_shares_
        else:
            shares = self.counts_ if head.prior == "support" else torch.ones_like(self.counts_)
            sizes = shares / shares.sum(-1, keepdim=True) * known.sum(-1, keepdim=True)
            sharp = head.sharpness * logits.mT
            offsets = sinkhorn(sharp, known, sizes.to(logits), tolerance=1e-9, ridge=RIDGE)
            offsets = offsets / head.sharpness
        return (logits + offsets[:, None]).to(query.features.dtype)

    def _resolved(self) -> Otter:
        return with_preset(self, PAPER, "head.otter")

    def _logits(self, features: Tensor) -> Tensor:
        """Zero-shot logits (E, n, N) in float64."""
        x = unit_length(features.double())
        return self.scale_ * (x @ self.text_.double().mT)


def log_shares(probabilities: Tensor, mask: Tensor) -> Tensor:
    """``log(N m_c)``, m the mean probabilities of shots with one image more for every class.

    Parameters
    ----------
    probabilities : Tensor of shape (E, N K, N)
        Zero-shot probabilities of the shots, class by class.
    mask : Tensor of shape (E, N, K), bool

    Returns
    -------
    Tensor of shape (E, N)
        Classes weigh alike, whatever their shots; zero without shots.
    """
    classes = mask.shape[1]
    shots = mask.sum((1, 2))[:, None]
    per_class = probabilities.unflatten(1, mask.shape[1:]) * mask[..., None]
    means = per_class.sum(2) / mask.sum(-1).clamp_min(1)[..., None]
    return (classes * (shots * means.mean(1) + 1) / (shots + classes)).log()


def estimated_log_prior(logits: Tensor, mask: Tensor) -> Tensor:
    """``log(N q_c)`` of the class shares q that explain the queries best: (E, N).

    Expectation maximisation of ``sum_t log sum_c q_c p_ct + sum_c log q_c``: q is the mean of the
    posteriors ``q_c p_ct / sum``, one image more for every class.

    Parameters
    ----------
    logits : Tensor of shape (E, T, N)
        log p, up to what is common to the classes of a query.
    mask : Tensor of shape (E, T), bool
        False for queries that are left out.
    """
    classes = logits.shape[-1]
    total = mask.sum(-1)[:, None] + classes
    shares = torch.full_like(logits[:, 0], 1 / classes)
    for _ in range(STEPS):
        posterior = (logits + shares.log()[:, None]).softmax(-1) * mask[..., None]
        updated = (posterior.sum(1) + 1) / total
        moving = (updated - shares).abs().sum(-1, keepdim=True) > TOLERANCE
        if not bool(moving.any()):
            break
        shares = torch.where(moving, updated, shares)
    return (classes * shares).log()
