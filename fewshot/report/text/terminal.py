"""What a command prints of results: the answer, the table, and what else there is to see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from fewshot.report.answer import Part, answer, answer_text, evaluated_cells
from fewshot.report.tasks import cells_by_task, report_of
from fewshot.report.text.table import summary_table
from fewshot.report.wording import Cell
from fewshot.units import counted

if TYPE_CHECKING:
    import pandas as pd

Estimators = Literal["recommended", "all"]  # of the table
RECOMMENDED: Estimators = "recommended"
CHOICES: tuple[Estimators, ...] = get_args(Estimators)
# Most cells for which the table is printed; of more, the page and `fewshot results` are easier to
# read.
MOST_PRINTED = 100


def brief_answer(
    cells: Iterable[Cell], rows: Mapping[str, pd.DataFrame], aside: int = 0
) -> list[Part]:
    """The few sentences that stand above the table; `aside` is as in `answer`."""
    return answer(evaluated_cells(cells, rows), aside, brief=True)


def terminal_text(
    parts: Sequence[Part],
    cells: Sequence[Cell],
    *,
    estimators: Estimators = RECOMMENDED,
    how: str = "fewshot report RUN --estimators all",
    explained: bool = True,
) -> str:
    """The answer and the table below it.

    Parameters
    ----------
    parts : sequence of Part
        Of `brief_answer`.
    cells : sequence of dict
    estimators : {"recommended", "all"}
        Whether the table has the recommended estimator alone where a cell has it.
    how : str
        What to type for all estimators.
    explained : bool
        Whether a legend explains the columns.
    """
    blocks = [answer_text(parts)] if parts else []
    if len(cells) > MOST_PRINTED:
        return "\n\n".join([*blocks, f"The table of {counted(len(cells), 'cell')} is on the page."])
    shown, others = recommended_cells(cells) if estimators == RECOMMENDED else (cells, [])
    blocks.append(summary_table(shown, explained=explained))
    if others:
        blocks.append(f"{counted(len(others), 'more estimator')}: {how}")
    return "\n\n".join(blocks)


def recommended_cells(cells: Iterable[Cell]) -> tuple[list[Cell], list[str]]:
    """Cells with the estimators alone that are shown unasked, and names of all others."""
    chosen: list[Cell] = []
    others: dict[str, None] = {}
    for task, group in cells_by_task(cells).items():
        shown, names = report_of(task).recommended(group)
        chosen += shown
        others |= dict.fromkeys(names)
    return chosen, list(others)
