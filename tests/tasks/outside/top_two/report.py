"""Words and a sentence of the top-two accuracy, in one file outside of fewshot."""

from fewshot.report.tasks import TaskReport


class TopTwoReport(TaskReport):
    """Its own title, question and last sentence; tables, figures and page are those of any task."""

    titles = {"top_two": "top_two"}
    long_titles = {"top_two": "Top-two accuracy"}
    question = "is the class of a query among the two that score highest?"

    def lines(self, evaluated):
        ways = {cell["ways"] for cell, _ in evaluated}
        return [*super().lines(evaluated), f"Top two of {min(ways)} classes: {200 // min(ways)} % by chance."]
