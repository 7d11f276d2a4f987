"""The engine: errors equal to loops, rows independent of chunks and threads."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid

from fewshot.episodes import sample_episodes, sample_imbalanced_episodes
from fewshot.estimators import estimators
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.heads import Query, Support, heads
from fewshot.heads.ncm import NCM
from fewshot.tasks.engine import batches
from fewshot.tasks.engine import episodes as judging
from fewshot.tasks.engine import linear_heads as linear_all
from fewshot.tasks.engine.base_classes import base_moments

CPU = torch.device("cpu")


def make(
    sizes=(9, 14, 20, 12, 16, 11), dim=12, dtype=np.float32, normalize="none", seed=0, base=()
):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = rng.normal(size=(len(sizes), dim))[labels] + rng.normal(size=(len(labels), dim))
    split = np.where(np.isin(labels, base), "base", "novel") if len(base) else None
    text = rng.normal(size=(len(sizes), dim))
    return make_bank(features.astype(dtype), labels, split=split, normalize=normalize, text=text)


def make_for_any_head():
    """With base classes, for heads that ask for them, and text vectors."""
    return make((9, 14, 20, 12, 16, 11, 9, 8, 10, 7, 8), base=(6, 7, 8, 9, 10))


@pytest.mark.parametrize("queries", [4, "all"])
@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_errors_equal_a_loop_with_scikit_learn(queries, normalize):
    bank = make(normalize=normalize, dtype=np.float64)
    drawn = sample_episodes(bank.labels, 4, 3, queries, 25)
    errors, counts = judging.actual_errors(bank, drawn, NCM(), device=CPU)
    x = bank.features
    if normalize == "l2":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    for e in range(25):
        support = drawn.support[e]
        reference = NearestCentroid().fit(x[support.ravel()], np.repeat(np.arange(4), 3))
        for n, c in enumerate(drawn.classes[e]):
            query_rows = drawn.query_rows(e, e + 1)[0, n]
            query_rows = query_rows[query_rows >= 0]
            assert counts[e, n] == len(query_rows)
            assert errors[e, n] == np.mean(reference.predict(x[query_rows]) != n)
            assert set(bank.labels[query_rows]) == {c}


@pytest.mark.parametrize("name", list(heads))
def test_all_queries_by_class_equal_all_queries_by_episode(name):
    bank = make_for_any_head()
    head = heads.create(name)
    if not head.is_linear:
        pytest.skip("not linear")
    for shots in (1, 2, 4):
        drawn = sample_episodes(bank.labels, 5, shots, "all", 40, classes=range(6))
        fast = linear_all.linear_errors_on_all(bank, drawn, head, device=CPU)
        slow = judging._gathered(bank, drawn, head, device=CPU, threads=None, progress=None)
        np.testing.assert_array_equal(fast[0], slow[0])
        np.testing.assert_array_equal(fast[1], slow[1])


@pytest.mark.parametrize("queries", [4, "all"])
@pytest.mark.parametrize("name", list(heads))
def test_rows_do_not_depend_on_threads_or_chunks(monkeypatch, name, queries):
    bank = make_for_any_head()
    count = 60 if name in ("ncm", "lda") else 3
    drawn = sample_episodes(bank.labels, 5, 3, queries, count, classes=range(6))
    head = heads.create(name)
    # A few steps of a trained head show as much as many.
    head = heads.create(name, **{key: 5 for key in ("steps", "mm_steps") if hasattr(head, key)})
    named = {n: estimators.create(n) for n in ("margin", "loo", "gaussian")}

    def rows(threads):
        predicted = judging.predicted_errors(bank, drawn, head, named, device=CPU, threads=threads)
        actual = judging.actual_errors(bank, drawn, head, device=CPU, threads=threads)[0]
        return actual, np.stack([predicted[n].error for n in named])

    actual, predicted = rows(1)
    for threads in (2, 3):
        again = rows(threads)
        np.testing.assert_array_equal(actual, again[0])
        np.testing.assert_array_equal(predicted, again[1])
    for module, setting in (
        (judging, "QUERY_BYTES"), (judging, "SUPPORT_BYTES"),
        (linear_all, "WEIGHT_BYTES"), (linear_all, "SCORE_BYTES"),
    ):  # fmt: skip
        monkeypatch.setattr(module, setting, 3000)
    again = rows(2)
    np.testing.assert_array_equal(actual, again[0])
    np.testing.assert_allclose(predicted, again[1], atol=1e-6)


def test_float16_memory_map_gives_nearly_the_same(tmp_path):
    bank = make()
    np.save(tmp_path / "f.npy", bank.features.astype(np.float16))
    mapped = make_bank(bank.features, bank.labels)
    stored = np.load(tmp_path / "f.npy", mmap_mode="c")
    mapped = type(bank)(stored, bank.labels, bank.classnames)
    drawn = sample_episodes(bank.labels, 5, 3, "all", 60)
    exact, rounded = (judging.actual_errors(b, drawn, NCM(), device=CPU)[0] for b in (bank, mapped))
    assert np.abs(exact - rounded).mean() < 0.01


def test_torch_threads_are_put_back():
    before = torch.get_num_threads()
    assert list(batches.map_chunks(lambda a, b: a, [(0, 1), (1, 2)], CPU, 2)) == [0, 1]
    with pytest.raises(ZeroDivisionError):
        list(batches.map_chunks(lambda a, b: 1 // a, [(0, 1), (1, 2)], CPU, 2))
    assert torch.get_num_threads() == before


def test_progress_counts_every_episode():
    bank = make()
    for queries in (3, "all"):
        drawn = sample_episodes(bank.labels, 5, 2, queries, 45)
        seen = []
        judging.actual_errors(bank, drawn, NCM(), device=CPU, progress=seen.append)
        assert sum(seen) == 45


@pytest.mark.parametrize("normalize", ["none", "l2"])
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_base_moments_are_those_of_numpy(dtype, atol, normalize):
    sizes = (9, 14, 1, 12, 16, 11)  # nothing is known of the spread of a class with one image
    bank = make(sizes, dtype=dtype, base=(1, 2, 3), normalize=normalize)
    x = bank.features
    if normalize == "l2":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    by_class = [x[bank.labels == c] for c in (1, 3)]
    pooled = sum(np.cov(x.T) * (len(x) - 1) for x in by_class) / sum(len(x) - 1 for x in by_class)
    moments = base_moments(bank)
    np.testing.assert_allclose(moments.covariance, pooled, atol=atol)
    np.testing.assert_allclose(moments.means, [x.mean(0) for x in by_class], atol=atol)
    assert moments.counts.tolist() == [14, 12]
    assert base_moments(bank) is moments  # found again


@pytest.mark.parametrize("queries", ["all", 5])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["ncm", "knn"])
def test_scores_that_are_no_numbers_are_an_error_and_no_class(name, queries, value, monkeypatch):
    bank = make()
    drawn = sample_episodes(bank.labels, 4, 2, queries, 6, 0)
    head = heads.create(name)
    kind = type(head)
    fit, scores = kind.fit, kind.scores

    def spoiled(self, support):
        fit(self, support)
        if name == "ncm":
            self.biases_[:, 2] = value
        return self

    monkeypatch.setattr(kind, "fit", spoiled)
    if name == "knn":
        monkeypatch.setattr(kind, "scores", lambda self, query: scores(self, query) + value)
    with pytest.raises(FewshotError, match=rf"^head={kind.__name__}: expected finite scores"):
        judging.actual_errors(bank, drawn, head, device=CPU, threads=1)


@pytest.mark.parametrize("block", [1, 3000, 1 << 20])
def test_queries_read_a_few_at_a_time_have_the_same_answers(monkeypatch, block):
    """Blocks of parts of an episode, of some episodes and of all; with padding."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(6), 12)
    bank = make_bank(rng.normal(size=(72, 8)).astype(np.float32), labels)
    drawn = sample_imbalanced_episodes(labels, 3, 2, 12, 9)
    monkeypatch.setattr(linear_all, "BLOCK_BYTES", block)
    errors, counts = judging.actual_errors(bank, drawn, NCM(), device=CPU)
    features = torch.from_numpy(bank.features)
    fitted = NCM().fit(Support.of(features[drawn.support]))
    rows = drawn.query.reshape(9, -1)
    answers = fitted.predict(Query.of(features[rows.clip(0)])).view(9, 3, -1).numpy()
    wrong = (answers != np.arange(3)[:, None]) & (drawn.query >= 0)
    np.testing.assert_array_equal(counts, (drawn.query >= 0).sum(-1))
    np.testing.assert_array_equal(np.nan_to_num(errors * counts), wrong.sum(-1))
