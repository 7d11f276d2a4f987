"""Tip-Adapter-F: Tip-Adapter with a trained cache."""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor

from fewshot.exceptions import expect_number, expect_repeats
from fewshot.heads.base import Support
from fewshot.heads.solvers.training import Parameters, train
from fewshot.heads.tip_adapter import TipAdapter

# torch.optim.AdamW's default decay, and the epsilon of the authors' program.
WEIGHT_DECAY, EPSILON = 0.01, 1e-4


class TipAdapterF(TipAdapter):
    r"""Tip-Adapter whose keys are trained on the shots.

    Zhang et al., "Tip-Adapter", ECCV 2022: the shots start as the keys of the cache
    and are moved by AdamW, under a cosine schedule, along the gradient of the mean
    cross-entropy of the shots. With affinities ``a_ij = x_i . k_j`` and c_j the class of a key,

        dL/dk_j = alpha beta / n sum_i (p_i,c_j - y_i,c_j) exp(-beta (1 - a_ij)) x_i

    Trained keys do not keep unit length. As in the paper a shot meets its own key in
    training. All episodes train at once; a step costs O((N K)^2 D) an episode.

    Parameters
    ----------
    alpha : float >= 0, or "search"
        Weight of the cache, as in Tip-Adapter. "search" chooses among 20 values from 0.1 to 3
        before training, by shots left out of the cache: once keys have seen all shots, none of them
        can judge.
    beta : float > 0, or "search"
        Sharpness of the affinities, as in Tip-Adapter. "search" chooses among 20 values from 0.1 to
        7, together with alpha.
    epochs : int >= 1
        Steps of training, each on all shots; 20 as in the paper. An epoch is one step (the authors'
        batch of 256 holds all of an episode). The authors see random crops of each image and keep
        the epoch that is best on other images; here an image has one feature and the last epoch is
        kept.
    learning_rate : float > 0
        Of AdamW; 0.001 as in the paper.
    """

    references = ("zhang2022tip", "loshchilov2019decoupled")
    name = "tip_adapter_f"

    def __init__(
        self,
        alpha: float | Literal["search"] = 1.0,
        beta: float | Literal["search"] = 5.5,
        epochs: int = 20,
        learning_rate: float = 0.001,
    ) -> None:
        super().__init__(alpha, beta)
        self.epochs = epochs
        self.learning_rate = learning_rate

    @torch.no_grad()
    def fit(self, support: Support) -> Self:
        """Store the shots and train their copies."""
        super().fit(support)
        shots = self.keys_.flatten(1, 2)
        zero_shot = self.scale_ * (shots @ self.text_.mT)
        weight = self.mask_.to(shots.dtype)
        truth = torch.diag_embed(weight.mT).permute(0, 2, 1, 3).flatten(1, 2)
        alpha, beta = self.alpha_[:, None, None], self.beta_[:, None, None]

        def gradient(parameters: Parameters) -> Parameters:
            return {"keys": keys_gradient(parameters["keys"], shots, truth, zero_shot, alpha, beta)}

        trained = train(
            gradient,
            {"keys": shots},
            steps=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=WEIGHT_DECAY,
            epsilon=EPSILON,
        )
        self.keys_ = trained["keys"].view_as(support.features)
        return self

    def leave_one_out(self, support: Support) -> Tensor | None:
        """None: a key that is left out changes the others."""
        return None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        expect_repeats("head.tip_adapter_f.epochs", self.epochs)
        expect_number("head.tip_adapter_f.learning_rate", self.learning_rate, 0, above=True)


def keys_gradient(
    keys: Tensor, shots: Tensor, truth: Tensor, zero_shot: Tensor, alpha: Tensor, beta: Tensor
) -> Tensor:
    """Gradient (E, S, D) of the mean cross-entropy of S = N K shots with respect to the keys.

    Parameters
    ----------
    keys, shots : Tensor of shape (E, S, D)
    truth : Tensor of shape (E, S, N)
        1 at the class of a shot; all 0 in the padding.
    zero_shot : Tensor of shape (E, S, N)
    alpha, beta : Tensor of shape (E, 1, 1)
    """
    nearness = torch.exp(beta * (shots @ keys.mT - 1))
    logits = zero_shot + alpha * (nearness @ truth)
    there = truth.sum(-1, keepdim=True)
    excess = (logits.softmax(-1) * there - truth) / there.sum(1, keepdim=True)
    pull = alpha * beta * nearness * (excess @ truth.mT)
    return pull.mT @ shots
