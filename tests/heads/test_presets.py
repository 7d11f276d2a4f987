"""Settings of the paper by one name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import Head, Query, heads
from fewshot.heads.presets import with_preset
from fewshot.testing.gaussians import support_and_query

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


WITH_PRESET = [
    name for name in heads if "preset" in inspect.signature(heads[name].load()).parameters
]


def test_transductive_heads_whose_defaults_are_not_the_papers_have_a_preset() -> None:
    eight = {"tim", "alpha_tim", "bd_cspn", "laplacian_shot", "pt_map", "paddle", "soft_kmeans",
             "em_dirichlet"}  # fmt: skip
    assert eight <= set(WITH_PRESET)


@pytest.mark.parametrize("name", WITH_PRESET)
def test_a_preset_is_its_settings(name: str) -> None:
    """As many steps as the paper has take long: where the head has a number of them, it is 3."""
    kind = heads[name].load()
    paper = importlib.import_module(kind.__module__).PAPER
    few = {"steps": 3} if "steps" in inspect.signature(kind).parameters else {}
    support, query = support_and_query("one shot")
    named, spelt = heads.create(name, **few, preset="paper"), heads.create(name, **paper | few)
    assert named.uses == spelt.uses
    scores = named.fit(support).scores(query)
    assert torch.equal(scores, spelt.fit(support).scores(query))
    with pytest.raises(FewshotError, match=rf"^head\.{name}\.preset: expected one of .* 'papers'"):
        heads.create(name, preset="papers").fit(support)
