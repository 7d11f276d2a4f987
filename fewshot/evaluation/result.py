"""Result of an evaluation with a table as its representation."""

from __future__ import annotations

from fewshot.report.text.table import summary_table
from fewshot.results.result import Result


class EvaluationResult(Result):
    """A :class:`~fewshot.results.result.Result` that prints as the table of the terminal.

    Not in ``results/``, which does not depend on the report.
    """

    def __repr__(self) -> str:
        return summary_table([self.summary])
