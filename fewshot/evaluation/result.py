"""The result of an evaluation as Python shows it."""

from __future__ import annotations

from fewshot.report.text.table import summary_table
from fewshot.results.result import Result


class EvaluationResult(Result):
    """A :class:`~fewshot.results.result.Result` that prints as the table of the terminal.

    Here and not in ``results/``, which holds rows and knows nothing of how they are shown.
    """

    def __repr__(self) -> str:
        return summary_table([self.summary])
