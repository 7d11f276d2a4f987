"""Which head on which backbone to take, by the predicted errors."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.estimators.calibration.calibrators import probit
from fewshot.tasks.classification.forecast.forecast import Forecast

# The head that is taken unless another one is clearly better. On half of the groups of images that
# calibrators are fitted on it has the lowest mean error at 2 to 5 shots, and nowhere a much higher
# one than the best.
USUAL = "ridge"
# Difference of probits from which on a lower prediction is clear: predictions of two heads on the
# same images differ by about as much where their errors are the same.
CLEAR = 0.1


def in_order(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """The forecast to take first, then the others by their predicted error.

    On every backbone the usual head is preferred unless another one is predicted to be clearly
    better: the lowest of several predictions that are nearly the same is mostly the luckiest. Of
    the backbones the one with the lowest prediction is taken.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Of heads on one or several backbones.
    """
    by_error = sorted(forecasts, key=lambda entry: entry.error)
    backbones = dict.fromkeys(entry.backbone for entry in by_error)
    best = [_of_backbone([entry for entry in by_error if entry.backbone == b]) for b in backbones]
    taken = min(best, key=lambda entry: entry.error)
    return [taken, *(entry for entry in by_error if entry is not taken)]


def _of_backbone(by_error: Sequence[Forecast]) -> Forecast:
    lowest = by_error[0]
    usual = next((entry for entry in by_error if entry.head == USUAL), lowest)
    near = float(probit(usual.error)) - float(probit(lowest.error)) < CLEAR
    return usual if near else lowest
