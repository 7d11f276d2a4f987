"""Images to label next: against loops with refits, and on simulated classes."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from fewshot.estimators.mixtures import Images
from fewshot.estimators.unlabelled import Unlabelled
from fewshot.exceptions import FewshotError
from fewshot.heads import KNN, LDA, NCM, Ridge, SoftKMeans
from fewshot.heads.base import Query, Support
from fewshot.tasks.classification.forecast import next_labels as module
from fewshot.tasks.classification.forecast.label_value import (
    DEVIATION,
    LENGTH,
    NOISE,
    class_process,
    expected_gain,
    greedy_choice,
)
from fewshot.tasks.classification.forecast.next_labels import NextLabels, next_labels

NAMES = [f"class {c}" for c in range(12)]


def drawn(seed, N=4, K=2, per_class=10, D=16, apart=1.0, dtype=torch.float32):
    """Shots (N, K, D), unlabelled images (U, D), their classes, and the class means."""
    rng = torch.Generator().manual_seed(seed)
    means = apart * torch.randn(N, D, generator=rng, dtype=dtype)
    shots = means[:, None] + torch.randn(N, K, D, generator=rng, dtype=dtype)
    labels = torch.arange(N).repeat_interleave(per_class)
    labels = labels[torch.randperm(len(labels), generator=rng)]
    images = means[labels] + torch.randn(len(labels), D, generator=rng, dtype=dtype)
    return shots, images, labels, means


def listed(shots, images, count=5, error=0.3, head=None, files=None, mask=None):
    files = files or [f"{row}.png" for row in range(len(images))]
    support = Support.of(shots[None], None if mask is None else mask[None])
    return next_labels(
        support,
        head or NCM(),
        Unlabelled.of(images[None]),
        NAMES[: len(shots)],
        files,
        error=error,
        count=count,
    )


def images_of(shots, images, mask=None):
    mask = torch.ones(shots.shape[:2], dtype=torch.bool) if mask is None else mask
    return Images(
        shots[None], mask[None], images[None], torch.ones(1, len(images), dtype=torch.bool)
    )


def refitted(points, labels, at, ways):
    """Means and variances at points of Gaussian processes fitted anew, in prior variances."""
    everything = np.concatenate([at["shots"], at["images"]])
    gaps = everything[:, None] - everything[None]
    unit = np.mean(np.sum(gaps**2, -1))

    def kernel(first, second):
        distances = np.sum((first[:, None] - second[None]) ** 2, -1)
        return np.exp(-distances / (2 * LENGTH * unit))

    gram = kernel(points, points) + NOISE * np.eye(len(points))
    across = kernel(at["images"], points)
    variance = 1 - np.einsum("up,pu->u", across, np.linalg.solve(gram, across.T))
    if labels is None:
        return None, variance
    targets = np.eye(ways)[labels] - 1 / ways
    return 1 / ways + across @ np.linalg.solve(gram, targets), variance


def value_by_refits(shots, images, chosen):
    """Mean rise of the larger of two classes' probabilities, with a process fitted per list."""
    ways, number, dim = shots.shape
    at = {"shots": shots.reshape(-1, dim), "images": images}
    labels = np.repeat(np.arange(ways), number)
    means, before = refitted(at["shots"], labels, at, ways)
    _, after = refitted(np.concatenate([at["shots"], images[chosen]]), None, at, ways)
    deviation = DEVIATION * np.sqrt(2 * (1 / ways) * (1 - 1 / ways))
    gains = []
    for image in range(len(images)):
        largest = np.sort(means[image])[-2:]
        margin, sd = largest[1] - largest[0], deviation * np.sqrt(before[image] - after[image])
        z = margin / sd
        gains.append(sd * stats.norm.pdf(z) - margin * stats.norm.sf(z))
    return np.mean(gains)


def test_a_list_is_the_greedy_one_of_processes_fitted_anew():
    shots, images, _, _ = drawn(0, N=3, K=2, per_class=5, dtype=torch.float64)
    process = class_process(images_of(shots, images))
    everybody = torch.ones(1, len(images), dtype=torch.bool)
    choice = greedy_choice(process, everybody, everybody, 4, 0.0)
    chosen = []
    for n in range(4):
        values = {
            image: value_by_refits(shots.numpy(), images.numpy(), [*chosen, image])
            for image in range(len(images))
            if image not in chosen
        }
        chosen.append(max(values, key=values.get))
        assert float(choice.values[0, n]) == pytest.approx(values[chosen[-1]], rel=1e-6)
    assert choice.rows[0].tolist() == chosen


