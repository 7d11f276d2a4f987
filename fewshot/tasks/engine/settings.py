"""Settings of the computation of a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from fewshot.tasks.calibration.settings import Calibration


@dataclass(frozen=True)
class Settings:
    """Settings of a cell. Device, threads and progress do not change its rows.

    Attributes
    ----------
    calibration, method, level, calibrator, base_episodes
        ``source``, ``method``, ``level``, ``calibrator`` and ``episodes`` of
        :class:`~fewshot.tasks.calibration.settings.Calibration`.
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
