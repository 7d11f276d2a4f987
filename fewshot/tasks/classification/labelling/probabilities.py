"""Probabilities of classes from the scores of a fitted head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fewshot.estimators.auto import Auto
from fewshot.estimators.base import BaseClasses
from fewshot.estimators.calibration.temperatures import (
    OTHERS,
    load_score_calibrator,
    score_evidence,
)
from fewshot.exceptions import expect_choice, expect_number
from fewshot.heads.base import Head, Support
from fewshot.units import counted

SAME_HEAD, OTHER_HEADS = "this head", "other heads"


@dataclass(frozen=True)
class Probabilities:
    """Temperature T and shrinkage w that turn scores s into probabilities.

    ``p = (1 - w) softmax(s / T) + w / N``

    Attributes
    ----------
    temperature : float > 0
        T, in the units of the scores.
    shrinkage : float in [0, 1)
        w, the weight of equal probabilities: what no score can know.
    held_out : int
        Number of shots that were left out in turn to see how scores of new images differ; 0 where
        no class has two, so that all rests on other data sets.
    learned_on : {"this head", "other heads"}
        What was learned on other data sets: of this kind of head, or of all kinds together.

    Raises
    ------
    FewshotError
        A number out of its range, as a damaged model file may have.
    """

    temperature: float
    shrinkage: float = 0.0
    held_out: int = 0
    learned_on: str = SAME_HEAD

    def __post_init__(self) -> None:
        expect_number("probabilities.temperature", self.temperature, 0, above=True)
        expect_number("probabilities.shrinkage", self.shrinkage, 0, 1)
        expect_number("probabilities.held_out", self.held_out, 0)
        expect_choice("probabilities.learned_on", self.learned_on, (SAME_HEAD, OTHER_HEADS))

    def of(self, scores: Tensor) -> Tensor:
        """Probabilities (..., N), float64, of finite scores (..., N)."""
        scores = scores.double()
        below = scores - scores.amax(-1, keepdim=True)
        sharp = (below / self.temperature).softmax(-1)
        return (1 - self.shrinkage) * sharp + self.shrinkage / scores.shape[-1]

    @property
    def source(self) -> str:
        """What they rest on: "shots and data sets", or "data sets"."""
        return "shots and data sets" if self.held_out else "data sets"

    def sentence(self) -> str:
        """What they rest on, in a sentence for a model card."""
        learned = "on other data sets"
        if self.learned_on != SAME_HEAD:
            learned += " with other kinds of heads"
        if not self.held_out:
            return (
                "Probabilities rest on the predicted error and on what was learned "
                f"{learned}: with one image per class no image could be left out to check them."
            )
        images = counted(self.held_out, "labelled image")
        return (
            f"Probabilities rest on {images} that were classified without having been learned "
            f"from, on the predicted error, and on what was learned {learned}."
        )


def fit_probabilities(
    support: Support, head: Head, error: float | None = None, calibrator: Path | None = None
) -> Probabilities:
    """Temperature and shrinkage for a head that is fitted on one support (E = 1).

    Both from the held-out shots, the predicted error and coefficients that were learned on other
    data sets: see docs/probabilities.md.

    Parameters
    ----------
    support : Support
    head : Head
    error : float in [0, 1], optional
        Predicted share of wrong labels among new images, all classes alike; None: what ``auto``
        predicts from the support.
    calibrator : Path, optional
        JSON with coefficients; None: those of the package.
    """
    predicted = torch.full_like(support.counts[:, 0], torch.nan if error is None else error)
    if error is None:
        predicted = Auto("datasets").fit(BaseClasses()).predict(support, head).error
    temperature, shrinkage = score_temperatures(support, head, predicted, calibrator)
    held = support.mask & (support.counts > 1)[..., None]
    known = load_score_calibrator(calibrator).name_of(head) != OTHERS
    return Probabilities(
        float(temperature),
        float(shrinkage),
        int(held.sum()),
        SAME_HEAD if known else OTHER_HEADS,
    )


def score_temperatures(
    support: Support, head: Head, error: Tensor, calibrator: Path | None = None
) -> tuple[Tensor, Tensor]:
    """Temperatures and shrinkages, both (E,), float64, of a head fitted on E supports.

    A temperature is 1 where all scores of the shots are equal.

    Parameters
    ----------
    support : Support
    head : Head
    error : Tensor of shape (E,)
        Predicted share of wrong labels among new images.
    calibrator : Path, optional
    """
    evidence = score_evidence(support, head, error)
    coefficients = load_score_calibrator(calibrator).temperatures(head)
    temperature, shrinkage = coefficients.of(evidence)
    return torch.where(evidence.unit == 0, 1.0, temperature), shrinkage
