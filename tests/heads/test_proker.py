"""ProKeR against the paper's formula, one episode at a time, and its search against refitting."""

import pytest
import torch
from torch.nn.functional import normalize

from fewshot.exceptions import FewshotError
from fewshot.heads import proker
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.proker import GRIDS, IMAGENET, ProKeR
from fewshot.heads.solvers.selection import loss_of
from fewshot.heads.zero_shot import ZeroShot

E, N, K, D, SCALE = 3, 4, 5, 10, 30.0


def draw(shots=K, equal=False, text_noise=1.0):
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(E, N, 1, D, generator=generator, dtype=torch.float64)
    features = means + torch.randn(E, N, shots, D, generator=generator, dtype=torch.float64)
    text = torch.randn(E, N, D, generator=generator, dtype=torch.float64) * text_noise
    queries = means + torch.randn(E, N, 6, D, generator=generator, dtype=torch.float64)
    mask = torch.ones(E, N, shots, dtype=torch.bool)
    if not equal:
        mask[1, 0, 2:] = mask[2, 3, 1:] = False
    context = Context(normalize(means[:, :, 0] + text, dim=-1), SCALE)
    return Support.of(features, mask, context), Query.of(queries.flatten(1, 2))


def slow_proker(images, labels, text, queries, beta, lmbda):
    """Scores (T, N), in cosines."""

    def kernel(first, second):
        return torch.tensor([[float(x @ y) for y in second] for x in first]).sub(1).mul(beta).exp()

    images, queries = normalize(images, dim=1), normalize(queries, dim=1)
    left = torch.eye(N)[labels].double() - images @ text.T
    matrix = torch.eye(len(images)).double() + kernel(images, images).double() / lmbda
    return queries @ text.T + kernel(queries, images).double() @ torch.linalg.inv(matrix) @ left


@pytest.mark.parametrize(("beta", "lmbda"), [(3.0, 0.05), (0.7, 2.0)])
def test_agrees_with_the_paper(beta, lmbda):
    support, query = draw()
    scores = ProKeR(beta, lmbda).fit(support).scores(query)
    labels = torch.arange(N)[:, None].expand(N, K)
    for e in range(E):
        kept, text = support.mask[e], support.context.text[e]
        images = support.features[e][kept]
        expected = slow_proker(images, labels[kept], text, query.features[e], beta, lmbda)
        torch.testing.assert_close(scores[e], SCALE * expected, rtol=1e-5, atol=1e-5)


def test_a_small_lambda_is_zero_shot():
    support, query = draw()
    scores = ProKeR(2.0, 1e-9).fit(support).scores(query)
    zero_shot = ZeroShot().fit(support).scores(Query.of(normalize(query.features, dim=-1)))
    torch.testing.assert_close(scores, zero_shot, atol=1e-5, rtol=0)


def refitted(head, support):
    """Scores (E, N, K, N) of every shot by the head fitted without it."""
    shots = support.mask.shape[-1]
    scores = support.features.new_zeros(E, N, shots, N)
    for n in range(N):
        for k in range(shots):
            mask = support.mask.clone()
            mask[:, n, k] = False
            rest = Support.of(support.features, mask, support.context)
            scores[:, n, k] = head.fit(rest).scores(Query.of(support.features[:, n, [k]]))[:, 0]
    return scores


def test_search_takes_what_does_best_on_shots_left_out(monkeypatch):
    monkeypatch.setitem(GRIDS, "beta", (0.5, 4.0))
    monkeypatch.setitem(GRIDS, "lmbda", (0.01, 0.3, 3.0))
    support, _ = draw(shots=3, equal=True)
    pairs = [(beta, lmbda) for beta in GRIDS["beta"] for lmbda in GRIDS["lmbda"]]
    losses = [loss_of(refitted(ProKeR(*pair), support), support.mask) for pair in pairs]
    expected = torch.tensor(pairs).double()[torch.stack(losses).argmin(0)]
    head = ProKeR().fit(support)
    torch.testing.assert_close(torch.stack([head.beta_, head.lmbda_], 1), expected)
    assert len(set(map(tuple, expected.tolist()))) > 1


def test_the_closed_form_of_leaving_out_is_refitting():
    support, _ = draw(shots=3, equal=True)
    head = ProKeR(2.0, 0.3)
    fast = head.leave_one_out(support)
    torch.testing.assert_close(fast, refitted(head, support), rtol=1e-8, atol=1e-8)
    assert ProKeR().leave_one_out(support) is None


