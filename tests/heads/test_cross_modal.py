"""Text vectors as further shots: the paper's probe by autograd, and other heads by hand."""

import json
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.cross_modal import CrossModal, with_text
from fewshot.heads.gda import GDA
from fewshot.heads.knn import KNN
from fewshot.heads.labelled import LabelledBatch, LabelledEpisodes
from fewshot.heads.ncm import NCM
from fewshot.heads.zero_shot import ZeroShot

E, N, K, D, SCALE = 3, 4, 5, 10, 30.0


def draw(length=None, shots=K, equal=False, text_noise=1.0):
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(E, N, 1, D, generator=generator, dtype=torch.float64)
    features = means + torch.randn(E, N, shots, D, generator=generator, dtype=torch.float64)
    queries = means + torch.randn(E, N, 6, D, generator=generator, dtype=torch.float64)
    text = torch.randn(E, N, D, generator=generator, dtype=torch.float64) * text_noise
    context = Context(normalize(means[:, :, 0] + text, dim=-1), SCALE)
    mask = torch.ones(E, N, shots, dtype=torch.bool)
    if not equal:
        mask[1, 0, 2:] = mask[2, 3, 1:] = False
    if length is not None:
        features = length * normalize(features, dim=-1)
    return Support.of(features, mask, context), Query.of(queries.flatten(1, 2))


def slow_probe(images, labels, text, text_weight, learning_rate, steps):
    """Class vectors; the loss is (1 - w) of the images' and w of the texts' mean."""
    vectors = text.clone().requires_grad_()
    optimizer = torch.optim.AdamW([vectors], learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        of_images = cross_entropy(SCALE * images @ vectors.T, labels)
        of_text = cross_entropy(SCALE * text @ vectors.T, torch.arange(N))
        optimizer.zero_grad()
        ((1 - text_weight) * of_images + text_weight * of_text).backward()
        optimizer.step()
        schedule.step()
    return vectors.detach()


@pytest.mark.parametrize("text_shots", ["auto", "balanced", 3])
@pytest.mark.parametrize("wise_ft", [0.0, 0.5])
def test_the_probe_agrees_with_the_paper(text_shots, wise_ft):
    support, _ = draw()
    head = CrossModal("probe", text_shots, 0.01, 12, wise_ft).fit(support)
    labels = torch.arange(N)[:, None].expand(N, K)
    for e in range(E):
        kept, text = support.mask[e], support.context.text[e]
        images = normalize(support.features[e][kept], dim=-1)
        share = 3 * N / (3 * N + len(images)) if text_shots == 3 else 0.5
        vectors = slow_probe(images, labels[kept], text, share, 0.01, 12)
        expected = SCALE * ((1 - wise_ft) * vectors + wise_ft * text)
        torch.testing.assert_close(head.linear().weights[e], expected)


@pytest.mark.parametrize("name", ["probe", "ncm", "ridge"])
def test_without_shots_the_text_is_one_shot_of_each_class(name):
    support, query = draw(equal=True)
    empty = Support.of(support.features[:, :, :0], None, support.context, least_shots=0)
    head = CrossModal(name)
    assert head.least_shots == 0
    expected = ZeroShot().fit(empty).predict(query)
    if name != "probe":
        alone = Support.of(support.context.text[:, :, None])
        expected = heads.create(name).fit(alone).predict(query)
    assert torch.equal(head.fit(empty).predict(query), expected)


@pytest.mark.parametrize("length", [1.0, 7.0])
def test_a_head_gets_the_text_beside_the_shots(length):
    support, query = draw(length)
    texts = length * support.context.text
    counts = support.mask.sum(-1, keepdim=True)
    means = (support.features.sum(2) + 2 * texts) / (counts + 2)
    scores = CrossModal("ncm", 2).fit(support).scores(query)
    assert torch.equal(scores.argmax(-1), torch.cdist(query.features, means).argmin(-1))


def test_balanced_text_counts_as_much_as_the_shots_of_its_class():
    support, query = draw(1.0)
    means = (support.means() + support.context.text) / 2
    answers = CrossModal(NCM(), "balanced").fit(support).predict(query)
    assert torch.equal(answers, torch.cdist(query.features, means).argmin(-1))


def test_by_default_shots_without_information_do_not_drown_the_text():
    generator = torch.Generator().manual_seed(0)
    text, noise, query = torch.randn(3, 20, 10, 30, generator=generator, dtype=torch.float64)
    context = Context(normalize(text, dim=-1), SCALE)
    support = Support.of(normalize(noise, dim=-1)[:, :, None], None, context)
    queries, truth = Query.of(normalize(1.2 * query + text, dim=-1)), torch.arange(10)
    right = {
        rule: float(
            (CrossModal("ridge", rule).fit(support).predict(queries) == truth).double().mean()
        )
        for rule in ("auto", "balanced")
    }
    zero_shot = float((ZeroShot().fit(support).predict(queries) == truth).double().mean())
    assert right["auto"] > zero_shot - 0.1
    assert right["balanced"] < right["auto"] - 0.05


def test_spread_is_no_more_than_a_hundred_copies():
    support, _ = draw(shots=1, equal=True)
    two = support[:, :2]  # of which nothing is known of the noise
    assert with_text(two, "spread").mask.sum(-1).unique().tolist() == [101]


def test_text_counts_in_proportion_to_unequal_shots():
    support, _ = draw(1.0)
    copies = with_text(support, "spread").mask.sum(-1) - support.mask.sum(-1)
    each = copies / support.mask.sum(-1)
    assert bool(((each - each.mean(-1, keepdim=True)).abs() < 1).all())
    assert CrossModal("logistic").fit(support).head_.class_weight == "balanced"
    assert CrossModal(heads.create("logistic")).fit(support).head_.class_weight == "none"


def test_any_head_can_be_named():
    support, query = draw()
    named = CrossModal("fewshot.heads.knn:KNN", 1).fit(support).scores(query)
    assert torch.equal(named, CrossModal(KNN(), 1).fit(support).scores(query))
    assert CrossModal("soft_kmeans").uses == {"text", "queries"}
    assert CrossModal("simpleshot").uses == {"text", "base"}
    assert CrossModal("ridge").is_linear
    assert not CrossModal("knn").is_linear
    assert CrossModal("ridge").variant() == "head=ridge"
    json.dumps(CrossModal("ridge").get_params())


def test_the_head_that_is_named_stays_unfitted():
    support, _ = draw()
    inner = KNN()
    CrossModal(inner).fit(support)
    assert not any(name.endswith("_") for name in vars(inner))


def test_a_run_has_it_under_the_name_of_its_head():
    generator = torch.Generator().manual_seed(0)
    features = normalize(torch.randn(60, 8, generator=generator), dim=-1).numpy()
    labels = [n for n in range(6) for _ in range(10)]
    results = fewshot.evaluate(
        features, labels, text=features[::10], head=[CrossModal("ridge")],
        ways=3, shots=[0, 1], episodes=10, queries=2,
    )  # fmt: skip
    assert set(results.episodes["variant"]) == {"head=ridge"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"head": "logstic"}, r"^head\.cross_modal\.head: .*'logstic'.*logistic"),
        ({"head": 3}, r"^head\.cross_modal\.head: expected the name of a head"),
        ({"head": "fewshot.heads.base:Query"}, r"^head\.cross_modal\.head: .*Head"),
        ({"head": "no.such.module:Head"}, r"^head\.cross_modal\.head: .*no.such.module"),
        ({"text_shots": 0}, r"^head\.cross_modal\.text_shots: expected an integer >= 1"),
        ({"text_shots": "all"}, r"^head\.cross_modal\.text_shots: expected"),
        ({"steps": -1}, r"^head\.cross_modal\.steps: expected"),
        ({"wise_ft": 1.5}, r"^head\.cross_modal\.wise_ft: expected a number in \[0, 1\]"),
        ({"learning_rate": -1}, r"^head\.cross_modal\.learning_rate: expected"),
        ({"head": "ridge", "steps": 10}, r"^head\.cross_modal\.steps: .*head=probe"),
    ],
)
def test_bad_settings_name_themselves(parameters, message):
    with pytest.raises(FewshotError, match=message):
        CrossModal(**parameters).fit(draw()[0])