def test_class_probabilities_are_those_of_a_process_fitted_anew():
    shots, images, _, _ = drawn(1, N=3, K=2, per_class=5, dtype=torch.float64)
    process = class_process(images_of(shots, images))
    at = {"shots": shots.reshape(-1, 16).numpy(), "images": images.numpy()}
    means, variance = refitted(at["shots"], np.repeat(np.arange(3), 2), at, 3)
    torch.testing.assert_close(process.probabilities[0], torch.from_numpy(means))
    torch.testing.assert_close(process.covariance[0].diagonal(), torch.from_numpy(variance))


@pytest.mark.parametrize(("margin", "deviation"), [(0.0, 1.0), (0.3, 0.2), (1.0, 0.1)])
def test_the_gain_is_the_expected_rise_of_the_larger(margin, deviation):
    def rise(z):
        return max(deviation * z - margin, 0) * stats.norm.pdf(z)

    by_integration = integrate.quad(rise, margin / deviation, 40)[0]
    gain = expected_gain(torch.tensor(margin).double(), torch.tensor(deviation).double())
    assert float(gain) == pytest.approx(by_integration, rel=1e-6)


def test_episodes_of_a_batch_are_chosen_for_as_alone():
    batch = [drawn(seed, dtype=torch.float64)[:2] for seed in range(3)]
    together = Images(
        torch.stack([shots for shots, _ in batch]),
        torch.ones(3, 4, 2, dtype=torch.bool),
        torch.stack([images for _, images in batch]),
        torch.ones(3, 40, dtype=torch.bool),
    )
    everybody = torch.ones(3, 40, dtype=torch.bool)
    choice = greedy_choice(class_process(together), everybody, everybody, 6, 0.0)
    for episode, (shots, images) in enumerate(batch):
        process = class_process(images_of(shots, images))
        alone = greedy_choice(process, everybody[:1], everybody[:1], 6, 0.0)
        assert choice.rows[episode].tolist() == alone.rows[0].tolist()
        torch.testing.assert_close(choice.values[episode], alone.values[0])


def test_a_list_ends_with_the_images_however_many_are_asked_for():
    shots, images, _, _ = drawn(4)
    everybody = torch.ones(1, len(images), dtype=torch.bool)
    candidates = torch.zeros_like(everybody)
    candidates[0, [3, 8, 21]] = True
    choice = greedy_choice(
        class_process(images_of(shots, images)), everybody, candidates, 10**15, 0
    )
    assert sorted(choice.rows[0].tolist()) == [3, 8, 21]
    assert listed(shots, images, count=10**15) == listed(shots, images, count=len(images))


def test_padding_of_unequal_shots_changes_nothing():
    shots, images, _, _ = drawn(2, K=1)
    more = torch.cat([shots, torch.full_like(shots, 7.0)], 1)
    mask = torch.tensor([[True, False]] * 4)
    plain, padded = listed(shots, images), listed(more, images, mask=mask)
    assert [image.row for image in padded] == [image.row for image in plain]
    np.testing.assert_allclose(
        [image.error for image in padded], [image.error for image in plain], atol=1e-5
    )


def test_fewer_images_than_judged_at_once_are_the_first_of_all(monkeypatch):
    shots, images, _, _ = drawn(3)
    everybody = torch.ones(1, len(images), dtype=torch.bool)
    process = class_process(images_of(shots, images))
    part = everybody.clone()
    part[:, 20:] = False
    expected = greedy_choice(process, part, everybody, 5, 0.0)
    monkeypatch.setattr("fewshot.tasks.classification.forecast.label_value.JUDGED", 20)
    assert greedy_choice(process, everybody, everybody, 5, 0.0).rows.equal(expected.rows)


@pytest.mark.parametrize("seed", range(5))
def test_copies_and_near_copies_are_not_both_on_the_list(seed):
    shots, images, _, _ = drawn(seed, per_class=4)
    rng = torch.Generator().manual_seed(seed)
    near = images + 0.02 * torch.randn(images.shape, generator=rng)
    chosen = [image.row for image in listed(shots, torch.cat([images, near, images]), count=48)]
    originals = [row % len(images) for row in chosen]
    assert len(chosen) > 8
    assert len(set(originals)) == len(originals)


def test_near_copies_of_shots_are_not_on_the_list():
    shots, images, _, _ = drawn(0, per_class=5)
    near = shots.flatten(0, 1) + 0.02
    chosen = [image.row for image in listed(shots, torch.cat([near, images]), count=40)]
    assert chosen
    assert min(chosen) >= len(near)


