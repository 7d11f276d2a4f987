"""Calibrators that were fitted on other data sets: storage as JSON, and checks on reading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fewshot.estimators.calibration.calibrated import Steps, check_shots
from fewshot.estimators.calibration.curves import Curve, curve_from_json
from fewshot.estimators.calibration.intervals import GRID, Residuals
from fewshot.estimators.calibration.regimes import (
    MEASURED,
    NUMBERS,
    REGIMES,
    head_of_model,
    regime_of_model,
    with_number,
)
from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path, regular_file
from fewshot.heads import heads as head_registry
from fewshot.heads.base import Head

FORMAT = 2  # 1: the same learning curve for all tasks
SHIPPED = Path(__file__).parent / "general.json"


@dataclass(frozen=True, eq=False)
class Model:
    """Probit regression in one regime, for several numbers of shots.

    Attributes
    ----------
    covariates : tuple of P str
    centre, scale : ndarray of shape (P,)
        Mean and standard deviation that standardise the covariates.
    shots : ndarray of shape (S,)
        Ascending.
    coefficients : ndarray of shape (S, P + 1)
        The intercept first; linear in log shots between rows, constant outside.
    residuals : ndarray of shape (S, len(GRID))
        Quantiles of the standardised residuals.
    """

    covariates: tuple[str, ...]
    centre: NDArray
    scale: NDArray
    shots: NDArray
    coefficients: NDArray
    residuals: NDArray

    def columns(self, x: NDArray, names: tuple[str, ...]) -> NDArray:
        """Its covariates (..., P) among those that are named."""
        return x[..., [names.index(name) for name in self.covariates]]

    def standardise(self, x: NDArray) -> NDArray:
        """Return standardised covariates (..., P)."""
        return (x - self.centre) / self.scale

    def coefficients_at(self, shots: NDArray) -> NDArray:
        """Return coefficients (E, P + 1) at numbers of shots (E,)."""
        return _interpolate(shots, self.shots, self.coefficients)

    def errors_by_class(self, x: NDArray, shots: NDArray) -> NDArray:
        """Return errors (E, N) of the classes, from covariates (E, N, P) and shots (E,)."""
        b = self.coefficients_at(shots)
        errors: NDArray = ndtr(b[:, None, 0] + (self.standardise(x) * b[:, None, 1:]).sum(-1))
        return errors

    def predict(self, x: NDArray, shots: NDArray) -> NDArray:
        """Return errors (E,) of episodes with covariates (E, N, P) and shots (E,)."""
        return self.errors_by_class(x, shots).mean(-1)

    def residuals_at(self, shots: float) -> Residuals:
        """Return residuals interpolated between the neighbouring numbers of shots."""
        return Residuals(_interpolate(np.array([shots]), self.shots, self.residuals)[0])

    def with_row(self, shots: float, coefficients: NDArray, residuals: NDArray) -> Model:
        """Return a copy with the row at `shots` replaced or added."""
        others = self.shots != shots
        order = np.argsort(np.append(self.shots[others], shots))
        return replace(
            self,
            shots=np.append(self.shots[others], shots)[order],
            coefficients=np.vstack([self.coefficients[others], coefficients])[order],
            residuals=np.vstack([self.residuals[others], residuals])[order],
        )

    def between(self, other: Model, share: float) -> Model:
        """The model `share` of the way to another one of the same covariates.

        Coefficients and residuals are mixed, on the scales of this model.
        """
        ratio = self.scale / other.scale
        slopes = other.coefficients[:, 1:] * ratio
        moved = ((self.centre - other.centre) / other.scale * other.coefficients[:, 1:]).sum(-1)
        intercepts = other.coefficients[:, 0] + moved
        same = replace(
            other,
            centre=self.centre,
            scale=self.scale,
            coefficients=np.column_stack([intercepts, slopes]),
        )
        residuals = _interpolate(self.shots, other.shots, other.residuals)
        return replace(
            self,
            coefficients=(1 - share) * self.coefficients + share * same.coefficients_at(self.shots),
            residuals=(1 - share) * self.residuals + share * residuals,
        )


def _interpolate(at: NDArray, places: NDArray, rows: NDArray) -> NDArray:
    x, log_places = np.log(at), np.log(places)
    return np.stack([np.interp(x, log_places, column) for column in rows.T], -1)


@dataclass(frozen=True, eq=False)
class General:
    """Calibrator fitted on several data sets, with its errors on data sets left out of the fit.

    Attributes
    ----------
    models : dict of str to Model
        Models of ``auto``, by regime.
    others : dict of str to dict of str to Steps
        Calibrators of other estimators, by estimator and head.
    curves : dict of str to Curve
        By head: change of the error with more shots.
    space : dict or None
        Backbone, feature kind and normalisation that all data sets share; None if they differ
        (general-purpose).
    fitted_on, left_out : list of dict
        Data sets; and per data set and cell the error of predictions fitted without it.
    notes : str
    """

    models: dict[str, Model]
    others: dict[str, dict[str, Steps]] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    space: dict[str, Any] | None = None
    fitted_on: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    notes: str = ""
    path: str = "general-purpose"

    @property
    def heads(self) -> frozenset[str]:
        """Names of the heads that it was fitted with; empty if the file does not say."""
        named = {str(row["head"]) for row in self.left_out if row.get("head")}
        return frozenset(named | self.curves.keys())

    def fitted_with(self, head: Head) -> bool:
        """Whether it was fitted with heads of this class, or the heads are not recorded."""
        return not self.heads or registered_as(head, self.heads)

    def model(self, regime: str, head: Head | None = None) -> Model:
        """Return the model of a regime; FewshotError if the calibrator has none.

        The one of the very head, if there is one. Calibrators fitted without heads that are not
        linear have that of linear ones for them.
        """
        if regime == "not linear" and regime not in self.models:
            regime = "held out"
        for name, model in self.models.items():
            of_head = head_of_model(name) if regime_of_model(name) == regime else None
            if head is not None and of_head is not None and registered_as(head, [of_head]):
                return model
        if regime not in self.models:
            raise FewshotError(
                "calibrator",
                f"{self.path} was not fitted for {regime!r}; it has {', '.join(self.models)}",
                "Fit it on data sets of that kind, or use the one of the package.",
            )
        return self.models[regime]

    def with_unlabelled(self, regime: str, per_class: float, measured: bool) -> Model | None:
        """The model of a regime with unlabelled images; None if the calibrator has none.

        Parameters
        ----------
        regime : str
        per_class : float
            Unlabelled images over classes; linear in its logarithm between the numbers that were
            fitted, constant outside.
        measured : bool
            Whether they are the images whose error is asked for.
        """
        own = self.models.get(with_number(regime, MEASURED))
        if measured and own is not None:
            return own
        numbers = [n for n in NUMBERS if with_number(regime, n) in self.models]
        if not numbers:
            return None
        models = [self.models[with_number(regime, n)] for n in numbers]
        place = float(np.interp(np.log(max(per_class, 1e-3)), np.log(numbers), range(len(numbers))))
        lower = min(int(place), len(numbers) - 1)
        if place == lower:
            return models[lower]
        return models[lower].between(models[lower + 1], place - lower)

    def steps(self, estimator: str, head: str) -> Steps:
        """Return the calibrators of another estimator; FewshotError if there are none."""
        steps = self.others.get(estimator, {}).get(head)
        if steps is None:
            available = [
                f"{name} with {fitted_head}"
                for name, heads in self.others.items()
                for fitted_head in heads
            ]
            raise FewshotError(
                "calibration.source",
                f"{self.path} has nothing for {estimator!r} with head {head!r}; it has auto and "
                f"{', '.join(available) or 'nothing else'}",
                "Leave that estimator out, or calibrate on base classes.",
            )
        return steps

    def check_space(self, info: Mapping[str, Any]) -> None:
        """Raise FewshotError if features are of another space than the fitted data sets."""
        for key, value in (self.space or {}).items():
            if info.get(key) != value:
                raise FewshotError(
                    "calibrator",
                    f"{self.path} was fitted on features with {key} {value!r}, got "
                    f"{info.get(key)!r}",
                    "Use one that was fitted on these features, or the general-purpose one.",
                )

    def save(self, path: Path) -> None:
        """Write JSON to `path` atomically."""
        content = {
            "kind": "fewshot.calibrator",
            "format": FORMAT,
            "notes": self.notes,
            "space": self.space,
            "models": {name: _to_json(model) for name, model in self.models.items()},
            "others": {
                name: {head: steps.to_json() for head, steps in heads.items()}
                for name, heads in self.others.items()
            },
            "curves": {name: curve.to_json() for name, curve in self.curves.items()},
            "residual_levels": GRID.tolist(),
            "fitted_on": self.fitted_on,
            "left_out": self.left_out,
        }
        with atomic_path(path) as partial:
            partial.write_text(readable(content) + "\n", encoding="utf-8")


def registered_as(head: Head, names: Iterable[str]) -> bool:
    """Whether one of the `names` of the registry of heads makes heads of the class of `head`."""
    known = (name for name in names if name in head_registry)
    return any(type(head) is type(head_registry.create(name)) for name in known)


def readable(content: dict[str, Any]) -> str:
    """Format as JSON with one line for every innermost list or object."""
    text = json.dumps(content, indent=1, ensure_ascii=True)
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda match: re.sub(r"\n\s*", " ", match[0]), text)


def _to_json(model: Model) -> dict[str, Any]:
    rows = {key: np.round(getattr(model, key), 5).tolist() for key in ARRAYS}
    return {"covariates": list(model.covariates), **rows}


ARRAYS = ("centre", "scale", "shots", "coefficients", "residuals")


@lru_cache(maxsize=8)
def _load(path: Path, modified: float) -> General:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("kind") != "fewshot.calibrator":
            raise ValueError("it is not a calibrator")
        if not isinstance(content["format"], int) or content["format"] > FORMAT:
            raise ValueError(f"format {content['format']}; this fewshot knows up to {FORMAT}")
        models = {name: _from_json(name, model) for name, model in content["models"].items()}
        others = {
            name: {head: Steps.from_json(steps) for head, steps in heads.items()}
            for name, heads in content.get("others", {}).items()
        }
        curves = {name: curve_from_json(curve) for name, curve in content.get("curves", {}).items()}
        space = _space(content.get("space"))
        fitted_on = _rows(content, "fitted_on", ("dataset",))
        left_out = _rows(content, "left_out", ())
        if not models:
            raise ValueError("it has no model")
    except json.JSONDecodeError:
        raise FewshotError("calibrator", f"{path} cannot be read: it is not JSON") from None
    except RecursionError:
        raise FewshotError("calibrator", f"{path} cannot be read: nested too deeply") from None
    except KeyError as error:
        raise FewshotError("calibrator", f"{path} cannot be read: it has no {error}") from None
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise FewshotError("calibrator", f"{path} cannot be read: {error}") from None
    return General(
        models,
        others,
        curves,
        space,
        fitted_on,
        left_out,
        str(content.get("notes", "")),
        str(path) if path != SHIPPED else "the general-purpose calibrator",
    )


def _from_json(regime: str, content: dict[str, Any]) -> Model:
    names = tuple(content["covariates"])
    # Earlier calibrators lack the last covariates of some regimes.
    if not names or REGIMES.get(regime_of_model(regime), ())[: len(names)] != names:
        raise ValueError(f"regime {regime!r} with covariates {', '.join(names)} is unknown")
    arrays = {key: np.array(content[key], dtype=np.float64) for key in ARRAYS}
    P, S = len(names), len(arrays["shots"])
    shapes = {
        "centre": (P,),
        "scale": (P,),
        "shots": (S,),
        "coefficients": (S, P + 1),
        "residuals": (S, len(GRID)),
    }
    for key, shape in shapes.items():
        if arrays[key].shape != shape or not np.isfinite(arrays[key]).all():
            raise ValueError(f"{regime}: {key} is not finite numbers of shape {shape}")
    check_shots(arrays["shots"])
    if (arrays["scale"] <= 0).any() or (np.diff(arrays["residuals"]) < 0).any():
        raise ValueError(f"{regime}: a scale is not positive, or residuals do not ascend")
    return Model(names, **arrays)


def _space(content: Any) -> dict[str, str] | None:
    if content is not None and not (isinstance(content, dict) and "backbone" in content):
        raise ValueError("space is neither null nor an object with a backbone")
    return content


def _rows(content: dict[str, Any], key: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = content.get(key, [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and set(names) <= row.keys() for row in rows
    ):
        raise ValueError(
            f"{key} is not a list of objects{' with ' * bool(names)}{', '.join(names)}"
        )
    return rows


def load_general(path: Path | None = None) -> General:
    """Read a calibrator; the package's own by default.

    Raises
    ------
    FewshotError
        The file does not exist, is of a newer format, or is not a valid calibrator.
    """
    path = SHIPPED if path is None else path.expanduser()
    try:
        modified = regular_file("calibrator", path).stat().st_mtime
    except OSError as error:
        raise FewshotError("calibrator", f"{path} cannot be read: {error.strerror}") from None
    return _load(path, modified)
