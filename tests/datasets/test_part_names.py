"""Cells on base classes are of no data set of their own."""

from operator import itemgetter

from fewshot.datasets.part_names import of_one_part
from fewshot.report.comparison.ranks import ranks
from fewshot.results.comparing import SHOWN, _over_datasets
from fewshot.tasks import task_named


def test_novel_ones_first():
    items = [("d", "base"), ("e", "novel"), ("d", "validation"), ("d", "novel")]
    part = itemgetter(1)
    assert of_one_part(items, part) == [items[1], items[3]]
    assert of_one_part([items[0], items[2]], part) == [items[2]]
    assert of_one_part(items[:1], part) == items[:1]
    assert of_one_part([], part) == []


def cells(*names, part="novel"):
    """Three heads, of which the first is ahead on base classes and the last elsewhere."""
    return [
        {
            "task": "classification", "dataset": name, "part": part, "backbone": "a",
            "feature": "pooled", "head": head, "variant": "", "ways": 5,
            "shots": 1, "seed": 0, "queries": 15,
            "accuracy": {"mean": 0.8 - 0.1 * h if part == "base" else 0.5 + 0.1 * h},
        }
        for name in names
        for h, head in enumerate(("knn", "lda", "ncm"))
    ]  # fmt: skip


def test_averages_and_tests_over_data_sets_are_of_novel_classes():
    novel, base = cells(*"vwxyz"), cells(*"vwxyz", part="base")
    assert ranks(novel + base) == ranks(novel)
    assert ranks(novel)[0]["names"] == ["ncm", "lda", "knn"]
    assert ranks(base)[0]["names"] == ["knn", "lda", "ncm"]
    heads = ["ncm", "lda"]
    both, alone = (
        _over_datasets(
            [{**cell, SHOWN: cell["head"]} for cell in some], "head", heads,
            task_named("classification"), "accuracy",
        )
        for some in (novel + base, novel)
    )  # fmt: skip
    assert both == alone
