"""Tasks: what is asked of episodes. A folder each, found by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from fewshot.exceptions import FewshotError, expect
from fewshot.importing import imported
from fewshot.lazy import lazy
from fewshot.registry import Registry
from fewshot.tasks.base import CELL_COLUMNS, EPISODE, KINDS, Table, Task

if TYPE_CHECKING:
    from fewshot.tasks.base import Entries as Entries
    from fewshot.tasks.base import Measure as Measure
    from fewshot.tasks.calibration import CalibrationPlan as CalibrationPlan
    from fewshot.tasks.calibration import calibration_cells as calibration_cells
    from fewshot.tasks.calibration import fit_calibrator as fit_calibrator
    from fewshot.tasks.calibration import nested_errors as nested_errors
    from fewshot.tasks.calibration.temperatures import ScorePlan as ScorePlan
    from fewshot.tasks.calibration.temperatures import (
        fit_score_calibrator as fit_score_calibrator,
    )
    from fewshot.tasks.calibration.temperatures import score_cells as score_cells
    from fewshot.tasks.classification.forecast.next_labels import NextLabel as NextLabel
    from fewshot.tasks.classification.forecast.next_labels import next_labels as next_labels
    from fewshot.tasks.classification.forecast.suspects import Suspect as Suspect
    from fewshot.tasks.classification.forecast.suspects import suspects as suspects
    from fewshot.tasks.classification.labelling.prediction_sets import (
        fit_prediction_sets as fit_prediction_sets,
    )
    from fewshot.tasks.classification.labelling.probabilities import (
        Probabilities as Probabilities,
    )
    from fewshot.tasks.classification.labelling.probabilities import (
        fit_probabilities as fit_probabilities,
    )
    from fewshot.tasks.classification.labelling.probabilities import (
        score_temperatures as score_temperatures,
    )
    from fewshot.tasks.classification.labelling.review import to_review as to_review
    from fewshot.tasks.engine.base_classes import evaluate_base_classes as evaluate_base_classes
    from fewshot.tasks.engine.base_drawing import draw_base_episodes as draw_base_episodes
    from fewshot.tasks.engine.class_gaussians import fit_text_gaussians as fit_text_gaussians
    from fewshot.tasks.engine.episodes import actual_errors as actual_errors
    from fewshot.tasks.engine.episodes import predicted_errors as predicted_errors
    from fewshot.tasks.engine.episodic import EpisodicTask as EpisodicTask
    from fewshot.tasks.engine.scores import map_scores as map_scores
    from fewshot.tasks.one_class.confusers.cleaning import nearest_names as nearest_names

# Names by the module that has them.
_HOMES = {
    "CalibrationPlan": "calibration",
    "Entries": "base",
    "EpisodicTask": "engine.episodic",
    "Measure": "base",
    "Probabilities": "classification.labelling.probabilities",
    "ScorePlan": "calibration.temperatures",
    "NextLabel": "classification.forecast.next_labels",
    "Suspect": "classification.forecast.suspects",
    "actual_errors": "engine.episodes",
    "calibration_cells": "calibration",
    "draw_base_episodes": "engine.base_drawing",
    "evaluate_base_classes": "engine.base_classes",
    "fit_calibrator": "calibration",
    "fit_prediction_sets": "classification.labelling.prediction_sets",
    "fit_probabilities": "classification.labelling.probabilities",
    "fit_score_calibrator": "calibration.temperatures",
    "fit_text_gaussians": "engine.class_gaussians",
    "map_scores": "engine.scores",
    "nearest_names": "one_class.confusers.cleaning",
    "nested_errors": "calibration",
    "next_labels": "classification.forecast.next_labels",
    "predicted_errors": "engine.episodes",
    "score_cells": "calibration.temperatures",
    "score_temperatures": "classification.labelling.probabilities",
    "suspects": "classification.forecast.suspects",
    "to_review": "classification.labelling.review",
}
__all__ = ["Table", "Task", "known_tasks", "table_columns", "task_named", "tasks", *_HOMES]  # noqa: PLE0604
__getattr__, __dir__ = lazy(__name__, _HOMES)

tasks = Registry("task", "fewshot.tasks")
tasks.add(
    "classification",
    "fewshot.tasks.classification.task:Classification",
    "which of the N classes is this image of?",
)
tasks.add(
    "verification",
    "fewshot.tasks.verification.task:Verification",
    "is this image of class c? One class at a time, the others impostors",
)
tasks.add(
    "open_set",
    "fewshot.tasks.open_set.task:OpenSet",
    "which of the N classes is this image of, or is it of none?",
)
tasks.add(
    "one_class",
    "fewshot.tasks.one_class.task:OneClass",
    "is this image of class c? From its name alone, with a yes or no",
)
tasks.add(
    "segmentation",
    "fewshot.tasks.segmentation.task:Segmentation",
    "which pixels are of which class? From a few annotated images",
)


def task_named(name: str) -> Task:
    """The task of a name, or of ``module:Class``.

    Raises
    ------
    FewshotError
        No such task, one that cannot be imported, or one that is declared wrongly.
    """
    if ":" in str(name):
        return _given(str(name))
    return _created(tasks, str(name))


@cache
def _created(registry: Registry, name: str) -> Task:
    entry = registry[name]
    return _checked(entry.load(), name, entry.origin)


@cache
def _given(target: str) -> Task:
    """A task by ``module:Class``, which is known by its name from then on."""
    loaded = imported(target, "task")
    task = _checked(loaded, None, target)
    if task.name not in tasks:
        tasks.add(task.name, loaded, task.title)
    elif (known := tasks[task.name]).origin != target:
        raise FewshotError(
            "task",
            f"{target} is called {task.name!r}, as is {known.origin}",
            "Give it another name.",
        )
    return task_named(task.name)


@contextmanager
def registered(task: type[Task]) -> Iterator[str]:
    """Register a task under its name for a while, unless it is; the name.

    Raises
    ------
    FewshotError
        It is declared wrongly, or its name is that of another one.
    """
    _checked(task, None, f"{task.__module__}:{task.__qualname__}")
    if task.name in tasks:
        known = tasks[task.name].load()
        expect(known is task, "task", f"{task.name!r} is the name of {known!r}, too")
        yield task.name
        return
    tasks.add(task.name, task, task.title)
    try:
        yield task.name
    finally:
        tasks.remove(task.name)
        _created.cache_clear()


def known_tasks() -> list[Task]:
    """All tasks that can be imported, those of this package first."""
    found = []
    for name in tasks.registered():
        try:
            found.append(task_named(name))
        except FewshotError:  # said where it is asked for
            continue
    return found


def tables() -> dict[str, Table]:
    """The tables of all tasks by name."""
    return {table.name: table for task in known_tasks() for table in task.tables}


def task_of_table(name: str) -> Task:
    """The task that a table is of; a table is of one task only."""
    return next(task for task in known_tasks() if name in {table.name for table in task.tables})


def table_columns(name: str) -> dict[str, str]:
    """Columns of a table of any task, with their types."""
    return task_of_table(name).columns(name)


def _checked(loaded: object, name: str | None, origin: str) -> Task:
    """An instance of a task, after a check of its declaration.

    Raises
    ------
    FewshotError
        One line that says what is declared wrongly.
    """
    if not (isinstance(loaded, type) and issubclass(loaded, Task)):
        raise FewshotError("task", f"{origin}: expected a class derived from fewshot.tasks.Task, "
                           f"got {loaded!r}")  # fmt: skip
    problem = declaration_problem(loaded, name)
    if problem is not None:
        raise FewshotError("task", f"{origin}: {problem}")
    return loaded()


def declaration_problem(task: type[Task], name: str | None = None) -> str | None:
    """What is wrong with the declaration of a task, in one line; None if nothing is."""
    return next(_declaration_problems(task, name), None)


def _declaration_problems(task: type[Task], name: str | None) -> Iterator[str]:
    for attribute in ("name", "title", "tables", "measures", "report"):
        if not getattr(task, attribute, None):
            yield f"expected the attribute {attribute!r}, got none"
            return
    if name is not None and task.name != name:
        yield f"registered as {name!r}, and calls itself {task.name!r}"
    if not task.name.isidentifier():
        yield f"name: expected letters, digits and _, got {task.name!r}"
    for attribute in ("report", "heads", "estimators", "sampling", "source"):
        if ":" not in str(target := getattr(task, attribute)):
            yield f"{attribute}: expected package.module:Class, got {target!r}"
    for table in task.tables:
        for column, kind in {**task.keys, **table.columns}.items():
            if kind not in KINDS:
                yield (
                    f"table {table.name}: column {column!r} has the type {kind!r}, expected one "
                    f"of {', '.join(KINDS)}"
                )
            if column in CELL_COLUMNS or column == EPISODE:
                yield f"table {table.name}: every table has a column {column!r} already"
    names = [table.name for table in task.tables]
    for measure in task.measures:
        if measure.table is not None and measure.table not in names:
            yield f"measure {measure.name}: expected a table of the task, got {measure.table!r}"
