"""Labels of features: what is said of every image, and which to look at."""

from __future__ import annotations

import pytest
import torch

from fewshot.heads import NCM
from fewshot.heads.base import Support
from fewshot.tasks.classification.labelling.fitted import fit_classifier
from fewshot.tasks.classification.labelling.labels import (
    Label,
    LabelledImages,
    ModelFacts,
    answers_of,
    doubt_first,
    labels_of,
    reviewed,
)

NAMES = ("ant", "crab", "crayfish", "lobster")


@pytest.fixture(scope="module")
def fitted():
    """Nearest class means on four classes of five images."""
    generator = torch.Generator().manual_seed(0)
    means = 2 * torch.randn(4, 1, 12, generator=generator)
    features = means + 0.8 * torch.randn(4, 5, 12, generator=generator)
    unit = torch.nn.functional.normalize(features, dim=-1)
    support = Support.of(unit[None])
    return fit_classifier(support, NCM(), NAMES, 0.1), unit.flatten(0, 1)


def label(file="a.jpg", probability=0.9, none=False):
    return Label(file, "ant", probability, "crab", 0.05, False, none, ("ant",))


def test_labels_agree_with_the_probabilities(fitted):
    classifier, features = fitted
    files = [f"{n}.jpg" for n in range(len(features))]
    labels = labels_of(classifier, features, files, budget=0.2, level=0.8)
    chances = classifier.predict_proba(features)
    members = classifier.sets.members(chances, 0.8)
    for n, row in enumerate(labels):
        first, second = chances[n].argsort(descending=True)[:2].tolist()
        assert (row.file, row.label, row.runner_up) == (files[n], NAMES[first], NAMES[second])
        assert row.probability == float(chances[n, first])
        assert row.runner_up_probability == float(chances[n, second])
        assert set(row.classes) == {NAMES[c] for c in range(4) if members[n, c]}
        assert row.classes[0] == row.label
        order = [float(chances[n, NAMES.index(name)]) for name in row.classes]
        assert order == sorted(order, reverse=True)


def test_images_one_by_one_get_the_same_answers(fitted):
    classifier, features = fitted
    files = [str(n) for n in range(len(features))]
    together = answers_of(classifier, features, files)
    alone = [answers_of(classifier, features[n : n + 1], files[n : n + 1])[0]
             for n in range(len(features))]  # fmt: skip
    for one, other in zip(together, alone, strict=True):
        assert (one.label, one.runner_up, one.classes) == (other.label, other.runner_up,
                                                           other.classes)  # fmt: skip
        assert one.probability == pytest.approx(other.probability, abs=1e-5)
    assert answers_of(classifier, features[:0], []) == []


def test_images_of_none_of_the_classes_are_to_be_looked_at_whatever_the_budget():
    rows = [label(probability=0.9999) for _ in range(50)] + [label(probability=0.999, none=True)]
    looks = [row.look for row in reviewed(rows, 0.5)]
    assert looks == [False] * 50 + [True]


def test_the_budget_is_kept_among_the_others():
    rows = [label(probability=n / 100) for n in range(30, 100)]
    for budget in (0.02, 0.1, 0.3):
        kept = [row for row in reviewed(rows, budget) if not row.look]
        assert sum(1 - row.probability for row in kept) <= budget * len(kept) + 1e-9
        assert min(row.probability for row in kept) > max(
            row.probability for row in reviewed(rows, budget) if row.look
        )
    assert all(row.look for row in reviewed([label(probability=0.9)], 0.0))
    assert reviewed([], 0.05) == []


def test_doubt_comes_first_and_images_of_no_class_before_it():
    rows = [label("sure", 0.99), label("shoe", 0.98, True), label("doubt", 0.4),
            label("sock", 0.5, True)]  # fmt: skip
    assert [row.file for row in doubt_first(rows)] == ["sock", "shoe", "doubt", "sure"]


def test_counts_and_expected_error():
    rows = reviewed([label("a", 0.99), label("b", 0.97), label("c", 0.2)], 0.05)
    labels = LabelledImages(rows, [], ("crab", "ant"), 0.05, 0.9, ModelFacts("", "ncm", None))
    assert labels.counts == {"ant": 3}
    assert [row.file for row in labels.accepted] == ["a", "b"]
    assert labels.expected_error == pytest.approx(0.02)
    nobody = LabelledImages(rows[2:], [], ("ant",), 0.05, 0.9, ModelFacts("", "ncm", None))
    assert nobody.expected_error is None
