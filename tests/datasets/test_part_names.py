"""Cells on base classes are of no data set of their own."""

import pytest

from fewshot.datasets.part_names import name_with_part, of_one_part, part_of_name
from fewshot.report.comparison.ranks import ranks
from fewshot.results.comparing import _over_datasets

PARTS = ("novel", "validation", "base")


@pytest.mark.parametrize("part", PARTS)
def test_a_name_says_its_part(part):
    assert part_of_name(name_with_part("my (base) set", part)) == part
    assert part_of_name(name_with_part("a · b", part)) == part


def test_novel_ones_first():
    names = ["d (base classes)", "e", "d (validation classes)", "d"]
    assert of_one_part(names, str) == ["e", "d"]
    assert of_one_part([names[0], names[2]], str) == [names[2]]
    assert of_one_part(names[:1], str) == names[:1]
    assert of_one_part([], str) == []


def cells(*names):
    """Three heads, of which the first is ahead on base classes and the last elsewhere."""
    return [
        {
            "task": "classification", "dataset": name, "backbone": "a", "feature": "pooled",
            "head": head, "ways": 5, "shots": 1, "seed": 0, "queries": 15,
            "accuracy": {"mean": 0.8 - 0.1 * h if name.endswith(")") else 0.5 + 0.1 * h},
        }
        for name in names
        for h, head in enumerate(("knn", "lda", "ncm"))
    ]  # fmt: skip


def test_averages_and_tests_over_data_sets_are_of_novel_classes():
    novel, base = cells(*"vwxyz"), cells(*(f"{name} (base classes)" for name in "vwxyz"))
    assert ranks(novel + base) == ranks(novel)
    assert ranks(novel)[0]["names"] == ["ncm", "lda", "knn"]
    assert ranks(base)[0]["names"] == ["knn", "lda", "ncm"]
    heads = ["ncm", "lda"]
    assert _over_datasets(novel + base, "head", heads) == _over_datasets(novel, "head", heads)
