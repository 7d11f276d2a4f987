"""Settings of the computation of a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from fewshot.estimators.calibration.intervals import LEVEL


@dataclass(frozen=True)
class Settings:
    """Settings of a cell. Device, threads and progress do not change its rows.

    Attributes
    ----------
    calibration : {"none", "base", "datasets"}
        Source of the calibration of raw estimates. ``auto`` is always calibrated, on base classes
        if there are any; "base" and "datasets" override that.
    method : {"offset", "slope", "isotonic"}
        Calibration method on base classes.
    level : float
        Nominal coverage of prediction intervals.
    calibrator : str, optional
        JSON of ``fewshot calibrate`` for "datasets" and ``auto``; the packaged file by default.
    base_episodes : int
        Episodes of base classes for the constant baseline and the calibration.
    device : torch.device
    threads : int or None
        None: all cores that the process may use.
    progress : callable, optional
        Called with the number of episodes that were just finished.
    """

    calibration: str = "none"
    method: str = "slope"
    level: float = LEVEL
    calibrator: str | None = None
    base_episodes: int = 300
    device: torch.device = torch.device("cpu")  # noqa: RUF009  a device is immutable
    threads: int | None = None
    progress: Callable[[int], object] | None = None

    @property
    def engine(self) -> dict[str, Any]:
        """Keyword arguments of the engine: device and threads."""
        return {"device": self.device, "threads": self.threads}
