"""What decides how a cell is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from fewshot.estimators.calibration.intervals import LEVEL


@dataclass(frozen=True)
class Settings:
    """How a cell is computed. Device, threads and progress change no row.

    Attributes
    ----------
    calibration : {"none", "base", "datasets"}
        What raw estimates are corrected by. ``auto`` is always calibrated, on base classes if there
        are any; "base" and "datasets" decide it.
    method : {"offset", "slope", "isotonic"}
        How, on base classes.
    level : float
        Nominal coverage of prediction intervals.
    calibrator : str, optional
        JSON of ``fewshot calibrate`` for "datasets" and ``auto``; the package's own by default.
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
        """What the engine takes."""
        return {"device": self.device, "threads": self.threads}
