"""Settings of the computation of a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from fewshot.estimators.calibration.intervals import LEVEL


@dataclass(frozen=True)
class Calibration:
    """The section ``calibration`` of a configuration: how raw estimates are calibrated.

    Attributes
    ----------
    source : {"none", "base", "datasets"}
        "none": the estimator auto calibrates itself, on base classes if there are any, and the
        others stay raw; "base": all, on base-class episodes; "datasets": all, by what was learned
        on other data sets.
    method : {"slope", "offset", "isotonic"}
        How raw estimates are calibrated on base classes.
    level : float in (0, 0.99]
        Nominal coverage of prediction intervals.
    calibrator : str, optional
        JSON that ``fewshot calibrate`` wrote, for "datasets" and the estimator auto; None: the
        general-purpose one of the package.
    episodes : int >= 1
        Episodes of base classes, for the baseline constant and for calibration.
    """

    source: str = "none"
    method: str = "slope"
    level: float = LEVEL
    calibrator: str | None = None
    episodes: int = 300


@dataclass(frozen=True)
class Settings:
    """Settings of a cell. Device, threads and progress do not change its rows.

    Attributes
    ----------
    calibration, method, level, calibrator, base_episodes
        ``source``, ``method``, ``level``, ``calibrator`` and ``episodes`` of
        :class:`Calibration`.
    device : torch.device
    threads : int or None
        None: all cores that the process may use.
    progress : callable, optional
        Called with the number of episodes that were just finished.
    """

    calibration: str = Calibration.source
    method: str = Calibration.method
    level: float = Calibration.level
    calibrator: str | None = Calibration.calibrator
    base_episodes: int = Calibration.episodes
    device: torch.device = torch.device("cpu")  # noqa: RUF009  a device is immutable
    threads: int | None = None
    progress: Callable[[int], object] | None = None

    @property
    def engine(self) -> dict[str, Any]:
        """Keyword arguments of the engine: device and threads."""
        return {"device": self.device, "threads": self.threads}
