"""What every task must do: a small run of it, its rows, its keys, and what people read of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from fewshot.api import evaluate
from fewshot.config.nodes import parameters_of
from fewshot.evaluation.results import Results
from fewshot.exceptions import FewshotError
from fewshot.report import markdown_table, render_report, summary_table
from fewshot.report.tasks import report_of
from fewshot.results.result import check_rows
from fewshot.tasks import declaration_problem, registered, task_named
from fewshot.tasks.base import Task, identity_of
from fewshot.testing.check import Check, Pairs, pairs, require, run

# Classes of the data, of which the first half is base; images of each, dimensions.
CLASSES, IMAGES, D = 20, 14, 16
SMALL: dict[str, Any] = {"ways": 4, "shots": (1, 2), "queries": 3, "episodes": 6}
HEADS = ("ncm", "lda", "zero_shot", "text_gaussian")


def check_task(task: Task | type[Task] | str) -> None:
    """Check that a task declares what it does, and that its runs are found again and shown.

    Parameters
    ----------
    task : Task, type or str
        An object or a class derived from `Task`, a name of ``fewshot list tasks``, or a
        ``module:Class``. A class that is not registered is so during the check.

    Raises
    ------
    AssertionError
        One line: the check, what is expected and what came.
    """
    run(class_of(task), task_checks())


def class_of(task: Task | type[Task] | str) -> type[Task]:
    """Class of a task, from whatever names it."""
    if isinstance(task, str):
        return type(task_named(task))
    return task if isinstance(task, type) else type(task)


def task_checks() -> Pairs:
    """Names and checks; a check is called with a class derived from `Task`."""
    return pairs(Check(function.__name__, function) for function in CHECKS)


def _arrays(seed: int = 0) -> dict[str, Any]:
    """Features, labels, parts of the classes and text vectors, of classes that are Gaussians."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), IMAGES)
    means = 2 * rng.normal(size=(CLASSES, D))
    text = means + rng.normal(size=(CLASSES, D))
    parts = np.array(["base"] * (CLASSES // 2) + ["novel"] * (CLASSES - CLASSES // 2))
    return {
        "features": (means[labels] + rng.normal(size=(len(labels), D))).astype(np.float32),
        "labels": labels,
        "split": parts[labels],
        "classnames": [f"class {number}" for number in range(CLASSES)],
        "text": (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32),
    }


@contextmanager
def _evaluated(task: type[Task]) -> Iterator[Any]:
    """A function that evaluates the task on little, with whatever arguments differ."""
    report_of.cache_clear()  # a task of the name may have been another class
    with registered(task) as name, tempfile.TemporaryDirectory() as folder:
        heads = _able_heads(task)
        settings = {"head": heads, "estimators": ["margin"], "seed": 0, "threads": 1} | SMALL
        options = _options(task_named(name))

        def made(data: int = 0, store: bool = False, **changes: Any) -> Results:
            place = {"runs": folder, "policy": "only-missing"} if store else {}
            arguments = _arrays(data) | settings | place | changes
            results = evaluate(task=name, options=options, **arguments)
            failed = next((cell["error"] for cell in results.run.get("failed") or ()), None)
            require(failed is None, f"expected no cell to fail, got {failed}")
            require(bool(results.cells), "expected a cell per head and number of shots, got none")
            if store:
                results.save(folder)
            return results

        yield made


def _able_heads(task: type[Task]) -> list[str]:
    """Two heads that the task takes."""
    from fewshot.heads import heads

    able, refusal = [], ""
    for name in HEADS:
        try:
            task().check_head(name, heads.create(name))
        except FewshotError as error:
            refusal = str(error)
        else:
            able.append(name)
    require(bool(able), f"expected it to take one of {', '.join(HEADS)}: {refusal}")
    return able[:2]


def _options(task: Task) -> dict[str, Any]:
    """Default settings of the task."""
    options: dict[str, Any] = {}
    for section in task.sections:
        place = options
        for name in section.name.split(".")[1:]:
            place = place.setdefault(name, {})
        place |= parameters_of(section).defaults
    return options


def declaration(task: type[Task]) -> None:
    """Name, title, tables, measures and report, each of the kind it has to be."""
    require(
        isinstance(task, type) and issubclass(task, Task),
        f"expected a class derived from fewshot.tasks.Task, got {task!r}",
    )
    problem = declaration_problem(task)
    require(problem is None, str(problem))
    require(
        all(isinstance(measure.name, str) and measure.name for measure in task.measures),
        "expected measures with names",
    )


def rows_are_as_declared(task: type[Task]) -> None:
    """Tables with the columns, types and numbers of rows of the declaration, for every cell."""
    with _evaluated(task) as made:
        for cell in made().cells:
            known = task()
            check_rows(known, cell)
            require(cell.summary.get("task") == task.name, "expected `task` in every summary")
            main = known.measures[0]
            parts = list(known.entries(cell.summary, main.name))
            values = [known.value(part, main.name) for part in parts]
            require(
                any(value is not None for value in values),
                f"expected the main measure {main.name!r} in the summary of a cell",
            )


def repeatable(task: type[Task]) -> None:
    """The same rows and keys twice."""
    with _evaluated(task) as made:
        first, again = made(), made()
        _require_same_rows(first, again, "expected the same rows twice")
        require(_keys(first) == _keys(again), "expected the same keys twice, got others")


def keys_know_their_causes(task: type[Task]) -> None:
    """Each cell has a key of its own; other seeds, ways and features have others."""
    with _evaluated(task) as made:
        results = made()
        keys = _keys(results)
        require(all(keys), "expected a `key` in the summary of every cell")
        require(len(set(keys)) == len(keys), "expected a key per head and number of shots")
        others = {"seed": {"seed": 1}, "ways": {"ways": 3}, "features": {"data": 1}}
        for cause, changes in others.items():
            other = made(**changes)
            if cause != "features" and _identities(task, other) == _identities(task, results):
                continue  # the task has no use for it
            same = set(keys) & set(_keys(other))
            require(not same, f"expected other keys with other {cause}, got the same")


def cells_are_found_again(task: type[Task]) -> None:
    """Cells of an earlier run are taken from it, with equal rows."""
    with _evaluated(task) as made:
        first, again = made(store=True), made(store=True)
        taken = [cell.summary.get("reused_from") for cell in again.cells]
        require(
            None not in taken, "expected all cells from the earlier run, got some computed again"
        )
        _require_same_rows(first, again, "expected stored rows to be read as they were")


def report_renders(task: type[Task]) -> None:
    """The table of the terminal, that of Markdown, and the page, with the title and the heads."""
    with _evaluated(task) as made:
        results = made()
        cells = [cell.summary for cell in results.cells]
        report_of(task.name)
        head = str(cells[0]["head"])
        texts = {
            "table": summary_table(cells),
            "table in Markdown": markdown_table(cells),
            "page": render_report(results.run, results.tables),
        }
        for kind, text in texts.items():
            require(head in text, f"expected the {kind} to name the head {head!r}")


def _identities(task: type[Task], results: Results) -> list[tuple[Any, ...]]:
    return [identity_of(cell.summary, task.keys) for cell in results.cells]


def _keys(results: Results) -> list[str]:
    return [str(cell.summary.get("key") or "") for cell in results.cells]


def _require_same_rows(first: Results, second: Results, problem: str) -> None:
    require(first.tables.keys() == second.tables.keys(), f"{problem}, got other tables")
    for name, rows in first.tables.items():
        others = second.tables[name]
        try:
            pd.testing.assert_frame_equal(_comparable(rows), _comparable(others), check_dtype=False)
        except (AssertionError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise AssertionError(f"{problem}, got a difference in {name}: {reason}") from None


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns in alphabetical order; a missing text is None, stored or not."""
    ordered = rows[sorted(rows.columns)]
    texts = ordered.select_dtypes(exclude="number").columns
    return ordered.assign(
        **{name: ordered[name].astype(object).where(ordered[name].notna(), None) for name in texts}
    )


CHECKS = (
    declaration,
    rows_are_as_declared,
    repeatable,
    keys_know_their_causes,
    cells_are_found_again,
    report_renders,
)
