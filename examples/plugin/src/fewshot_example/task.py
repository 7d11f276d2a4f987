"""Margin of an episode's queries between the best and the second best class."""

from typing import Any

import pandas as pd
from torch import Tensor

from fewshot.episodes import EpisodeSet
from fewshot.evaluation.evaluation import Evaluation
from fewshot.features import FeatureBank
from fewshot.heads import Head
from fewshot.results import Result
from fewshot.statistics.populations import mean_interval
from fewshot.tasks.base import Measure, Table
from fewshot.tasks.engine.episodic import EpisodicTask
from fewshot.tasks.engine.scores import map_scores


def mean_margin(scores: Tensor, mask: Tensor) -> Tensor:
    """Mean (E,) of the difference between the two largest probabilities of a query."""
    best = scores.softmax(-1).topk(2, -1).values
    margin = (best[..., 0] - best[..., 1]) * mask
    return margin.sum((1, 2)).double() / mask.sum((1, 2))


class MarginTask(EpisodicTask):
    """How clearly does the best class win?"""

    name = "margin"
    title = "Margin"
    tables = (Table("margin", {"margin": "float64"}),)
    measures = (Measure("margin", table="margin"),)

    def evaluate(
        self,
        bank: FeatureBank,
        episodes: EpisodeSet,
        head: tuple[str, Head],
        evaluation: Evaluation,
        seed: int,
    ) -> Result:
        """A row per episode."""
        values: Any = map_scores(bank, episodes, head[1], mean_margin, evaluation.settings).numpy()
        rows = pd.DataFrame({"episode": range(len(episodes)), "margin": values})
        return Result({"margin": rows}, {"margin": mean_interval(values)})
