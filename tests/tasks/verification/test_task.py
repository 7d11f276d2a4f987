"""Open-set verification: measures equal to loops, rows independent of chunks and threads."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from fewshot.episodes import sample_episodes, sample_imbalanced_episodes
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads import heads
from fewshot.heads.base import Query, Support
from fewshot.heads.verifier import verifying_heads
from fewshot.statistics.image_influence import image_variance
from fewshot.statistics.populations import population_intervals
from fewshot.tasks import table_columns
from fewshot.tasks.engine.batches import gather, load_support
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.verification import scores as verifying
from fewshot.tasks.verification.cell import compare_verifiers, evaluate_verification
from fewshot.tasks.verification.schema import MEASURES
from fewshot.tasks.verification.scores import verification_measures

CPU = torch.device("cpu")
SIZES = (9, 14, 20, 12, 16, 11)


def make(dtype=np.float32, base=(), text=True):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    means = rng.normal(size=(len(SIZES), 12)) * 0.8
    features = means[labels] + rng.normal(size=(len(labels), 12))
    split = np.where(np.isin(labels, base), "base", "novel") if len(base) else None
    named = means + rng.normal(size=means.shape) if text else None
    return make_bank(features.astype(dtype), labels, split=split, text=named)


def judge(bank, drawn, name="ncm", **settings):
    return evaluate_verification(bank, drawn, (name, heads.create(name)), Settings(**settings), 0)


@pytest.mark.parametrize("queries", [3, "all"])
@pytest.mark.parametrize("name", ["ncm", "zero_shot"])
def test_measures_equal_a_loop_with_scikit_learn(name, queries):
    bank = make(np.float64)
    drawn = sample_episodes(bank.labels, 4, 2, queries, 8)
    measured = verification_measures(bank, drawn, (name, heads.create(name)), device=CPU)
    x, text = bank.features, bank.text
    for e, n in np.ndindex(drawn.classes.shape):
        rows = drawn.query_rows(e, e + 1)[0]
        queries_of_episode = rows[rows >= 0]
        truth = bank.labels[queries_of_episode] == drawn.classes[e, n]
        if name == "ncm":
            prototype = x[drawn.support[e, n]].mean(0)
            scores = -np.linalg.norm(x[queries_of_episode] - prototype, axis=1)
        else:
            text_vector = text[drawn.classes[e, n]]
            scores = (
                x[queries_of_episode] @ text_vector / np.linalg.norm(x[queries_of_episode], axis=1)
            )
        assert measured.positives[e, n] == truth.sum()
        assert measured.negatives[e, n] == (~truth).sum()
        np.testing.assert_allclose(measured.auroc[e, n], roc_auc_score(truth, scores))
        expected = average_precision_score(truth, scores)
        np.testing.assert_allclose(measured.average_precision[e, n], expected)


@pytest.mark.parametrize("queries", [3, "all"])
def test_rows_do_not_depend_on_threads_or_chunks(monkeypatch, queries):
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, queries, 30)

    def rows(threads):
        return judge(bank, drawn, threads=threads).rows("verification")

    whole = rows(1)
    monkeypatch.setattr(verifying, "QUERY_BYTES", 1)  # an episode, a query and a target at a time
    for threads in (1, 3):
        pd.testing.assert_frame_equal(rows(threads), whole)


@pytest.mark.parametrize("name", verifying_heads())
def test_neither_other_classes_nor_other_queries_matter(name):
    """Scores of a verifier may not depend on other classes or other queries."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 10)
    means = rng.normal(size=(20, 12))
    features = means[labels] + rng.normal(size=(200, 12))
    split = np.where(labels < 14, "base", "novel")
    text = means + rng.normal(size=means.shape)
    bank = make_bank(features.astype(np.float32), labels, split=split, text=text)
    drawn = sample_episodes(labels, 5, 3, 6, 4, classes=range(14, 20))
    head = heads.create(name)
    support = load_support(bank, drawn, 0, 4, CPU, head.uses)
    query = Query(*gather(bank, drawn.query_rows(0, 4).reshape(4, -1), CPU))
    scores = head.clone().fit(support).verify(query)
    assert scores.shape == (4, 30, 5)
    few = Query(query.features[:, 3:5], query.mask[:, 3:5])
    torch.testing.assert_close(head.clone().fit(support).verify(few), scores[:, 3:5])
    shots, text = support.features.clone(), support.context.text
    shots[:, 1:] = 3 * shots[:, 1:] + 5
    if text is not None:
        text = torch.cat([text[:, :1], -text[:, 1:]], 1)
    changed = Support(shots, support.mask, replace(support.context, text=text))
    changed_scores = head.clone().fit(changed).verify(query)
    torch.testing.assert_close(changed_scores[..., 0], scores[..., 0])
    assert name == "zero_shot" or not torch.allclose(changed_scores[..., 1], scores[..., 1])


