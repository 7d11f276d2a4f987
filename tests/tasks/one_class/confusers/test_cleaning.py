"""Near duplicates and nearest names by text vectors, against plain loops."""

import math

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.tasks.one_class.confusers.cleaning import drop_near, nearest_names
from fewshot.tasks.one_class.confusers.lists import ConfuserLists, Dropped

NAMES = (("lobster", "crayfish"), (), ("tin",))
OLD = Dropped("Crab", "the class's own name in another form")


def lists(source="llm"):
    return ConfuserLists(
        ("crab", "ant", "can"), NAMES, ((OLD,), (), ()), {"source": source, "k": 3}
    )


def vectors(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], -1).float()


def test_what_is_near():
    classes = vectors(0, 0, 90) * 7  # lengths do not count
    encoded = dict(zip(("lobster", "crayfish", "tin"), vectors(20, 5, 95) / 3, strict=True))
    cleaned = drop_near(lists(), classes, encoded, 0.95)  # 18.2 degrees
    assert cleaned.names == (("lobster",), (), ())
    assert cleaned.dropped[0] == (OLD, Dropped("crayfish", "text cosine 1.00 with the class"))
    assert cleaned.dropped[2][0].reason == "text cosine 1.00 with the class"
    assert cleaned.record == {
        "source": "llm", "k": 3, "cosine": 0.95, "without_confusers": ["ant", "can"],
    }  # fmt: skip
    assert drop_near(lists(), classes, encoded, 0.9).names == ((), (), ())
    assert drop_near(lists(), classes, encoded, None) == lists()
    assert drop_near(lists("oracle"), classes, encoded, 0.5) == lists("oracle")


def test_what_cannot_be_compared():
    encoded = {"lobster": torch.ones(2), "crayfish": torch.ones(2)}
    with pytest.raises(FewshotError, match="none for the name 'tin'"):
        drop_near(lists(), torch.eye(3, 2) + 1, encoded, 0.95)
    with pytest.raises(FewshotError, match="expected 3 rows, got 2"):
        drop_near(lists(), torch.eye(2), encoded, 0.95)
    for limit in (0, 1.5, "x", True):
        with pytest.raises(FewshotError, match=r"one_class\.confusers\.cosine"):
            drop_near(lists(), torch.eye(3, 2), encoded, limit)


def test_nearest_names_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(3)
    classes = torch.randn(5, 6, generator=generator)
    words = torch.randn(40, 6, generator=generator)
    names = [f"w{n}" for n in range(40)]
    result = nearest_names(classes, words, names, 7)
    for vector, row in zip(classes, result, strict=True):
        cosine = {
            n: float(vector @ w / vector.norm() / w.norm())
            for n, w in zip(names, words, strict=True)
        }
        assert row == sorted(names, key=lambda n: -cosine[n])[:7]
    assert nearest_names(classes[:1], torch.ones(3, 6), ["a", "b", "c"], 9) == [["a", "b", "c"]]


def test_equal_cosines_keep_the_order_of_the_vocabulary_also_where_the_list_ends():
    words = torch.eye(4)[[0, 1, 0, 1, 0, 2]]
    names = ["a", "x", "b", "y", "c", "z"]
    assert nearest_names(torch.eye(4)[:1], words, names, 2) == [["a", "b"]]
    assert nearest_names(torch.eye(4)[:1], words, names, 5) == [["a", "b", "c", "x", "y"]]