def test_images_of_no_class_are_not_recommended():
    on_list = []
    for seed in range(20):
        shots, images, _, _ = drawn(seed, N=5, K=2, per_class=12, D=32, apart=1.0)
        rng = torch.Generator().manual_seed(100 + seed)
        means = torch.randn(15, 32, generator=rng)  # each of a class of its own
        strangers = means + torch.randn(15, 32, generator=rng)
        chosen = listed(shots, torch.cat([images, strangers]), count=10)
        on_list.append(np.mean([image.row >= len(images) for image in chosen]))
    # A fifth of all images are strangers.
    assert np.mean(on_list) < 0.05, np.mean(on_list)


def test_images_of_another_kind_give_an_empty_list_and_a_reason():
    shots, images, _, _ = drawn(0)
    result = listed(shots, images + 100)
    assert result == []
    assert result.reason == module.ALL_OUTSIDE


def test_copies_of_the_shots_alone_give_an_empty_list_and_a_reason():
    shots, _, _, _ = drawn(0)
    result = listed(shots, shots.flatten(0, 1))
    assert result == []
    assert result.reason == module.ALL_COPIES


def test_no_images_give_an_empty_list_and_a_reason():
    shots, images, _, _ = drawn(0)
    result = listed(shots, images[:0])
    assert isinstance(result, NextLabels)
    assert result == []
    assert result.reason == module.NO_IMAGES


def error_with(shots, images, labels, chosen, means, rng):
    """Error of nearest class mean on new images, with the chosen ones among its shots."""
    ways, number, dim = shots.shape
    features = torch.zeros(ways, number + len(chosen), dim)
    mask = torch.zeros(ways, number + len(chosen), dtype=torch.bool)
    features[:, :number], mask[:, :number] = shots, True
    for n, row in enumerate(chosen):
        features[labels[row], number + n], mask[labels[row], number + n] = images[row], True
    new = means[:, None] + torch.randn(ways, 200, dim, generator=rng)
    head = NCM().fit(Support.of(features[None], mask[None]))
    decisions = head.predict(Query.of(new.flatten(0, 1)[None])).view(ways, 200)
    return float((decisions != torch.arange(ways)[:, None]).float().mean())


@pytest.mark.parametrize("shots_per_class", [1, 3])
def test_labels_of_the_list_are_worth_more_than_random_ones(shots_per_class):
    differences = []
    for seed in range(60):
        shots, images, labels, means = drawn(seed, N=5, K=shots_per_class, per_class=20, apart=0.7)
        chosen = [image.row for image in listed(shots, images, count=10)]
        rng = np.random.default_rng(seed)
        at_random = [rng.choice(len(images), 10, replace=False).tolist() for _ in range(4)]
        errors = [
            error_with(shots, images, labels, rows, means, torch.Generator().manual_seed(seed))
            for rows in (chosen, *at_random)
        ]
        differences.append(errors[0] - np.mean(errors[1:]))
    assert stats.ttest_1samp(differences, 0, alternative="less").pvalue < 0.01, np.mean(differences)


def test_the_list_does_not_depend_on_the_order_of_the_images():
    shots, images, _, _ = drawn(4)
    images = torch.cat([images, images[:5]])  # with copies
    files = [f"{row}.png" for row in range(len(images))]
    first = listed(shots, images, files=files, count=12)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(9))
    second = listed(shots, images[order], files=[files[row] for row in order], count=12)
    assert [image.file for image in second] == [image.file for image in first]
    assert [image.error for image in second] == [image.error for image in first]
    assert [int(order[image.row]) for image in second] == [image.row for image in first]
    assert listed(shots, images, files=files, count=12) == first


def test_a_shorter_list_is_the_beginning_of_a_longer_one():
    shots, images, _, _ = drawn(5)
    assert listed(shots, images, count=3) == listed(shots, images, count=9)[:3]


def test_errors_fall_by_the_gains_from_the_predicted_one():
    shots, images, _, _ = drawn(6)
    result = listed(shots, images, count=10, error=0.4)
    errors = [0.4, *(image.error for image in result)]
    np.testing.assert_allclose([image.gain for image in result], -np.diff(errors), atol=1e-12)
    assert 0 <= errors[-1] < 0.4
    assert all(0 <= image.probability <= 1 for image in result)


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_errors_stay_shares(error):
    shots, images, _, _ = drawn(6, K=1)
    result = listed(shots, images, count=10, error=error, head=Ridge())
    assert all(0 <= image.error <= 1 for image in result)


