"""Transductive heads on centred features of unit length."""

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.solvers.transforms import centred
from fewshot.testing.gaussians import support_and_query
from fewshot.testing.invariances import (
    batch_equals_loop,
    features_with_gradients,
    padding_among_the_queries,
    padding_is_ignored,
    permutation_of_queries,
    permutation_of_shots,
    queries_set_apart,
    uses_what_it_declares,
)

# Settings that are quick to check.
SETTINGS = {
    "alpha_tim": {"steps": 5},
    "bd_cspn": {},
    "laplacian_shot": {},
    "paddle": {"steps": 20},
    "pt_map": {"steps": 3},
    "soft_kmeans": {},
    "tim": {"steps": 5},
}
CENTERS = ("base", "support", "all", "each")
PRESETS = ("bd_cspn", "laplacian_shot", "pt_map")
CHECKS = (
    batch_equals_loop,
    features_with_gradients,
    padding_among_the_queries,
    padding_is_ignored,
    permutation_of_queries,
    permutation_of_shots,
    queries_set_apart,
    uses_what_it_declares,
)


def variants():
    """Heads with every centre that they know, and with the paper's settings."""
    for name, settings in SETTINGS.items():
        for center in CENTERS:
            if (name, center) != ("pt_map", "base"):
                yield pytest.param(name, settings | {"center": center}, id=f"{name}-{center}")
    for name in PRESETS:
        settings = SETTINGS[name] | {"preset": "paper"}
        yield pytest.param(name, settings, id=f"{name}-paper")


@pytest.mark.parametrize(("name", "settings"), list(variants()))
def test_centred_heads_conform(name, settings):
    for check in CHECKS:
        check(heads.create(name, **settings), "unequal")


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "pt_map"])
def test_centring_comes_before_anything_else(name, center):
    support, query = support_and_query("unequal")
    head = heads.create(name, **SETTINGS[name])
    scores = heads.create(name, **SETTINGS[name], center=center).fit(support).scores(query)
    shots, queries = centred(support, query, center, "head.x")
    torch.testing.assert_close(scores, head.fit(shots).scores(queries))
    assert not torch.allclose(scores, head.fit(support).scores(query))


@pytest.mark.parametrize("name", SETTINGS)
def test_defaults_do_without_base_classes(name):
    support, query = support_and_query("complete")
    support = Support.of(support.features)
    head = heads.create(name, **SETTINGS[name])
    assert "base" not in head.uses
    assert bool(head.fit(support).scores(query).isfinite().all())


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "pt_map"])
def test_the_mean_of_base_classes_takes_base_classes(name):
    support = Support.of(torch.ones(1, 2, 1, 3))
    head = heads.create(name, center="base")
    assert "base" in head.uses
    expected = rf"^head\.{name}\.center: expected base classes .* Mark classes as base, or set"
    with pytest.raises(FewshotError, match=expected):
        head.fit(support)
    with pytest.raises(FewshotError, match=rf"^head\.{name}\.center: expected one of .* 'mean'"):
        heads.create(name, center="mean").fit(support)


@pytest.mark.parametrize("name", ["bd_cspn", "laplacian_shot"])
def test_the_papers_settings_take_base_classes_or_another_centre(name):
    support = Support.of(torch.eye(3)[None, :, None])
    with pytest.raises(FewshotError, match=rf"^head\.{name}\.center: expected base classes"):
        heads.create(name, preset="paper").fit(support)
    head = heads.create(name, preset="paper", center="support")
    assert "base" not in head.uses
    head.fit(support)


def test_power_and_the_mean_of_base_classes_do_not_go_together():
    support = Support.of(torch.ones(1, 2, 1, 3), None, Context(base_mean=torch.zeros(3)))
    with pytest.raises(FewshotError, match=r"^head\.pt_map\.center: expected none, .* power tr"):
        heads.create("pt_map", center="base").fit(support)


@pytest.mark.parametrize("name", ["bd_cspn", "laplacian_shot"])
def test_centring_helps_one_shot_where_all_features_share_a_direction(name):
    """Unit-length features above zero, as after a ReLU, whose common part is most of them."""
    rng = torch.Generator().manual_seed(1)
    means = torch.randn(60, 5, 1, 30, generator=rng)

    def around(number):
        features = means + 1.5 * torch.randn(60, 5, number, 30, generator=rng) + 4.0
        return torch.nn.functional.normalize(features, dim=-1)

    support, query = Support.of(around(1)), Query.of(around(12).flatten(1, 2))
    truth = torch.arange(5).repeat_interleave(12)
    right = [
        (heads.create(name, center=center).fit(support).predict(query) == truth).double().mean(-1)
        for center in ("none", "all")
    ]
    gain = right[1] - right[0]
    assert gain.mean() - 2 * gain.std() / 60**0.5 > 0.005
