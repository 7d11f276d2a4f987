"""Fit a calibrator on several data sets, with leave-one-data-set-out results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fewshot.estimators.calibration.regimes import (
    NUMBERS,
    ONE_SHOT_ALONE,
    REGIMES,
    SUPPORT_ALONE,
    regime_of_model,
    with_head,
    with_number,
)
from fewshot.estimators.calibration.transferred import General, Model
from fewshot.exceptions import FewshotError, expect
from fewshot.features.bank import FeatureBank
from fewshot.tasks.calibration.cells import (
    USUAL_NUMBER,
    CalibrationPlan,
    Cell,
    calibration_cells,
    halved,
)
from fewshot.tasks.calibration.choosing import space_of
from fewshot.tasks.calibration.learning_curves import fit_curves
from fewshot.tasks.calibration.nested import Ladder, nested_errors
from fewshot.tasks.calibration.regression import fit_regime
from fewshot.tasks.calibration.simple import slope_calibrators

USUAL_WEIGHT = 0.25  # of cells with the usual number of unlabelled images among those with more


def fit_general(
    groups: Mapping[str, Sequence[FeatureBank]],
    plan: CalibrationPlan | None = None,
    notes: str = "",
    progress: Callable[[str], object] = lambda text: None,
) -> General:
    """Fit on groups of banks; a group is one set of images under one or several backbones.

    Half of each bank's classes (or its base/novel split, if it has one) are novel and give
    the episodes; the others serve as base classes, for the regimes that have them.

    Raises
    ------
    FewshotError
        Fewer than three groups: leave-one-out results need three.
    """
    plan = plan or CalibrationPlan()
    _check_group_number(groups)
    cells = calibration_cells(groups, plan, progress)
    return fit_calibrator(cells, groups, plan, notes, nested_errors(groups, plan))


def fit_calibrator(
    cells: list[Cell],
    groups: Mapping[str, Sequence[FeatureBank]],
    plan: CalibrationPlan,
    notes: str = "",
    ladders: Sequence[Ladder] = (),
) -> General:
    """Fit a calibrator on cells of several groups of data sets.

    Parameters
    ----------
    cells : list of Cell
        As from `calibration_cells`; those of other groups are left out.
    groups : mapping of str to sequence of FeatureBank
        The groups to fit on; a group is one set of images under one or several backbones.
    plan : CalibrationPlan
        Its weights by group; the record of the calibrator states the rest.
    notes : str
        Kept in the calibrator's file.
    ladders : sequence of Ladder
        As from `nested_errors`, for learning curves; those of other groups are left out.

    Returns
    -------
    General
        With results of every group left out in turn; ``.save(path)`` keeps it.

    Raises
    ------
    FewshotError
        Fewer than three groups, or a weight of none of them.
    """
    _check_group_number(groups)
    for name in sorted(plan.weights.keys() - groups.keys()):
        raise FewshotError(
            "calibrate", f"no group {name!r} to weigh; there are {', '.join(groups)}"
        )
    cells = _with_weights([cell for cell in cells if cell.group in groups], plan.weights)
    models, left_out = {}, []
    for regime in dict.fromkeys(cell.regime for cell in cells):
        regime_cells = [cell for cell in cells if cell.regime == regime]
        if regime == ONE_SHOT_ALONE:  # a mean over tasks, not over the hard ones among them
            regime_cells = [cell for cell in regime_cells if not cell.confusable]
        if len({cell.group for cell in regime_cells}) >= 3:
            names = REGIMES[regime_of_model(regime)]
            models[regime], rows = fit_regime(names, with_more(regime, regime_cells, cells))
            left_out += rows
        if "risk_means" in REGIMES.get(regime, ()):
            models |= _by_head(regime, regime_cells)
    if not models:
        raise FewshotError("calibrate", "no regime has episodes from three data sets")
    of_supports = [cell for cell in cells if cell.regime in SUPPORT_ALONE and not cell.confusable]
    banks = [bank for members in groups.values() for bank in members]
    described = [
        describe(bank, group, plan) for group, members in groups.items() for bank in members
    ]
    return General(
        models,
        slope_calibrators(of_supports),
        fit_curves([ladder for ladder in ladders if ladder.group in groups], plan.weights),
        _shared_space(banks),
        described,
        left_out,
        notes,
    )


def _by_head(regime: str, cells: list[Cell]) -> dict[str, Model]:
    """A model for every head of a regime: their errors differ by more than their covariates say."""
    models = {}
    for head in dict.fromkeys(cell.head for cell in cells):
        of_head = [cell for cell in cells if cell.head == head]
        if len({cell.group for cell in of_head}) >= 3:
            models[with_head(regime, head)], _ = fit_regime(REGIMES[regime], of_head)
    return models


def with_more(regime: str, cells: list[Cell], every: Sequence[Cell]) -> list[Cell]:
    """The cells of a regime with the largest number of unlabelled images, and of the usual number.

    Few data sets have classes of that size, so that the others are added with less weight. Other
    regimes get their own cells only.
    """
    if regime != with_number(regime_of_model(regime), max(NUMBERS)):
        return cells
    usual = with_number(regime_of_model(regime), USUAL_NUMBER)
    shots = {cell.shots for cell in cells}
    others = [cell for cell in every if cell.regime == usual and cell.shots in shots]
    return [*cells, *(replace(cell, weight=cell.weight * USUAL_WEIGHT) for cell in others)]


def _check_group_number(groups: Mapping[str, Any]) -> None:
    expect(len(groups) >= 3, "calibrate", f"expected three data sets or more, got {len(groups)}")


def _with_weights(cells: list[Cell], weights: Mapping[str, float]) -> list[Cell]:
    return [replace(cell, weight=weights.get(cell.group, 1.0)) for cell in cells]


def describe(bank: FeatureBank, group: str, plan: CalibrationPlan) -> dict[str, Any]:
    """Record of a bank in a fitted calibrator."""
    return {
        "group": group,
        "dataset": bank.info.get("dataset", "features"),
        "backbone": bank.info.get("backbone", "unknown"),
        "images": len(bank),
        "classes": len(bank.classnames),
        "dimensions": bank.dim,
        "features": bank.hash(),
        "weight": plan.weights.get(group, 1.0),
        "episodes": plan.episodes,
        "seed": plan.seed,
    }


def _shared_space(banks: list[FeatureBank]) -> dict[str, Any] | None:
    spaces = [space_of(bank) for bank in banks]
    same = all(space == spaces[0] for space in spaces) and spaces[0]["backbone"] != "unknown"
    return spaces[0] if same else None


__all__ = [
    "CalibrationPlan",
    "Cell",
    "Ladder",
    "calibration_cells",
    "fit_calibrator",
    "fit_general",
    "halved",
    "nested_errors",
]
