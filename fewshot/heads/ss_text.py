"""SS-Text: text vectors plus weighted means of the shots, in closed form."""

from __future__ import annotations

from typing import Literal, Self, get_args

import torch
from torch import Tensor

from fewshot.exceptions import expect, expect_bool, expect_number
from fewshot.heads.base import LinearForm, LinearHead, Support
from fewshot.heads.presets import Preset, with_preset
from fewshot.heads.solvers.text_weight import visual_weight, zero_shot_confidence
from fewshot.heads.solvers.training import Shots, shots_of
from fewshot.heads.solvers.transforms import unit_length
from fewshot.heads.tags import HeadTags

TextWeight = Literal["spread", "total", "shots", "confidence"]
PAPER = {"text_weight": "shots", "repel": True}

# Smallest weight of text in the authors' program.
LEAST_WEIGHT = 1e-3


class SSText(LinearHead):
    r"""Cosine classifier whose class vectors are pulled to the shots and to the text at once.

    Silva-Rodriguez, Shakeri, Bahig, Dolz and Ben Ayed, "Few-Shot, Now for Real: Medical VLMs
    Adaptation without Balanced Sets or Validation", MICCAI 2025. With S unit shots f_i, of which
    K_c are of class c, unit text vectors t_c and the scale s of the dual encoder, the class vectors
    minimise

        -s / S sum_i f_i . w_(class of i) + sum_c lambda_c / 2 |w_c - t_c|^2,

    so that ``w_c = t_c + s K_c / (S lambda_c) m_c`` with the class means m_c. The score of an image
    f is ``s f . w_c / |w_c|``. Nothing is trained: O(N K D).

    Parameters
    ----------
    text_weight : {"spread", "total", "shots", "confidence"} or float > 0
        lambda_c. "total": 1 / S for all classes, SS-Text of the same authors ("Full Conformal
        Adaptation of Medical Vision-Language Models", IPMI 2025). "shots": 1 / K_c, their SS-Text+.
        "confidence": mean probability of class c under its text on its shots. All three weigh the
        shots by s, and with CLIP's scale of 100 leave little of the text: at few shots they are far
        below zero-shot. "spread", the default, has ``w_c = t_c + a m_c`` with

            a = sqrt(K) / 4 sd(f_i . t_c) / sd(f_i . m_c)

        over all shots i and classes c other than theirs, about the mean of the class; K is the
        harmonic mean of the shots. One shot then disturbs the scores by a quarter of what the text
        itself does, which is more than made up for if it tells classes apart an eighth as well as
        the text. In the variance of the images five cosines with the spread of the text are
        counted, as few images say little about it.
    repel : bool
        SS-Text+: class vectors are pushed away from each other by ``u / |u|`` with
        ``u_c = 2 w_c - mean of w``. It presupposes vectors much longer than 1.
    preset : {"none", "paper"}
        "paper": SS-Text+, ``text_weight="shots"`` and ``repel=True``.

    Attributes
    ----------
    weights_ : Tensor of shape (E, N, D)
    biases_ : Tensor of shape (E, N)
        Zero.
    """

    references = ("silva2025few", "silva2025full")
    tags = HeadTags(scale_invariant=True)

    def __init__(
        self,
        text_weight: float | TextWeight = "spread",
        repel: bool = False,
        preset: Preset = "none",
    ) -> None:
        self.text_weight = text_weight
        self.repel = repel
        self.preset = preset

    @property
    def uses(self) -> frozenset[str]:
        """Class names."""
        return frozenset({"text"})

    def fit(self, support: Support) -> Self:
        """Take the minimum."""
        head = with_preset(self, PAPER, "head.ss_text")
        expect_bool("head.ss_text.repel", head.repel)
        check_text_weight(head.text_weight)
        shots = shots_of(support, "ss_text")
        counts = shots.targets.sum(-1, keepdim=True)
        means = shots.targets @ shots.features / counts
        if head.text_weight == "spread":
            weight = visual_weight(shots, support.typical_shots)[:, None, None]
        else:
            text = text_weights(shots, head.text_weight).clamp_min(LEAST_WEIGHT)
            weight = shots.logit_scale * counts / (counts.sum(1, keepdim=True) * text)
        vectors = shots.text + weight * means
        if head.repel:
            vectors = vectors - unit_length(2 * vectors - vectors.mean(1, keepdim=True))
        self.weights_ = shots.logit_scale * unit_length(vectors)
        self.biases_ = torch.zeros_like(self.weights_[..., 0])
        return self

    def linear(self) -> LinearForm:
        """Weights of unit length times the scale."""
        return LinearForm(self.weights_, self.biases_, None)


def check_text_weight(text_weight: object) -> None:
    """Raise for a weight of text that is neither a positive number nor a rule."""
    names = get_args(TextWeight)
    if isinstance(text_weight, str):
        problem = f"expected a number or one of {', '.join(names)}, got {text_weight!r}"
        expect(text_weight in names, "head.ss_text.text_weight", problem)
        return
    remedy = f"Or one of {', '.join(names)}."
    expect_number("head.ss_text.text_weight", text_weight, 0, above=True, remedy=remedy)


def text_weights(shots: Shots, rule: float | TextWeight) -> Tensor:
    """lambda_c of a number or of the rules of the papers: (E, N, 1)."""
    if rule == "confidence":
        return zero_shot_confidence(shots)
    counts = shots.targets.sum(-1, keepdim=True)
    if rule == "shots":
        return 1 / counts
    if rule == "total":
        return (1 / counts.sum(1, keepdim=True)).expand_as(counts)
    return torch.full_like(counts, float(rule))