@pytest.mark.parametrize("name", ["probe", "ridge"])
def test_features_without_text_are_refused(name):
    support, _ = draw()
    with pytest.raises(FewshotError, match=r"^head=cross_modal: .*class names"):
        CrossModal(name).fit(Support.of(support.features, support.mask))


@pytest.mark.parametrize("shots", [0, 1])
def test_a_head_chooses_on_base_classes_with_their_text(shots):
    """Also without shots, where the text is all that its base-class episodes have."""
    full, query = draw(shots=1, equal=True)
    labels = torch.arange(N).repeat_interleave(6).expand(E, -1)
    drawn = []

    def support_with(context):
        return Support.of(full.features[:, :, :shots], None, context, least_shots=0)

    def episodes():
        drawn.append("once")
        yield LabelledBatch(support_with(full.context), query, labels)

    def with_text_at_hand():
        yield LabelledBatch(with_text(support_with(full.context), "spread"), query, labels)

    support = support_with(replace(full.context, base_episodes=LabelledEpisodes(episodes)))
    head = CrossModal("gda").fit(support)
    shots_and_text = with_text(support, "spread")
    context = replace(full.context, base_episodes=LabelledEpisodes(with_text_at_hand))
    direct = GDA().fit(Support.of(shots_and_text.features, shots_and_text.mask, context))
    torch.testing.assert_close(head.scores(query), direct.scores(query))
    before = len(drawn)
    CrossModal("gda").fit(support)
    assert len(drawn) == before, "the choice is remembered"
