"""Sentences on cells of segmentation: how well mIoU was predicted, and what not to believe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import cast

from fewshot.report.text.listed import listed
from fewshot.report.wording import Cell, plain
from fewshot.tasks.segmentation.schema import EstimatorSummary, SegmentationSummary
from fewshot.units import counted, is_number, percent, short_percent

# Shown beside what came true: the first of these that predicted anything, else any but the rest.
MAIN = ("loo_image", "loo_group")
OPTIMISTIC = "resubstitution"
REFERENCES = (OPTIMISTIC, "constant")
TOO_GOOD = 0.05  # resubstitution above the truth by as much is warned of
PREDICTED = "predicted_miou"
MOST = 3  # reservations that are named
LEVEL = 0.9  # of intervals whose level is not recorded


def typed(cell: Cell) -> SegmentationSummary:
    """The cell, of segmentation, by the type of its summary."""
    return cast("SegmentationSummary", cell)


def main_estimator(cell: Cell) -> str | None:
    """Name of the estimator that is shown for a cell; None if none predicted anything."""
    predicting = [
        name for name, row in (typed(cell).get("estimators") or {}).items()
        if is_number(row.get("predicted_miou"))
    ]  # fmt: skip
    first = [name for name in MAIN if name in predicting]
    others = [name for name in predicting if name not in REFERENCES]
    return next(iter([*first, *others]), None)


def main_row(cell: Cell) -> EstimatorSummary | None:
    """Metrics of the main estimator of a cell."""
    name = main_estimator(cell)
    return None if name is None else typed(cell)["estimators"][name]


def of_main(cell: Cell, name: str) -> float | None:
    """A number of the main estimator of a cell; None if there is none."""
    row = main_row(cell)
    return None if row is None else cast("float | None", row.get(name))


def estimators_of(cell: Cell) -> dict[str, EstimatorSummary]:
    """Estimators of a cell by name, the main one first."""
    rows = typed(cell).get("estimators") or {}
    main = main_estimator(cell)
    return {name: rows[name] for name in sorted(rows, key=lambda name: name != main)}


def prediction_text(cells: Sequence[Cell]) -> str:
    """``predicted from the support alone 46.1 % on average, off by 1.8 points; 9 of 10 ...``.

    Of cells that differ in their seed; empty without predictions.
    """
    predicted, mae = (_mean(of_main(cell, name) for cell in cells) for name in (PREDICTED, "mae"))
    if predicted is None:
        return ""
    text = f"predicted from the support alone {percent(predicted)} % on average"
    if mae is not None:
        text += f", off by {percent(mae)} points"
    held = _held_text(cells)
    return f"{text}; {held}" if held else text


def _held_text(cells: Sequence[Cell]) -> str:
    """``9 of 10 intervals (90 %) hold the truth``; a share where it is of no whole number."""
    pairs = [(cell, row) for cell in cells if (row := main_row(cell)) is not None]
    pairs = [(cell, row) for cell, row in pairs if is_number(row.get("coverage"))]
    if not pairs:
        return ""
    levels = {short_percent(row.get("level") or LEVEL) for _, row in pairs}
    level = " or ".join(sorted(levels))
    count = sum(int(cell["episodes"]) for cell, _ in pairs)
    held = sum((row["coverage"] or 0.0) * int(cell["episodes"]) for cell, row in pairs)
    if abs(held - round(held)) > 0.01:  # not every draw has an interval
        return f"{percent(held / count)} % of the {level} intervals hold the truth"
    verb = "holds" if count == 1 else "hold"
    return f"{round(held)} of {counted(count, 'interval')} ({level}) {verb} the truth"


def optimism_lines(cells: Iterable[Cell]) -> list[str]:
    """A warning where heads do much better on the images that they were fitted on."""
    biases = [
        bias
        for cell in cells
        if (row := (typed(cell).get("estimators") or {}).get(OPTIMISTIC))
        if is_number(bias := row.get("bias"))
    ]
    high = [bias for bias in biases if bias >= TOO_GOOD]
    if not high:
        return []
    return [
        f"No head is to be judged on the images that it was fitted on: {OPTIMISTIC} promises "
        f"{_range_text(high)} points of mIoU more than the queries gave."
    ]


def reservation_lines(cells: Sequence[Cell]) -> list[str]:
    """What the main estimator said of its own predictions, or why there are none."""
    counts: dict[str, int] = {}
    asked = {name for cell in cells for name in typed(cell).get("estimators") or {}}
    predicting = dict.fromkeys(name for cell in cells if (name := main_estimator(cell)))
    names = list(predicting) or [name for name in MAIN if name in asked][:1]
    for cell in cells:
        rows = typed(cell).get("estimators") or {}
        row = rows.get(main_estimator(cell) or next(iter(names), ""))
        for text in dict.fromkeys((row.get("reservations") or ()) if row else ()):
            counts[plain(text)] = counts.get(plain(text), 0) + 1
    if not counts:
        return []
    first = sorted(counts, key=lambda text: -counts[text])
    of = f" of {len(cells)}" if len(cells) > 1 else ""
    texts = [
        f"{text} ({counted(counts[text], 'cell')}{of})" if of else text for text in first[:MOST]
    ]
    more = f"; and {len(first) - MOST} more" if len(first) > MOST else ""
    what = "Reservations of" if predicting else "Nothing was predicted from the support by"
    return [f"{what} {listed(names)}: {'; '.join(texts)}{more}."]


def shared(cells: Sequence[Cell], name: str, word: str = "") -> list[str]:
    """A text on what all cells have in common: ``["233 queries"]``; none where they differ."""
    values = {_short(cell.get(name)) for cell in cells}
    if len(values) != 1 or values == {""}:
        return []
    return [plain(f"{values.pop()} {word}".strip())]


def _short(value: object) -> str:
    """A name as it is, a number without needless zeros: ``117``, ``116.3``."""
    return f"{value:.5g}" if isinstance(value, (int, float)) else str(value or "")


def _mean(values: Iterable[float | None]) -> float | None:
    finite = [value for value in values if is_number(value)]
    return fmean(finite) if finite else None


def _range_text(shares: Sequence[float]) -> str:
    """``6.8 to 15.1``."""
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low} to {high}"
