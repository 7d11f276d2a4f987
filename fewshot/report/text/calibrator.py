"""A calibrator as text: data sets of the fit, and figures on data sets left out of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fewshot.report.wording import plain
from fewshot.units import percent

if TYPE_CHECKING:
    from fewshot.estimators.calibration.transferred import General


def calibrator_text(calibrator: General) -> str:
    """Data sets of the fit, and a table of figures on left-out data sets by regime and shots."""
    names = [
        f"{plain(dataset['dataset'])} ({plain(dataset.get('backbone'))})"
        for dataset in calibrator.fitted_on
    ]
    space = calibrator.space
    fits = "any backbone" if space is None else f"features of {plain(space['backbone'])} only"
    lines = [f"For {fits}. Fitted on {', '.join(names)}.", ""]
    header = ["what is given", "head", "shots", "error", "MAE", "constant", "loo", "coverage"]
    lines += _aligned([header, *_rows(calibrator.left_out)])
    lines += [
        "",
        "Means over data sets, each left out of the fit in turn, in %. constant: mean error of",
        "base classes of the same data set. coverage: of the 90 % interval.",
    ]
    return "\n".join(lines)


def _rows(left_out: Sequence[dict[str, Any]]) -> list[list[str]]:
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in left_out:
        key = (str(row.get("regime")), row.get("head"), row.get("shots"))
        cells.setdefault(key, []).append(row)
    made = []
    for (regime, head, shots), rows in cells.items():
        means = [_mean(rows, key) for key in ("actual", "mae", "mae_constant", "mae_loo")]
        coverage = percent(_mean(rows, "coverage"), digits=0)
        made.append([regime, plain(head), str(shots), *map(percent, means), coverage])
    return made


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float | None:
    """Mean over groups of their means, in which all backbones and ways have equal weight."""
    groups: dict[Any, list[float]] = {}
    for row in rows:
        if row.get(key) is not None:
            groups.setdefault(row.get("group"), []).append(row[key])
    return fmean(fmean(values) for values in groups.values()) if groups else None


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if i < 2 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
