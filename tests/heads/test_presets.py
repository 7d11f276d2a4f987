"""Settings of the paper by one name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import Head, Query
from fewshot.heads.presets import with_preset

PAPER = {"steps": 20, "center": "base"}


class Iterated(Head):
    """A head with a preset; it is never fitted."""

    def __init__(self, steps: int = 10, center: str = "none", preset: Any = "none") -> None:
        self.steps = steps
        self.center = center
        self.preset = preset

    def fit(self, support: Any) -> Iterated:
        return self

    def scores(self, query: Query) -> torch.Tensor:
        return query.features


def test_the_preset_takes_the_place_of_defaults_only() -> None:
    chosen = with_preset(Iterated(steps=5, preset="paper"), PAPER, "head.iterated")
    assert chosen.get_params() == {"steps": 5, "center": "base", "preset": "none"}


def test_presets_beside_the_papers() -> None:
    quick = {"steps": 2}
    chosen = with_preset(Iterated(preset="quick"), PAPER, "head.iterated", quick=quick)
    assert chosen.get_params() == {"steps": 2, "center": "none", "preset": "none"}
    with pytest.raises(FewshotError, match=r"head\.iterated\.preset: .* 'quick', got 'slow'"):
        with_preset(Iterated(preset="slow"), PAPER, "head.iterated", quick=quick)


def test_without_a_preset_the_head_stays() -> None:
    head = Iterated()
    assert with_preset(head, PAPER, "head.iterated") is head


def test_another_preset_is_refused() -> None:
    with pytest.raises(FewshotError, match=r"head\.iterated\.preset.*paper"):
        with_preset(Iterated(preset="papers"), PAPER, "head.iterated")


def test_queries_set_apart_and_padding_teach_nothing() -> None:
    mask = torch.tensor([[True, True, False]])
    learn = torch.tensor([[True, False, True]])
    query = Query.of(torch.zeros(1, 3, 2), mask, learn)
    assert query.learning_mask.tolist() == [[True, False, False]]
    assert Query.of(query.features, mask).learning_mask is mask


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(FewshotError, match=r"query\.learn_from: expected bool of shape \(1, 3\)"):
        Query.of(torch.zeros(1, 3, 2), learn_from=torch.ones(1, 2, dtype=torch.bool))
