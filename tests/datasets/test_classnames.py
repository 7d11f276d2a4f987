"""Two classes of one name: refused, or told apart by what identifies them."""

import pytest

from fewshot.datasets.classnames import distinct_names
from fewshot.exceptions import FewshotError

KEPT = [
    (["crane", "kite", "crane"], None, ("crane (0)", "kite", "crane (2)")),
    (["crane", "kite", "crane"], ["n02", "n01", "n03"], ("crane (n02)", "kite", "crane (n03)")),
    (["crane", "crane", "crane (0)"], None, ("crane (0) (0)", "crane (1)", "crane (0) (2)")),
    (["Sea_Horse", "sea horse"], None, ("Sea_Horse", "sea horse")),
]


@pytest.mark.parametrize(("names", "ids", "kept"), KEPT)
def test_kept_names_are_told_apart(names, ids, kept):
    assert distinct_names("x", names, "a.npz", "keep", ids) == kept
    with pytest.raises(FewshotError) as caught:
        distinct_names("x", names, "a.npz", ids=ids)
    assert "a.npz" in str(caught.value) and "dataset.same_names=keep" in str(caught.value)
    assert names[0] in str(caught.value)


def test_different_names_stay():
    assert distinct_names("x", ["b", "a"], "a.npz") == ("b", "a")
    with pytest.raises(FewshotError, match=r"same_names: expected one of"):
        distinct_names("x", ["b", "a"], "a.npz", "merge")
