"""Settings of predicted errors: the section ``calibration`` of a configuration."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot.estimators.calibration.intervals import LEVEL


@dataclass(frozen=True)
class Calibration:
    """How raw estimates are calibrated.

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
