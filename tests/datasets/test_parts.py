"""Words for parts and subsets: the same wherever they are read."""

import numpy as np
import pytest

from fewshot.datasets.parts import (
    PART_NAMES,
    SUBSET_NAMES,
    parts_of_classes,
    parts_or_subsets,
    subsets_of_rows,
)
from fewshot.exceptions import FewshotError

LABELS = np.array([0, 0, 1, 2, 2])
NAMES = ("ant", "bee", "cat")


@pytest.mark.parametrize(
    "split",
    [
        ["base", "base", "val", "novel", "novel"],
        ["train", "Training", " dev ", "test", "TEST"],
        [b"train", b"train", b"valid", b"testing", b"test"],
        [0, 0, 1, 2, 2],
        [0.0, 0.0, 1.0, 2.0, 2.0],
        ["0", "0", "1", "2", "2"],
    ],
)
def test_parts_in_words_and_numbers(split):
    assert parts_of_classes(np.array(split), LABELS, NAMES) == ("base", "validation", "novel")
    subsets = subsets_of_rows(np.array(split), 5) if split[0] != "base" else None
    if subsets is not None:
        assert subsets.tolist() == ["train", "train", "validation", "test", "test"]


def test_a_class_without_rows_is_never_drawn():
    parts = parts_of_classes(np.array(["train", "test"]), np.array([0, 2]), NAMES)
    assert parts == ("base", "validation", "novel")
    assert parts_of_classes(np.array([], str), np.array([], int), NAMES) == ("validation",) * 3


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (["train", "test", "val", "test", "test"], "'ant' is in base and in novel"),
        (["train", "train", "val", "tset", "test"], "got 'tset'. Did you mean 'test'"),
        ([0, 0, 1, 3, 3], "expected base, validation or novel, got '3'"),
        (["train", "train", "", "test", "test"], "got ''. Available: base, dev,"),
        ([0, 1], r"split: expected 5 entries, one per row, got shape (2,)"),
    ],
)
def test_splits_that_are_wrong(split, message):
    with pytest.raises(FewshotError) as caught:
        parts_of_classes(np.array(split), LABELS, NAMES)
    assert message in str(caught.value)
    if "in base and in novel" in message:
        assert "say so in `subset`" in str(caught.value)


def test_every_word_for_a_subset_means_a_part():
    assert SUBSET_NAMES.keys() < PART_NAMES.keys()
    with pytest.raises(FewshotError, match="subset: expected train, validation or test, got 'all'"):
        subsets_of_rows(np.array(["all"]), 1)


def test_subsets_without_a_common_class_are_parts():
    subset = np.array(["train", "train", "validation", "test", "test"])
    parts, rows = parts_or_subsets(subset, LABELS, 4)
    assert (parts, rows) == (("base", "validation", "novel", "validation"), None)
    for shared in (subset[[0, 3, 2, 3, 3]], subset[[3, 3, 3, 3, 3]]):
        parts, rows = parts_or_subsets(shared, LABELS, 3)
        assert parts is None and rows.tolist() == shared.tolist()
