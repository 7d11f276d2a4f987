"""Words and a sentence of the top-two accuracy, in one file outside of fewshot."""

from typing import ClassVar

from fewshot.report.tasks import TaskReport


class TopTwoReport(TaskReport):
    """Its own titles, question and last sentence; the rest is as of any task."""

    titles: ClassVar = {"top_two": "top_two"}
    long_titles: ClassVar = {"top_two": "Top-two accuracy"}
    question = "is the class of a query among the two that score highest?"

    def lines(self, evaluated):
        ways = min(cell["ways"] for cell, _ in evaluated)
        return [*super().lines(evaluated), f"By chance {200 / ways:.0f} % are right."]
