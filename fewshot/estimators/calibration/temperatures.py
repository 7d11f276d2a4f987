"""Temperatures of heads from their shots, with coefficients learned on other data sets."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.estimators.calibration.transferred import readable, registered_as
from fewshot.estimators.held_out import stratified_scores
from fewshot.estimators.probabilities import fit_temperature, matched_temperature, shot_margins
from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path, regular_file
from fewshot.heads.base import Head, Support

FORMAT = 1
SHIPPED = Path(__file__).parent / "probabilities.json"
OTHERS = "others"  # coefficients of heads that have none
# Predicted errors are kept in this range, the upper end a share of that of guessing: no image has a
# probability of one, or less than that of guessing.
LEAST_ERROR, MOST_ERROR = 0.002, 0.98
FARTHEST = 5.0  # of logarithms of ratios of temperatures
TERMS = ("constant", "ways", "matched", "likely")
USUAL_WAYS, MOST_WAYS = 5, 20  # more ways than were fitted count as the most of these


class ScoreEvidence(NamedTuple):
    """What the shots show of the scale of a head's scores.

    Attributes
    ----------
    unit : Tensor of shape (E,), float64
        Mean margin of the shots under the head that was fitted on them, in units of its scores.
    covariates : Tensor of shape (E, 3), float64
        Logarithms of ratios: ways, at most twenty, over five; the temperature at which held-out
        shots are as confident as the head is predicted to be right, over the unit; and the most
        likely temperature of held-out shots, over that one. The last two are 0 where no shot can be
        held out.
    shots : Tensor of shape (E,), float64
        Harmonic mean over the classes.
    error : Tensor of shape (E,), float64
        Predicted share of wrong labels, within its range.
    """

    unit: Tensor
    covariates: Tensor
    shots: Tensor
    error: Tensor


def score_evidence(support: Support, head: Head, error: Tensor) -> ScoreEvidence:
    """Evidence of a head that is fitted on `support`, with predicted errors (E,)."""
    counts = support.counts.double()
    ways = counts.shape[1]
    error = error.double().clamp(LEAST_ERROR, MOST_ERROR * (1 - 1 / ways))
    unit = shot_margins(head, support)
    held = support.mask & (support.counts > 1)[..., None]
    some = held.flatten(1).any(-1)
    columns = torch.zeros((len(unit), 3), dtype=torch.float64, device=unit.device)
    columns[:, 0] = math.log(min(ways, MOST_WAYS) / USUAL_WAYS)
    if bool(some.any()):
        scores = stratified_scores(head, support).flatten(1, 2)
        labels = torch.arange(ways, device=held.device)[:, None].expand(held.shape[1:]).flatten()
        weights = held / held.sum(-1, keepdim=True).clamp_min(1)
        weights = (weights / weights.sum((1, 2), keepdim=True).clamp_min(1)).flatten(1)
        matched = matched_temperature(scores, weights, 1 - error)
        likely = fit_temperature(scores, labels, held.flatten(1))
        ratios = torch.stack([(matched / unit).log(), (likely / matched).log()], -1)
        columns[some, 1:] = ratios.clamp(-FARTHEST, FARTHEST)[some]
    return ScoreEvidence(unit, columns, 1 / (1 / counts).mean(-1), error)


@dataclass(frozen=True, eq=False)
class Temperatures:
    r"""Coefficients of one head: temperature and shrinkage from `ScoreEvidence`.

    .. math::
        \log T = \log u + a + w \log(N / 5) + b \log(T_m / u) + c \log(T_l / T_m),
        \qquad \lambda = d \cdot e

    with the unit u, the temperature T_m that matches the predicted error e, and the most likely one
    T_l. All but u are free of units, so that T follows the scores.

    Attributes
    ----------
    shots : ndarray of shape (S,)
        Ascending, from 1.
    coefficients : ndarray of shape (S, 4)
        a, w, b and c; linear in log shots between rows, constant outside. b = c = 0 at one shot.
    floors : ndarray of shape (S,)
        d, in [0, 1].
    """

    shots: NDArray
    coefficients: NDArray
    floors: NDArray

    def of(self, evidence: ScoreEvidence) -> tuple[Tensor, Tensor]:
        """Temperatures and shrinkage, both (E,), float64."""
        constant, *slopes, floor = self.at(evidence.shots)
        logarithm = constant + (torch.stack(slopes, -1) * evidence.covariates).sum(-1)
        return evidence.unit * logarithm.exp(), floor * evidence.error

    def at(self, shots: Tensor) -> Tensor:
        """Coefficients and floors (5, E) at numbers of shots (E,)."""
        x, places = np.log(shots.cpu().numpy()), np.log(self.shots)
        columns = [*self.coefficients.T, self.floors]
        return torch.from_numpy(np.stack([np.interp(x, places, column) for column in columns])).to(
            shots.device
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "shots": self.shots.tolist(),
            "coefficients": np.round(self.coefficients, 4).tolist(),
            "floors": np.round(self.floors, 4).tolist(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Temperatures:
        """Read and check; ValueError with what is wrong."""
        shots, rows, floors = (
            np.array(content[key], dtype=float) for key in ("shots", "coefficients", "floors")
        )
        if shots.ndim != 1 or not shots.size or shots[0] != 1 or (np.diff(shots) <= 0).any():
            raise ValueError("shots do not ascend from 1")
        if rows.shape != (len(shots), len(TERMS)) or floors.shape != shots.shape:
            raise ValueError(f"expected {len(TERMS)} coefficients and a floor per number of shots")
        if not np.isfinite(rows).all() or not ((floors >= 0) & (floors <= 1)).all():
            raise ValueError("a coefficient is not finite, or a floor outside of [0, 1]")
        return cls(shots, rows, floors)


@dataclass(frozen=True, eq=False)
class ScoreCalibrator:
    """Coefficients of several heads, and where they are from.

    Attributes
    ----------
    heads : dict of str to Temperatures
        By name in the registry of heads, and ``others``.
    fitted_on, left_out : list of dict
        Data sets; and per group and head how well probabilities that were fitted without it did.
    notes : str
    """

    heads: dict[str, Temperatures]
    fitted_on: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    notes: str = ""

    def name_of(self, head: Head) -> str:
        """Name of the coefficients of a head: that of its class, or ``others``."""
        names = (name for name in self.heads if name != OTHERS and registered_as(head, [name]))
        return next(names, OTHERS)

    def temperatures(self, head: Head) -> Temperatures:
        """Coefficients of a head, of any where it has none."""
        return self.heads[self.name_of(head)]

    def save(self, path: Path) -> None:
        """Write JSON to `path` atomically."""
        content = {
            "kind": "fewshot.probabilities",
            "format": FORMAT,
            "notes": self.notes,
            "terms": list(TERMS),
            "heads": {name: entry.to_json() for name, entry in self.heads.items()},
            "fitted_on": self.fitted_on,
            "left_out": self.left_out,
        }
        with atomic_path(path) as partial:
            partial.write_text(readable(content) + "\n", encoding="utf-8")


def load_score_calibrator(path: Path | None = None) -> ScoreCalibrator:
    """The coefficients that ship with the package, or those of a file.

    Raises
    ------
    FewshotError
        A file that is not there, or is no such file.
    """
    path = SHIPPED if path is None else path.expanduser()
    try:
        modified = regular_file("probabilities", path).stat().st_mtime
    except OSError as error:
        raise FewshotError("probabilities", f"{path} cannot be read: {error.strerror}") from None
    return _load(path, modified)


@lru_cache(maxsize=8)
def _load(path: Path, modified: float) -> ScoreCalibrator:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("kind") != "fewshot.probabilities":
            raise ValueError("it has no coefficients of temperatures")
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}; this fewshot knows {FORMAT}")
        heads = {name: Temperatures.from_json(row) for name, row in content["heads"].items()}
        if OTHERS not in heads:
            raise ValueError(f"it has no coefficients of {OTHERS}")
    except KeyError as error:
        raise FewshotError("probabilities", f"{path} cannot be read: it has no {error}") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FewshotError("probabilities", f"{path} cannot be read: {error}") from None
    return ScoreCalibrator(
        heads, content.get("fitted_on", []), content.get("left_out", []), content.get("notes", "")
    )
