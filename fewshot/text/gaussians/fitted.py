"""Predictors of class Gaussians from text, fitted on base classes, and their files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from scipy.optimize import brentq
from scipy.special import polygamma
from torch import Tensor

from fewshot.exceptions import FewshotError, expect
from fewshot.files import atomic_path, regular_file
from fewshot.text.gaussians.class_gaussians import ClassGaussians
from fewshot.text.gaussians.mixing import Pool
from fewshot.text.gaussians.predictors import predictors
from fewshot.text.gaussians.predictors.base import LEAST, BaseMoments, TextPredictor

FORMAT = 1
HELD_OUT = ("held_out_means", "held_out_log_variances")
SHARED = ("origin", "within", "doubt", "factor")
# Residual variance of predicted means is at least this share of the variance within classes.
LEAST_DOUBT = 1e-3
MOST_FREEDOM = 1e3
RANK = 32


@dataclass(frozen=True, eq=False)
class TextGaussians:
    """A fitted predictor of class Gaussians, with its errors on base classes.

    Attributes
    ----------
    predictor : TextPredictor
    origin, within, doubt, factor, freedom
        As in :class:`~fewshot.text.gaussians.class_gaussians.ClassGaussians`.
    pools : mapping of (covariance, prior) to Pool
    space : dict
        Which features they belong to: see ``feature_space`` in
        ``fewshot.tasks.engine.class_gaussians``.
    classnames : tuple of str
        Base classes.
    record : dict
        Where they were learned: data set, images, texts; JSON types only.
    """

    predictor: TextPredictor
    origin: Tensor
    within: Tensor
    doubt: Tensor
    factor: Tensor
    freedom: float
    pools: Mapping[tuple[str, str], Pool]
    space: Mapping[str, Any] = field(default_factory=dict)
    classnames: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, text: Tensor, held_out: Mapping[int, int] | None = None) -> ClassGaussians:
        """Gaussians of classes with text vectors (C, P), float32.

        Parameters
        ----------
        text : Tensor of shape (C, P)
        held_out : mapping of int to int, optional
            Rows of `text` that are base classes, and their places among the base classes: they
            get what is predicted without them.
        """
        means, logs = self.predictor.predict(text)
        if held_out:
            rows, places = list(held_out), list(held_out.values())
            means[rows] = self.predictor.held_out_means_[places]
            logs[rows] = self.predictor.held_out_log_variances_[places]
        return self.gaussians(means, logs)

    def gaussians(self, means: Tensor, log_variances: Tensor) -> ClassGaussians:
        """``ClassGaussians`` from predicted means and log-variances (C, D)."""
        # The mean of a variance is above the exponential of its mean logarithm.
        variances = (log_variances + _log_spread(self.freedom) / 2).exp()
        variances = variances.clamp(LEAST * self.within, self.within / LEAST)
        shared = {name: getattr(self, name).float() for name in SHARED}
        return ClassGaussians(
            means.float(), variances.float(), freedom=self.freedom, pools=self.pools, **shared
        )

    def save(self, path: Path) -> None:
        """Write a ``.safetensors`` file."""
        from safetensors.torch import save

        tensors = {f"predictor.{key}": tensor for key, tensor in self.predictor.tensors().items()}
        tensors |= {name: getattr(self, name) for name in SHARED}
        tensors |= {name: getattr(self.predictor, f"{name}_").float() for name in HELD_OUT}
        note = {
            "format": FORMAT,
            "predictor": self.predictor.name,
            "parameters": self.predictor.get_params(),
            "freedom": self.freedom,
            "pools": [[*key, asdict(pool)] for key, pool in self.pools.items()],
            "space": dict(self.space),
            "classnames": list(self.classnames),
            "record": dict(self.record),
        }
        with atomic_path(path) as partial:
            stored = {key: tensor.contiguous() for key, tensor in tensors.items()}
            partial.write_bytes(save(stored, metadata={"text_gaussians": json.dumps(note)}))


def load_text_gaussians(path: Path) -> TextGaussians:
    """Read a file of ``TextGaussians.save``.

    Raises
    ------
    FewshotError
        Not a file of ``TextGaussians.save``, or one of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    expect(path.exists(), "text.predictor", f"expected a file, got nothing there: {str(path)!r}")
    regular_file("text.predictor", path, largest=None)
    try:
        with safe_open(str(path), framework="pt") as file:
            note = json.loads((file.metadata() or {})["text_gaussians"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        version = note["format"]
        expect(
            version == FORMAT,
            "text.predictor",
            f"{path} has format {version}, and this version of fewshot reads {FORMAT}",
        )
        predictor = predictors.create(note["predictor"], **note["parameters"])
        prefix = "predictor."
        fitted = {key.removeprefix(prefix): t for key, t in tensors.items() if prefix in key}
        pools = {(kind, prior): Pool(**numbers) for kind, prior, numbers in note["pools"]}
        finite = all(bool(tensor.isfinite().all()) for tensor in tensors.values())
        expect(finite, "text.predictor", f"{path} holds numbers that are not finite")
        predictor.load(fitted)
        for name in HELD_OUT:
            setattr(predictor, f"{name}_", tensors[name].double())
        _check_shapes(tensors, len(note["classnames"]), path)
        return TextGaussians(
            predictor,
            **{name: tensors[name] for name in SHARED},
            freedom=float(note["freedom"]),
            pools=pools,
            space=dict(note["space"]),
            classnames=tuple(note["classnames"]),
            record=note["record"],
        )
    except FewshotError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FewshotError(
            "text.predictor",
            f"{path} is no file of fewshot text fit: {type(error).__name__} {error}",
            "Write it again.",
        ) from None


def _check_shapes(tensors: Mapping[str, Tensor], classes: int, path: Path) -> None:
    dim = len(tensors["origin"])
    fine = all(tensors[name].shape == (dim,) for name in ("within", "doubt"))
    fine &= tensors["factor"].ndim == 2 and len(tensors["factor"]) == dim
    fine &= all(tensors[name].shape == (classes, dim) for name in HELD_OUT)
    expect(fine, "text.predictor", f"{path} holds tensors that do not fit each other")


def residual_variances(held_out: Tensor, moments: BaseMoments) -> Tensor:
    """tau^2 (D,): how far predicted means are from class means, less the noise of the latter.

    Parameters
    ----------
    held_out : Tensor of shape (C, D)
        Predictions of the base classes without themselves.
    """
    noise = moments.pooled * (1 / moments.counts).mean()
    squared = (moments.means - held_out).square().mean(0)
    return (squared - noise).maximum(LEAST_DOUBT * moments.pooled)


def prior_freedom(held_out: Tensor, moments: BaseMoments) -> float:
    """nu: degrees of freedom that a predicted variance is worth.

    The squared residuals of log-variances are those of the prediction and of the sample variances
    (trigamma(f / 2) with f degrees of freedom); under a scaled inverse chi-squared prior the former
    are trigamma(nu / 2). Averaged over dimensions.
    """
    residuals = (moments.log_variances() - held_out).square().mean()
    noise = polygamma(1, ((moments.counts - 1) / 2).numpy()).mean()
    excess = float(residuals) - float(noise)
    least = float(polygamma(1, MOST_FREEDOM / 2))
    if excess <= least:
        return MOST_FREEDOM
    return float(brentq(lambda nu: polygamma(1, nu / 2) - excess, 1e-2, MOST_FREEDOM))


def main_directions(covariance: Tensor, rank: int = RANK) -> Tensor:
    """Factor F (D, R) such that F F' is the main part of a covariance (D, D).

    Principal components of the correlations, less the mean of the eigenvalues that are left over
    (Tipping and Bishop, "Probabilistic Principal Component Analysis", JRSS B 1999), so that what
    remains for the diagonal is positive.
    """
    variances = covariance.diagonal()
    deviation = variances.clamp_min(LEAST * variances.mean()).sqrt()
    values, vectors = torch.linalg.eigh(covariance / deviation / deviation[:, None])
    rank = max(1, min(rank, len(values) // 4))
    rest = values[:-rank].mean() if rank < len(values) else values.new_zeros(())
    return deviation[:, None] * vectors[:, -rank:] * (values[-rank:] - rest).clamp_min(0).sqrt()


def _log_spread(freedom: float) -> float:
    """Variance of the logarithm of a variance around its prediction, at most 2."""
    return min(2.0, float(polygamma(1, freedom / 2))) if math.isfinite(freedom) else 0.0
