"""Class means and standard deviations by networks of two layers, as in the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Generator, Tensor

from fewshot.exceptions import expect, expect_number, expect_positive_int
from fewshot.text.gaussians.network_regression import Regressor, train
from fewshot.text.gaussians.predictors.base import LEAST, BaseMoments, TextPredictor

FEWEST_CLASSES = 8
FOLDS = 5


class Pair(NamedTuple):
    """The two regressors of one fit, and the least standard deviations (D,)."""

    means: Regressor
    deviations: Regressor
    floor: Tensor

    def predict(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (M, D) of text vectors (M, P)."""
        deviations = self.deviations.predict(text).maximum(self.floor)
        return self.means.predict(text), 2 * deviations.log()


class NetworkPredictor(TextPredictor):
    r"""Two networks, one of the means and one of the standard deviations.

    Bendou et al., "Inferring Latent Class Statistics from Text for Robust Visual Few-Shot
    Learning", 2023: Linear, BatchNorm, GELU, dropout, Linear from text vectors to moments, all
    standardised over base classes; squared error, AdamW.

    The paper regresses standard deviations, and so does this. What is predicted is the logarithm of
    their square, after squares below a thousandth of the pooled variance, and those of negative
    ones, have been raised to that. So log-variances are not unbiased, in contrast to
    ``BaseMoments.log_variances``; with many images per base class it makes no difference.

    Parameters
    ----------
    epochs, batch : int
        Passes over the base classes, and classes per step (>= 3).
    learning_rate, weight_decay : float
        Of AdamW.
    dropout : float in [0, 1)
    width : int
        Hidden units per dimension of the text vectors.
    seed : int
        Of initial weights, held-out classes, batches, dropout and folds. No global random state is
        read or changed.

    Attributes
    ----------
    fit_ : Pair

    Notes
    -----
    A fit trains twelve networks: two on all base classes, and two for each fold. Roughly a minute
    and a half for 1000 classes, 512 dimensions of text and 512 of features on two threads, where
    ridge regression takes half a second. It repeats to the bit on the same number of threads; with
    another number, roundings differ.
    """

    name: ClassVar[str] = "network"

    def __init__(
        self,
        epochs: int = 50,
        batch: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        dropout: float = 0.1,
        width: int = 4,
        seed: int = 0,
    ) -> None:
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.width = width
        self.seed = seed

    def fit(self, text: Tensor, moments: BaseMoments) -> Self:
        """Train on all base classes, then without each fifth of them for the held-out predictions.

        Raises
        ------
        FewshotError
            Fewer than eight base classes, a parameter outside its range, or training that diverges.
        """
        self._expect_parameters()
        expect(
            len(text) >= FEWEST_CLASSES,
            "text.predictor",
            f"'network' needs {FEWEST_CLASSES} base classes or more, got {len(text)}",
            "Give more base classes, or set text.predictor=ridge.",
        )
        text = text.double()
        generator = torch.Generator().manual_seed(self.seed)
        self.fit_ = self._pair(text, moments, generator)
        self.held_out_means_ = torch.empty_like(moments.means)
        self.held_out_log_variances_ = torch.empty_like(moments.means)
        for rows in torch.randperm(len(text), generator=generator).tensor_split(FOLDS):
            others = torch.ones(len(text), dtype=torch.bool)
            others[rows] = False
            pair = self._pair(text[others], _of_classes(moments, others), generator)
            means, log_variances = pair.predict(text[rows])
            self.held_out_means_[rows], self.held_out_log_variances_[rows] = means, log_variances
        return self

    def predict(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (M, D) of text vectors (M, P)."""
        return self.fit_.predict(text)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, BatchNorm's statistics and standardisation of both networks, and the floor."""
        tensors = {"floor": self.fit_.floor}
        for key in ("means", "deviations"):
            parts = getattr(self.fit_, key)._asdict()
            tensors |= {f"{key}.{part}": value for part, value in parts.items()}
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> Self:
        """Restore the fitted tensors from ``tensors``."""
        means, deviations = (
            Regressor(*(tensors[f"{key}.{part}"] for part in Regressor._fields))
            for key in ("means", "deviations")
        )
        self.fit_ = Pair(means, deviations, tensors["floor"])
        return self

    def _pair(self, text: Tensor, moments: BaseMoments, generator: Generator) -> Pair:
        settings: dict[str, Any] = self.get_params()
        del settings["seed"]
        means = train(text, moments.means, generator, **settings)
        deviations = train(text, moments.variances.sqrt(), generator, **settings)
        return Pair(means, deviations, (LEAST * moments.pooled).sqrt())

    def _expect_parameters(self) -> None:
        expect_positive_int("text.epochs", self.epochs)
        expect_positive_int("text.batch", self.batch, minimum=3)
        expect_number("text.learning_rate", self.learning_rate, 0, above=True)
        expect_number("text.weight_decay", self.weight_decay, 0)
        expect_number("text.dropout", self.dropout, 0, 0.99)
        expect_positive_int("text.width", self.width)
        expect_positive_int("text.seed", self.seed, minimum=0)


def _of_classes(moments: BaseMoments, rows: Tensor) -> BaseMoments:
    """The moments of some of the classes."""
    means, variances = moments.means[rows], moments.variances[rows]
    return BaseMoments(moments.classes[rows], moments.counts[rows], means, variances)