@pytest.mark.parametrize(("shots", "place"), [(1, 0), (2, 1), (3, 2), (7, 3), (40, 4)])
def test_imagenet_settings_follow_the_shots(shots, place):
    support, _ = draw(shots, equal=True)
    head = ProKeR(preset="paper").fit(support)
    torch.testing.assert_close(head.beta_, torch.full((E,), IMAGENET["beta"][place]).double())
    torch.testing.assert_close(head.lmbda_, torch.full((E,), IMAGENET["lmbda"][place]).double())


def test_one_shot_leaves_nothing_to_search_on():
    support, query = draw(shots=1, equal=True)
    scores = ProKeR(preset="paper").fit(support).scores(query)
    assert torch.equal(ProKeR().fit(support).scores(query), scores)


def test_a_few_classes_with_several_shots_do_not_choose_for_all():
    support, _ = draw(equal=True)
    mask = support.mask.clone()
    mask[0, 1:, 1:] = mask[1, 2:, 1:] = False  # one class with several shots, and two of four
    support = Support.of(support.features, mask, support.context)
    calm, searched = ProKeR(preset="paper").fit(support), ProKeR().fit(support)
    assert searched.lmbda_[0] == calm.lmbda_[0]
    assert bool((searched.lmbda_[1:] != calm.lmbda_[1:]).all())


def test_large_episodes_are_not_searched(monkeypatch):
    support, _ = draw()
    monkeypatch.setattr(proker, "MOST_SEARCHED", N * K - 1)
    head = ProKeR().fit(support)
    assert head.lmbda_[0] == IMAGENET["lmbda"][2]  # 20 shots; the others have fewer
    assert torch.equal(head.lmbda_[1:], ProKeR().fit(support[1:]).lmbda_)


def test_search_learns_where_text_misleads():
    support, query = draw(equal=True, text_noise=50.0)
    truth = torch.arange(N).repeat_interleave(6)
    right = {
        name: float((head.fit(support).predict(query) == truth).double().mean())
        for name, head in (
            ("text", ZeroShot()),
            ("paper", ProKeR("imagenet", 0.05)),
            ("", ProKeR()),
        )
    }
    assert right[""] > max(right["text"], right["paper"]) + 0.1


@pytest.mark.parametrize("setting", ["beta", "lmbda"])
@pytest.mark.parametrize("value", [0, -1.0, "auto", None, float("inf")])
def test_bad_settings_name_themselves(setting, value):
    with pytest.raises(FewshotError, match=rf"^head\.proker\.{setting}: expected a number"):
        ProKeR(**{setting: value}).fit(draw()[0])


@pytest.mark.parametrize("shots", [50, 51, 52])
def test_one_class_of_many_shots(shots):
    """Most places of the others are padding, as in episodes of Meta-Dataset."""
    generator = torch.Generator().manual_seed(shots)
    means = torch.randn(15, 1, 16, generator=generator)
    features = means + torch.randn(2, 15, shots, 16, generator=generator)
    mask = torch.arange(shots) < torch.tensor([[shots, *[3] * 14], [4, *[2] * 14]])[..., None]
    context = Context(normalize(features[:, :, 0], dim=-1), SCALE)
    support = Support.of(features, mask, context)
    head = ProKeR().fit(support)
    assert head.shots_.shape == (2, shots + 42, 16)
    alone = ProKeR().fit(
        Support.of(features[1:, :, :4], mask[1:, :, :4], Context(context.text[1:], SCALE))
    )
    queries = torch.randn(2, 5, 16, generator=generator)
    scores = alone.scores(Query.of(queries[1:]))
    torch.testing.assert_close(head.scores(Query.of(queries))[1:], scores, rtol=1e-5, atol=1e-5)
    fixed = ProKeR(2.0, 0.1)
    left_out = fixed.leave_one_out(support)
    assert not left_out[~mask].any() and left_out[mask].isfinite().all()
    without = mask.clone()
    without[0, 3, 1] = False
    refitted = fixed.fit(Support.of(features, without, context))
    expected = refitted.scores(Query.of(features[:, 3, 1:2]))
    torch.testing.assert_close(left_out[0, 3, 1], expected[0, 0], rtol=1e-4, atol=1e-4)
