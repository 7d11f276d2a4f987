"""Open-set classification: unknown queries, scores and measures."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

import fewshot
from fewshot.episodes import sample_all_way, sample_episodes, sample_meta_dataset
from fewshot.episodes.meta_dataset import MetaDatasetRules
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.heads import BDCSPN, NCM
from fewshot.report.tasks import report_of
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.statistics.populations import paired_intervals
from fewshot.statistics.ranking import open_set_rate
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.open_set.cell import evaluate_open_set, note_comparisons, unknown_of
from fewshot.tasks.open_set.known import known_score
from fewshot.tasks.open_set.sampling import draw_unknown
from fewshot.tasks.open_set.settings import OpenSetSettings
from fewshot.testing import check_task

LABELS = np.repeat(np.arange(10), 16)
SMALL = {"task": "open_set", "ways": 3, "shots": 2, "queries": 4, "episodes": 12}


def features_of(labels=LABELS, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(10, 8))[labels] + spread * rng.normal(size=(len(labels), 8))


def test_the_task_does_what_tasks_do():
    check_task("open_set")


def test_unknown_queries_are_of_other_classes_and_drawn_uniformly():
    drawn = sample_episodes(LABELS, 3, 2, 4, 900)
    classes, rows = draw_unknown(drawn, np.arange(10), 4, 5, 0)
    assert classes.shape == (900, 4) and rows.shape == (900, 4, 5)
    assert (LABELS[rows] == classes[..., None]).all()
    assert all(len({*e, *known}) == 7 for e, known in zip(classes, drawn.classes, strict=True))
    assert all(len(set(e.ravel())) == 20 for e in rows)
    assert stats.chisquare(np.bincount(classes.ravel())).pvalue > 1e-3
    assert stats.chisquare(np.bincount(rows.ravel())).pvalue > 1e-3
    fewer, few_rows = draw_unknown(drawn, np.arange(10), 2, 3, 0)
    np.testing.assert_array_equal(fewer, classes[:, :2])
    np.testing.assert_array_equal(few_rows, rows[:, :2, :3])


def test_they_do_not_depend_on_the_shots():
    one, five = (sample_episodes(LABELS, 3, shots, 4, 20) for shots in (1, 5))
    for first, second in zip(
        draw_unknown(one, np.arange(10), 4, 5, 0), draw_unknown(five, np.arange(10), 4, 5, 0),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ["probability", "entropy", "score"])
def test_scores_order_queries_as_their_definition_does(kind):
    scores = 3 * torch.randn(2, 40, 5, generator=torch.Generator().manual_seed(0))
    p = scores.double().softmax(-1).numpy()
    expected = {
        "probability": p.max(-1),
        "entropy": (p * np.log(p)).sum(-1),
        "score": scores.amax(-1).numpy(),
    }[kind]
    level = known_score(scores, kind).numpy()
    for e in range(2):
        assert stats.spearmanr(level[e], expected[e]).statistic == pytest.approx(1)
        assert (np.argsort(level[e]) == np.argsort(expected[e])).all()


def test_certain_queries_are_not_tied():
    scores = torch.tensor([[[60.0, 0.0, 0.0], [80.0, 0.0, 0.0], [100.0, 0.0, 0.0]]])
    assert known_score(scores, "probability").diff().gt(0).all()


def test_the_open_set_rate_is_a_slow_loop():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (3, 30)).astype(float)  # with ties
    right, known = rng.uniform(size=(2, 3, 30)) < 0.6
    mask = rng.uniform(size=(3, 30)) < 0.8
    rate = open_set_rate(*map(torch.from_numpy, (scores, right, known, mask)))
    for e in range(3):
        inside = np.flatnonzero(mask[e] & known[e])
        outside = np.flatnonzero(mask[e] & ~known[e])
        wins = [
            right[e, i] * ((scores[e, i] > scores[e, j]) + 0.5 * (scores[e, i] == scores[e, j]))
            for i in inside
            for j in outside
        ]
        assert float(rate[e]) == pytest.approx(np.mean(wins))
    none = open_set_rate(torch.zeros(4), torch.ones(4).bool(), torch.ones(4).bool())
    assert none.isnan()


def test_measures_are_those_of_a_slow_loop():
    features = features_of()
    options = {"unknown_ways": 4, "unknown_queries": 5}
    results = fewshot.evaluate(features, LABELS, head="ncm", options=options, **SMALL)
    rows = results.rows("open_set")
    drawn = sample_episodes(LABELS, 3, 2, 4, 12)
    _, unknown = draw_unknown(drawn, np.arange(10), 4, 5, 0)
    for e in range(12):
        means = features[drawn.support[e]].mean(1)
        inside = features[drawn.query[e]].reshape(-1, 8)
        points = np.concatenate([inside, features[unknown[e]].reshape(-1, 8)])
        scores = -((points[:, None] - means) ** 2).sum(-1) / 2  # log densities
        rest = np.sort(scores)[:, :-1]
        p = scores.max(-1) - np.log(np.exp(rest).sum(-1))  # log odds of the largest probability
        known = np.arange(len(points)) < 12
        right = scores[:12].argmax(-1) == np.repeat(np.arange(3), 4)
        assert rows["auroc"][e] == pytest.approx(roc_auc_score(known, p))
        assert rows["average_precision"][e] == pytest.approx(average_precision_score(known, p))
        assert rows["closed_accuracy"][e] == pytest.approx(right.mean())
        wins = right[:, None] * (p[:12, None] > p[12:])
        assert rows["oscr"][e] == pytest.approx(wins.mean())
        assert rows["oscr"][e] <= rows["closed_accuracy"][e] + 1e-12
    assert (rows["queries"] == 12).all() and (rows["unknown_images"] == 20).all()
    assert set(rows["unknown"]) == {"4 x 5"}


def test_what_helps_a_classifier_helps_here():
    """Far classes are told apart and from others; without differences all is chance."""
    options = {"score": "score"}
    far = fewshot.evaluate(features_of(spread=0.1), LABELS, head="ncm", options=options, **SMALL)
    assert far.summary["auroc"]["episodes"]["mean"] > 0.95
    assert far.summary["closed_accuracy"]["episodes"]["mean"] > 0.99
    noise = np.random.default_rng(3).normal(size=(len(LABELS), 8))
    chance = fewshot.evaluate(noise, LABELS, head="ncm", **SMALL | {"episodes": 60})
    interval = chance.summary["auroc"]["episodes"]
    assert interval["lower"] < 0.5 < interval["upper"]


def test_transductive_heads_see_all_queries_mixed(monkeypatch):
    seen = []
    scores = BDCSPN.scores

    def noted(self, query):
        seen.append(query.features.clone())
        return scores(self, query)

    monkeypatch.setattr(BDCSPN, "scores", noted)
    features = features_of()
    fewshot.evaluate(features, LABELS, head="bd_cspn", threads=1, **SMALL | {"episodes": 3})
    queries = torch.cat(seen)
    assert queries.shape[1] == 12 + 12
    drawn = sample_episodes(LABELS, 3, 2, 4, 3)
    known = torch.from_numpy(features[drawn.query].reshape(3, 12, 8)).to(queries)
    place = torch.cdist(known, queries).argmin(-1).double()
    assert place.std() > 5 and float(place.mean()) > 8  # not the first twelve


def test_the_score_of_a_verifier_is_that_of_one_class_at_a_time():
    features = features_of() * np.linspace(1, 4, len(LABELS))[:, None]  # lengths differ
    options = {"score": "score"}
    by_distance = fewshot.evaluate(features, LABELS, head=NCM(), options=options, **SMALL)
    rows = by_distance.rows("open_set")
    drawn = sample_episodes(LABELS, 3, 2, 4, 12)
    _, unknown = draw_unknown(drawn, np.arange(10), 3, 4, 0)
    for e in range(3):
        means = features[drawn.support[e]].mean(1)
        points = features[np.concatenate([drawn.query[e].ravel(), unknown[e].ravel()])]
        level = -((points[:, None] - means) ** 2).sum(-1).min(-1)
        assert rows["auroc"][e] == pytest.approx(roc_auc_score(np.arange(len(level)) < 12, level))


def test_heads_are_compared_on_the_same_queries():
    results = fewshot.evaluate(features_of(), LABELS, head=["ncm", "lda"], **SMALL)
    (pair,) = results.cells[0].summary["comparisons"]
    rows = results.rows("open_set")
    gaps = [
        rows[rows["head"] == head]["auroc"].to_numpy() for head in ("ncm", "lda")
    ]  # fmt: skip
    assert pair["auroc"]["episodes"]["mean"] == pytest.approx((gaps[0] - gaps[1]).mean())
    assert pair["auroc"]["classes"]["lower"] <= pair["auroc"]["episodes"]["lower"]
    assert results.compare("ncm", "lda")["measure"].iloc[0] == "auroc"


def test_intervals_of_differences():
    rng = np.random.default_rng(0)
    classes = np.argsort(rng.uniform(size=(200, 9)), 1)[:, :4]
    effect = rng.normal(size=9)
    values = effect[classes].mean(1) + 0.1 * rng.normal(size=200)
    intervals = paired_intervals(values, classes)
    half = 1.96 * values.std(ddof=1) / 200**0.5
    assert intervals["episodes"]["upper"] - values.mean() == pytest.approx(half, rel=1e-3)
    assert intervals["classes"]["upper"] - values.mean() > 3 * half
    assert paired_intervals(values[:1], classes[:1])["episodes"]["lower"] is None
    every = paired_intervals(values, np.tile(np.arange(4), (200, 1)))
    assert every["classes"]["reason"] == "every episode has all classes"


def test_other_unknown_queries_are_other_cells(tmp_path):
    features = features_of()
    runs = {"runs": tmp_path}
    for options in ({}, {"unknown_ways": 2}, {"score": "entropy"}):
        results = fewshot.evaluate(features, LABELS, options=options, **runs, **SMALL)
        results.save(tmp_path)
    summary = Store(find_runs([tmp_path])).summary()
    assert len(summary["cells"]) == 3 and not summary["left_aside"]
    text = report_of("open_set").text(summary["cells"])
    assert "entropy" in text and "2 x 4" in text
    lines = report_of("open_set").lines([(cell, None) for cell in summary["cells"]])
    assert len(lines) == 3 and any("score entropy" in line for line in lines)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            {"options": {"unknown_ways": 8}},
            r"open_set\.unknown_ways: expected at most the 7 classes",
        ),
        ({"options": {"unknown_queries": 17}}, r"at most the 0 classes .* that have 17 images"),
        ({"options": {"unknown_ways": 0}}, r"open_set\.unknown_ways: expected an integer >= 1"),
        (
            {"options": {"unknown_queries": "all"}},
            r"open_set\.unknown_queries: expected an integer",
        ),
        ({"options": {"score": "margin"}}, r"open_set\.score: expected one of 'probability'"),
        (
            {"options": {"unknown_way": 3}},
            r"open_set: expected one of .* Did you mean 'unknown_ways'",
        ),
        ({"sampler": "all_way"}, r"expected at most the 0 classes outside of an episode"),
    ],
)
def test_what_cannot_be_is_one_line(how, message):
    with pytest.raises(FewshotError, match=message) as caught:
        fewshot.evaluate(features_of(), LABELS, head="ncm", **SMALL | how)
    assert "\n" not in str(caught.value)


def test_settings_are_checked():
    drawn = sample_episodes(LABELS, 3, 2, 4, 2)
    assert OpenSetSettings().numbers(drawn) == (3, 4)
    assert OpenSetSettings(2).numbers(sample_episodes(LABELS, 3, 2, "all", 2)) == (2, 15)
    with pytest.raises(FewshotError, match=r"open_set\.unknown_ways"):
        OpenSetSettings(unknown_ways=True)


def test_classes_of_all_way_episodes_can_have_no_others():
    drawn = sample_all_way(LABELS, 2, 2)
    with pytest.raises(FewshotError, match="at most the 0 classes"):
        draw_unknown(drawn, np.arange(10), 1, 1, 0)


def test_episodes_of_varying_ways():
    labels = np.repeat(np.arange(24), 16)
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(24, 8))[labels] + rng.normal(size=(384, 8))).astype(np.float32)
    drawn = sample_meta_dataset(labels, 25, rules=MetaDatasetRules(min_ways=3, max_ways=8))
    assert drawn.way_counts.min() < drawn.way_counts.max()
    bank = FeatureBank(features, labels, tuple(f"class {c:02d}" for c in range(24)))
    options, settings = OpenSetSettings(unknown_ways=4, unknown_queries=3), Settings()
    results = [
        evaluate_open_set(bank, drawn, (name, head), options, settings, 0)
        for name, head in (("ncm", NCM()), ("bd_cspn", BDCSPN()))
    ]
    rows, classes = results[0].rows("open_set"), drawn.classes
    unknown_classes, unknown = unknown_of(bank, drawn, options, 0)
    for e in (0, int(drawn.way_counts.argmin()), int(drawn.way_counts.argmax())):
        shots, queries = drawn.support[e], drawn.query[e]
        means = [features[k[k >= 0]].mean(0) for k in shots if (k >= 0).any()]
        assert rows.classes[e] == [bank.classnames[c] for c in classes[e] if c >= 0]
        assert rows.unknown_classes[e] == [bank.classnames[c] for c in unknown_classes[e]]
        level = [
            -np.square(features[images] - np.array(means)[:, None]).sum(-1) / 2
            for images in (queries[queries >= 0], unknown[e].ravel())
        ]
        odds = [known_score(torch.from_numpy(scores.T)[None], "probability") for scores in level]
        truth = np.repeat([1, 0], [odds[0].numel(), odds[1].numel()])
        expected = roc_auc_score(truth, torch.cat(odds, 1)[0])
        assert rows.auroc[e] == pytest.approx(expected, abs=1e-6)
    note_comparisons([(drawn, result) for result in results])
    (pair,) = results[0].summary["comparisons"]
    assert pair["auroc"]["classes"]["lower"] is not None
    results[0].summary["comparisons"] = []
    for name in ("classes", "unknown_classes"):  # as rows that are read from a file have them
        rows[name] = rows[name].map(np.array)
    note_comparisons([(drawn, result) for result in results])
    assert results[0].summary["comparisons"] == [pair]
