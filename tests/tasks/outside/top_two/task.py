"""Top-two accuracy of an episode's queries, in one folder outside of fewshot."""

import pandas as pd
import torch

from fewshot.exceptions import FewshotError
from fewshot.results.result import Result
from fewshot.statistics.populations import mean_interval
from fewshot.tasks.base import Measure, Table
from fewshot.tasks.engine.episodic import EpisodicTask
from fewshot.tasks.engine.scores import map_scores


def top_two(scores, mask):
    """Share (E,) of queries whose class is among the two with the largest scores."""
    ways = scores.shape[-1]
    best = scores.topk(2, -1).indices
    right = (best == torch.arange(ways, device=scores.device)[:, None, None]).any(-1) & mask
    return right.sum((1, 2)).double() / mask.sum((1, 2))


class TopTwo(EpisodicTask):
    """Is the class of a query among the two that score highest?"""

    name = "top_two"
    title = "Top two"
    tables = (Table("top_two", {"top_two": "float64"}),)
    measures = (Measure("top_two", table="top_two"),)
    report = "top_two.report:TopTwoReport"

    def evaluate(self, bank, episodes, head, evaluation, seed):
        if episodes.ways < 3:
            raise FewshotError("episodes.ways", f"expected 3 or more, got {episodes.ways}")
        values = map_scores(bank, episodes, head[1], top_two, evaluation.settings).numpy()
        rows = pd.DataFrame({"episode": range(len(episodes)), "top_two": values})
        return Result({"top_two": rows}, {"top_two": mean_interval(values)})
