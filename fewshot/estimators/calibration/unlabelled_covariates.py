"""Per-class covariates of the error that unlabelled images of the episode show."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from fewshot.estimators.base import BaseClasses
from fewshot.estimators.calibration.covariates import HIGHEST, LOWEST, Evidence
from fewshot.estimators.mixtures import (
    K_MEANS_GATE,
    PRIOR_GATE,
    PRIOR_RANK,
    Images,
    disagreement,
    posterior_mixture,
    principal_components,
    readmitted,
    soft_k_means,
)
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.heads.base import Head, Support

T = TypeVar("T")


class UnlabelledEvidence(Evidence):
    """Covariates of the support, and those that take unlabelled images, each (E, N).

    Mixtures of the classes are fitted to shots and unlabelled images together, see
    :mod:`~fewshot.estimators.mixtures`; what the head decides otherwise than they do is mostly its
    error. Only decisions of the head on the unlabelled images are used, so that it may be any.

    Parameters
    ----------
    support : Support
    head : Head
        Fitted on `support`.
    base : BaseClasses
    unlabelled : Unlabelled
    """

    def __init__(
        self, support: Support, head: Head, base: BaseClasses, unlabelled: Unlabelled
    ) -> None:
        super().__init__(support, head, base)
        self.unlabelled = unlabelled

    @cached_property
    def disagreement(self) -> Tensor:
        """Probit of the share of a class that the head decides otherwise than soft k-means."""
        return probit_share(*self.disagreeing(prior=False))

    @cached_property
    def disagreement_prior(self) -> Tensor:
        """The same for a mixture whose classes have a prior from the base classes."""
        return probit_share(*self.disagreeing(prior=True))

    def disagreeing(self, prior: bool) -> tuple[Tensor, Tensor]:
        """Images of every class (E, N) that the head decides otherwise, and images of the class.

        Parameters
        ----------
        prior : bool
            Whether the mixture has a prior from the base classes.
        """
        return disagreement(self.kept(prior), self.unlabelled.decisions(self.head))

    def kept(self, prior: bool) -> Tensor:
        """Responsibilities (E, U, N) that sum to 1, unless many images are of no class.

        Parameters
        ----------
        prior : bool
            Whether the mixture has a prior from the base classes.
        """
        fitted, gate = (self.posterior, PRIOR_GATE) if prior else (self.k_means, K_MEANS_GATE)
        return readmitted(fitted, self.unlabelled.mask, gate)

    @cached_property
    def k_means(self) -> Tensor:
        """Responsibilities (E, U, N) of soft k-means."""
        return self._once("k_means", lambda: soft_k_means(self._leading))

    @cached_property
    def posterior(self) -> Tensor:
        """Responsibilities (E, U, N) under the prior of the base classes."""
        return self._once(("posterior", id(self.base.moments)), self._posterior)

    @property
    def best(self) -> Tensor:
        """Responsibilities (E, U, N) under the prior where there is one, else of soft k-means."""
        return self.posterior if self.base.has_prior else self.k_means

    @property
    def outside(self) -> Tensor:
        """Share (E,) of the unlabelled images that are explained better by none of the classes."""
        return 1 - self.best.sum((1, 2)) / self.unlabelled.counts.clamp_min(1)

    @property
    def smallest(self) -> Tensor:
        """Unlabelled images (E,), in fractions, of the class that has fewest of them."""
        return self.best.sum(1).amin(-1)

    @cached_property
    def shift(self) -> Tensor:
        """How far the unlabelled images lie from the shots, all classes in one direction: (E,).

        ``|d|^2`` over its expectation, where d is the mean over classes of the mean of the shots
        less that of the unlabelled images of the class: about 1 without a shift.
        """
        shots, _, images, _ = self._leading
        counts, weights = self.support.counts, self.k_means.sum(1)
        means = shots.sum(2) / counts[..., None]
        centres = self.k_means.mT @ images / weights.clamp_min(1e-3)[..., None]
        total = self.k_means.sum((1, 2)).clamp_min(1e-3)
        away = (images[:, :, None] - centres[:, None]).square().sum(-1)
        variance = (self.k_means * away).sum((1, 2)) / total  # summed over dimensions
        certain = (weights > 1).to(means)
        number = certain.sum(-1).clamp_min(1)
        delta = ((means - centres) * certain[..., None]).sum(1) / number[:, None]
        inverse = (1 / counts + 1 / weights.clamp_min(1e-3)) * certain
        expected = variance * inverse.sum(-1) / number.square()
        return delta.square().sum(-1) / expected.clamp_min(1e-12)

    @cached_property
    def _images(self) -> Images:
        support, mask = self.support, self.unlabelled.mask
        features = self.unlabelled.features
        if not bool(mask.all()):
            features = features.masked_fill(~mask[..., None], 0.0)
        return Images(support.features, support.mask, features, mask)

    @cached_property
    def _leading(self) -> Images:
        return self._once("leading", lambda: principal_components(self._images))

    def _once(self, name: object, compute: Callable[[], T]) -> T:
        """What several estimators ask of the same shots and unlabelled images, computed once."""
        memory, key = self.unlabelled.memory, (name, id(self.support))
        if key not in memory:
            memory[key] = (self.support, compute())  # with the support, so that its id stays its
        value: T = memory[key][1]
        return value

    def _posterior(self) -> Tensor:
        prior, given = self._prior, self._images
        rank = min(PRIOR_RANK, len(prior.within))
        coordinates = given.times(prior.basis[:, :rank], prior.mean)
        # In units of the largest deviation within classes, so that squares are numbers.
        unit = prior.within[0].sqrt()
        scaled = coordinates._replace(
            shots=coordinates.shots / unit, images=coordinates.images / unit
        )
        tiny = torch.finfo(unit.dtype).eps
        within, between = (
            (variance[:rank] / unit**2).clamp_min(tiny)
            for variance in (prior.within, prior.between)
        )
        return posterior_mixture(scaled, within, between)


def probit_share(wrong: Tensor, total: Tensor) -> Tensor:
    """Probit of ``wrong / total`` (E, N), with one image more of the average of the classes.

    The average has half an image of one more, so that none of many is not nothing. Clipped as the
    other covariates are.
    """
    wrong, total = wrong.double(), total.double()
    average = (wrong.sum(-1, keepdim=True) + 0.5) / (total.sum(-1, keepdim=True) + 1)
    share = (wrong + average) / (total + 1)
    return torch.special.ndtri(share.clamp(1e-12, 1 - 1e-12)).clamp(LOWEST, HIGHEST)