def test_zero_shots_need_a_head_that_reads_names():
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 0, 5, 20)
    without = judge(bank, drawn, "zero_shot")
    assert set(without.rows("verification")["shots"]) == {0}
    # The same queries, as zero shots keep the image of one shot aside.
    one_shot = judge(bank, sample_episodes(bank.labels, 4, 1, 5, 20), "zero_shot")
    for name in MEASURES:
        np.testing.assert_array_equal(
            without.rows("verification")[name], one_shot.rows("verification")[name]
        )
    assert without.summary["auroc"]["episodes"]["lower"] > 0.5
    with pytest.raises(FewshotError, match=r"episodes\.shots: expected 1 or more for head=ncm"):
        judge(bank, drawn, "ncm")


def test_a_target_without_queries_has_no_measures():
    bank = make()
    drawn = sample_imbalanced_episodes(bank.labels, 3, 1, 6, 40, 0, 0.3)
    result = judge(bank, drawn)
    rows = result.rows("verification")
    empty = (rows["positives"] == 0) | (rows["negatives"] == 0)
    assert empty.any()
    assert (rows.loc[empty, list(MEASURES)].isna()).all(axis=None)
    assert (rows.loc[~empty, list(MEASURES)].notna()).all(axis=None)
    by_episode = rows.groupby("episode")["auroc"].mean().dropna()
    assert result.summary["auroc"]["episodes"]["mean"] == pytest.approx(by_episode.mean())
    assert result.summary["targets"] == (~empty).sum()


def test_rows_and_summary():
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 50)
    result = judge(bank, drawn)
    rows = result.rows("verification")
    assert list(rows) == list(table_columns("verification"))
    assert len(rows) == 200
    assert rows["target"].tolist() == [str(c) for c in drawn.classes.reshape(-1)]
    assert set(rows["task"]) == {"verification"}
    assert set(rows["negatives"]) == {15}
    assert len(result.episodes) == len(result.predictions) == 0
    assert result.summary["prevalence"] == 0.25
    for name in MEASURES:
        values = rows[name].to_numpy().reshape(50, 4)
        where = (drawn.classes, drawn.labels, drawn.support, drawn.query)
        assert result.summary[name] == population_intervals(values, *where, impostors=True)
        spread = result.summary[name]["episodes"]
        assert spread["mean"] == pytest.approx(values.mean())
    assert "verification" in repr(result).lower()


def test_paired_differences():
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 50)
    results = {name: judge(bank, drawn, name) for name in ("ncm", "zero_shot")}
    (pair,) = compare_verifiers(results, drawn)
    assert (pair["first"], pair["second"]) == ("ncm", "zero_shot")
    first, second = (results[name].summary["auroc"]["episodes"] for name in results)
    difference = pair["auroc"]["episodes"]
    assert difference["mean"] == pytest.approx(first["mean"] - second["mean"])
    assert set(pair["fpr95"]) == {"episodes", "images", "classes"}


@pytest.mark.parametrize("name", ["lda", "bd_cspn", "em_dirichlet"])
def test_heads_that_cannot_verify(name):
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, 5, 2)
    with pytest.raises(FewshotError, match=rf"^head={name}: .*: ncm, .*zero_shot"):
        judge(bank, drawn, name)


def test_without_text():
    bank = make(text=False)
    with pytest.raises(FewshotError, match="head=zero_shot: this head reads class names"):
        judge(bank, sample_episodes(bank.labels, 4, 2, 5, 2), "zero_shot")


def test_the_interval_for_other_images_counts_impostors():
    """A query that acts on all ways alike: the mean over episodes is the mean of all images."""
    rng, labels = np.random.default_rng(1), np.repeat(np.arange(8), 25)
    variances = {True: [], False: []}
    for seed in range(20):
        drawn = sample_episodes(labels, 4, 1, 5, 300, seed=seed)
        of_image = rng.normal(size=len(labels))
        values = np.repeat(of_image[drawn.query].mean((1, 2))[:, None], 4, 1)
        where = (drawn.classes, labels, drawn.support, drawn.query)
        for impostors, estimates in variances.items():
            estimates.append(image_variance(values, *where, impostors=impostors))
    assert np.mean(variances[True]) == pytest.approx(1 / len(labels), rel=0.15)
    assert np.mean(variances[False]) < 0.5 / len(labels)
