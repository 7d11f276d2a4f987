"""Parameters of rules learned on base classes, against exhaustive searches and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fewshot.features import make_bank
from fewshot.tasks.one_class.confusers.lists import ConfuserLists
from fewshot.tasks.one_class.learning import (
    TAUS,
    best_tau,
    best_threshold,
    fit_posterior,
    learned_on,
)
from fewshot.tasks.one_class.rules import (
    RULES,
    Learned,
    Similarities,
    thresholds,
)
from fewshot.tasks.one_class.sampling import draw_tasks
from fewshot.tasks.one_class.scores import (
    NO_SOURCE,
    Batch,
    NameVectors,
    batches,
    confusers_from,
)

C, K, D = 6, 3, 16


def unit(rows):
    return torch.nn.functional.normalize(torch.as_tensor(rows).float(), dim=-1)


@pytest.fixture(scope="module")
def bank():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(C), [6, 9, 12, 8, 10, 7])
    means = rng.normal(size=(C, D))
    features = means[labels] + 1.5 * rng.normal(size=(len(labels), D))
    return make_bank(features.astype(np.float32), labels, text=means)


@pytest.fixture(scope="module")
def names(bank):
    """Class 4 has no confusers, class 5 a single one."""
    rng = np.random.default_rng(1)
    vectors = {f"{c}-{k}": unit(bank.text[c] + 0.1 * rng.normal(size=D))
               for c in range(C) for k in range(K)}  # fmt: skip
    sizes = (K, K, K, K, 0, 1)
    listed = tuple(tuple(f"{c}-{k}" for k in range(size)) for c, size in enumerate(sizes))
    lists = ConfuserLists(tuple(bank.classnames), listed, ((),) * C)
    confusers = confusers_from(lists, vectors, D)
    return NameVectors(torch.from_numpy(bank.text), unit(rng.normal(size=D)), {"llm": confusers})


@pytest.fixture(scope="module")
def similar(bank, names):
    tasks = draw_tasks(bank.labels, np.arange(C), 15, (0.5,))
    return tasks, [make() for make in batches(bank, tasks, names)]


def test_similarities_are_cosines(bank, names, similar):
    tasks, made = similar
    assert sorted(t for batch in made for t in batch.tasks) == list(range(15))
    x = unit(bank.features)
    for batch in made:
        for b, t in enumerate(batch.tasks):
            c, rows = tasks.targets[t], torch.from_numpy(tasks.rows[t])
            confusers, n = names.confusers["llm"], len(tasks.rows[t])
            assert batch.positive[b].sum() == tasks.positives[t]
            cosines = batch.similarities["llm"]
            torch.testing.assert_close(cosines.target[b, :n], x[rows] @ names.classes[c])
            torch.testing.assert_close(cosines.generic[b, :n], x[rows] @ names.generic)
            expected = x[rows] @ confusers.vectors[confusers.places[c]].T
            torch.testing.assert_close(cosines.confusers[b, :n][:, cosines.mask[b]], expected)
            assert cosines.mask[b].sum() == len(confusers.places[c])
            assert batch.similarities[NO_SOURCE].confusers.shape[-1] == 0


def flat(similar, value):
    """Scores, labels and tasks of all images that count, by a loop."""
    tasks, made = similar
    rows = []
    for batch in made:
        for b, t in enumerate(batch.tasks):
            P, N = tasks.counts[t, 0]
            first = int(tasks.positives[t])
            kept = [*range(P), *range(first, first + N)]
            rows += [(float(value(batch)[b, i]), i < first, t) for i in kept]
    return [np.array(column) for column in zip(*rows, strict=True)]


def f1(truth, yes):
    return 2 * np.sum(truth & yes) / (np.sum(truth) + np.sum(yes))


def mean_f1(scores, truth, task, cut):
    pairs = [(truth[task == t], scores[task == t] > cut) for t in np.unique(task)]
    return np.mean([(f1(a, b) + f1(~a, ~b)) / 2 for a, b in pairs])


@pytest.mark.parametrize("digits", [1, 6])  # with and without equal scores
def test_the_fixed_threshold_is_the_best_of_all(similar, digits):
    scores, truth, task = flat(similar, lambda batch: batch.similarities["llm"].target)
    scores = scores.round(digits)
    threshold = best_threshold(scores, truth, task)
    ends = np.unique(scores)
    cuts = [ends[0] - 1, *(ends[1:] + ends[:-1]) / 2]
    best = max(mean_f1(scores, truth, task, cut) for cut in cuts)
    assert mean_f1(scores, truth, task, threshold) == pytest.approx(best)


def with_confusers(similar):
    tasks, made = similar
    scores, truth, task = flat(similar, lambda batch: batch.similarities["llm"].target)
    listed = tasks.targets[task.astype(int)] != 4
    return scores[listed], truth[listed], task[listed], listed, made


def level(similar, tau):
    def of(batch):
        cosines = batch.similarities["llm"]
        shifted = (cosines.confusers / tau).masked_fill(~cosines.mask[:, None], -torch.inf)
        return tau * (shifted.logsumexp(-1) - cosines.mask.sum(-1)[:, None].log())

    return flat(similar, of)[0]


def test_tau_is_the_best_of_its_grid(similar):
    scores, truth, task, listed, _ = with_confusers(similar)
    values = {tau: mean_f1(scores - level(similar, tau)[listed], truth, task, 0) for tau in TAUS}
    learned = learned_on(similar[1], Learned())["llm"]
    assert values[learned.tau] == pytest.approx(max(values.values()))
    assert values[learned.tau] > 0.5


def test_level_is_the_best_constant_for_its_sum(similar):
    scores, truth, task, listed, _ = with_confusers(similar)
    average = flat(similar, lambda batch: masked_mean(batch.similarities["llm"]))[0][listed]
    ahead = scores - 0.3 * average
    ends = np.unique(ahead)
    best = max(mean_f1(ahead, truth, task, cut) for cut in [ends[0] - 1, *ends])
    learned = learned_on(similar[1], Learned(gamma=0.3))
    assert mean_f1(ahead, truth, task, learned["llm"].level) == pytest.approx(best)
    assert learned[NO_SOURCE].level is None


def masked_mean(cosines):
    values = cosines.confusers.masked_fill(~cosines.mask[:, None], 0)
    return values.sum(-1) / cosines.mask.sum(-1)[:, None]


@pytest.mark.parametrize("gamma", [0.25, 0.5])
def test_level_is_found_where_it_was_planted(gamma):
    """Images 0.01 above and below gamma ANP + 0.17; a class without confusers is ignored."""
    made = torch.Generator().manual_seed(0)
    confusers, positive = 0.8 * torch.rand(4, 10, 3, generator=made), torch.arange(10) < 5
    positive = positive.expand(4, 10)
    target = gamma * confusers.mean(-1) + 0.17 + torch.where(positive, 0.01, -0.01)
    target[3] = torch.where(positive[3], 0.9, 0.8)
    mask = torch.ones(4, 3, dtype=torch.bool)
    mask[3] = False
    similarities = {"llm": Similarities(target, confusers, mask)}
    similarities[NO_SOURCE] = Similarities(target, confusers[..., :0], mask[:, :0])
    batch = Batch(np.arange(4), positive, torch.full((4, 1, 2), 5), similarities)
    learned = learned_on([batch], Learned(gamma=gamma))["llm"]
    assert learned.level == pytest.approx(0.17, abs=1e-6)
    yes = {name: target[:3] > thresholds(RULES[name], similarities["llm"], learned)[:3]
           for name in ("anp_ft_fitted", "anp_ft")}  # fmt: skip
    assert yes["anp_ft_fitted"].equal(positive[:3])
    assert not yes["anp_ft"].equal(positive[:3])


def test_the_posterior_is_that_of_scikit_learn(similar):
    scores, truth, task, listed, _ = with_confusers(similar)
    learned = learned_on(similar[1], Learned(tau=0.1))["llm"]
    design = np.column_stack([scores, level(similar, 0.1)[listed]])
    groups = 2 * task.astype(int) + truth
    weight = 1 / np.bincount(groups)[groups]
    fitted = LogisticRegression(C=1e6, tol=1e-10, max_iter=2000)
    fitted.fit(design, truth, sample_weight=weight)
    expected = [*fitted.coef_[0], *fitted.intercept_]
    np.testing.assert_allclose(learned.posterior, expected, rtol=0.05)
    assert learned.posterior[0] > 0


def test_numbers_given_by_hand_stay(similar):
    learned = learned_on(similar[1], Learned(fixed=0.11, tau=0.2))
    assert learned[NO_SOURCE].fixed == learned["llm"].fixed == 0.11
    assert learned["llm"].tau == 0.2
    assert learned[NO_SOURCE].posterior is None


def test_separable_base_classes_give_finite_weights(bank):
    labels = np.repeat(np.arange(3), 5)
    clear = make_bank(np.eye(3, 8, dtype=np.float32)[labels], labels, text=np.eye(3, 8))
    lists = ConfuserLists(clear.classnames, (("x",),) * 3, ((),) * 3)
    confusers = {"llm": confusers_from(lists, {"x": torch.eye(8)[7]}, 8)}
    tasks = draw_tasks(labels, np.arange(3), 3, (0.5,))
    made = [make() for make in batches(clear, tasks, NameVectors(torch.eye(3, 8), None, confusers))]
    weights = fit_posterior(made, "llm", best_tau(made, "llm"))
    assert np.isfinite(weights).all()
    assert weights[0] + weights[2] > 0 > weights[2]