def test_a_head_that_suffers_from_unequal_shots_is_promised_to():
    """A second shot of some classes makes nearest class mean worse, one of each class better."""
    first, after_all, true_first = [], [], []
    for seed in range(10):
        shots, images, labels, means = drawn(seed, N=5, K=1, per_class=20, D=64, apart=0.7)
        result = listed(shots, images, count=10, error=0.3)
        first.append(result[0].error)
        after_all.append(result[-1].error)
        rng = [torch.Generator().manual_seed(seed) for _ in range(2)]
        with_first = error_with(shots, images, labels, [result[0].row], means, rng[0])
        true_first.append(with_first - error_with(shots, images, labels, [], means, rng[1]))
    assert np.mean(true_first) > 0
    assert np.mean(first) > 0.3
    assert np.mean(after_all) < 0.3


def test_refits_are_those_of_a_loop():
    shots, images, _, _ = drawn(11, N=3, K=2)
    responsibilities = torch.rand(30, 3, generator=torch.Generator().manual_seed(0)) / 3
    chosen = torch.tensor([4, 0, 17, 9])
    support = Support.of(shots[None])
    measured = module.refit_disagreement(LDA(), support, images, chosen, responsibilities)
    for n in range(5):
        classes = [[*shots[c]] for c in range(3)]
        for row in chosen[:n].tolist():
            classes[int(responsibilities[row].argmax())].append(images[row])
        most = max(map(len, classes))
        features, mask = torch.zeros(1, 3, most, 16), torch.zeros(1, 3, most, dtype=torch.bool)
        for c, rows in enumerate(classes):
            features[0, c, : len(rows)] = torch.stack(rows)
            mask[0, c, : len(rows)] = True
        decided = LDA().fit(Support.of(features, mask)).predict(Query.of(images[None]))[0]
        wrong = sum(
            float(responsibilities[row, c])
            for row in range(30)
            for c in range(3)
            if c != decided[row]
        )
        assert float(measured[n]) == pytest.approx(wrong, rel=1e-4)


def test_refits_in_parts_are_those_at_once(monkeypatch):
    shots, images, _, _ = drawn(11)
    expected = listed(shots, images, count=10)
    monkeypatch.setattr(module, "REFITS", 3)
    assert listed(shots, images, count=10) == expected


def test_classes_with_few_labels_come_first_where_images_are_of_a_clear_class():
    shots, images, labels, _ = drawn(12, N=5, K=1, apart=3.0)
    result = listed(shots, images, count=10)
    for start in (0, 5):
        assert len({int(labels[image.row]) for image in result[start : start + 5]}) == 5


def test_likely_classes_are_mostly_the_true_ones_where_classes_are_apart():
    shots, images, labels, _ = drawn(7, apart=2.0)
    result = listed(shots, images, count=10)
    right = [image.likely == NAMES[labels[image.row]] for image in result]
    assert np.mean(right) >= 0.8


def test_more_than_there_are_gives_a_shorter_list_of_different_images():
    shots, images, _, _ = drawn(8, per_class=2)
    rows = [image.row for image in listed(shots, images, count=100)]
    assert 0 < len(rows) <= len(images)
    assert len(set(rows)) == len(rows)


def test_a_single_image_is_recommended():
    shots, images, _, _ = drawn(9)
    assert [image.row for image in listed(shots, images[:1])] == [0]


@pytest.mark.parametrize("head", [LDA(), KNN(), Ridge(), SoftKMeans()])
def test_any_head_has_the_same_list(head):
    shots, images, _, _ = drawn(10, K=1)
    rows = [image.row for image in listed(shots, images, head=head)]
    assert rows == [image.row for image in listed(shots, images)]


def test_images_that_are_all_alike_are_no_reason_to_fail():
    shots = torch.ones(3, 2, 8)
    assert listed(shots, torch.ones(5, 8)).reason == module.ALL_COPIES


@pytest.mark.parametrize(
    ("changed", "argument"),
    [
        ({"error": 1.5}, "error"),
        ({"error": float("nan")}, "error"),
        ({"count": 0}, "count"),
        ({"count": 2.5}, "count"),
        ({"classes": ["a"]}, "classes"),
        ({"files": ["a"]}, "files"),
        ({"unlabelled": Unlabelled.of(torch.zeros(1, 40, 3))}, "unlabelled"),
        ({"support": Support.of(torch.ones(2, 4, 1, 16))}, "support"),
    ],
)
def test_arguments_that_do_not_fit_are_named(changed, argument):
    shots, images, _, _ = drawn(0)
    arguments = {
        "support": Support.of(shots[None]),
        "head": NCM(),
        "unlabelled": Unlabelled.of(images[None]),
        "classes": NAMES[:4],
        "files": [str(row) for row in range(40)],
        "error": 0.3,
    }
    with pytest.raises(FewshotError) as raised:
        next_labels(**(arguments | changed))
    assert raised.value.argument == argument
