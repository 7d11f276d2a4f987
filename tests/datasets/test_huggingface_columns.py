"""Labels of tables, which need nothing of the extra but its interface."""

import math
from types import SimpleNamespace

import pytest

from fewshot.datasets.huggingface_columns import numbered
from fewshot.exceptions import FewshotError


class Table:
    """A table with one column, as ``datasets`` shows it."""

    def __init__(self, labels, names=None):
        self.labels, self.features = labels, {"kind": SimpleNamespace(names=names)}

    def select_columns(self, _):
        return self

    def __getitem__(self, rows):
        return {"kind": self.labels[rows]}


@pytest.mark.parametrize("value", [None, "", " ", -1, math.nan])
def test_some_rows_without_a_label(value):
    like = "cat" if isinstance(value, str) else 0
    tables = {"train": Table([like, like]), "test": Table([like, value, like, value])}
    with pytest.raises(FewshotError, match=r"'test' has 2 of 4 images .*, first in row 1\."):
        numbered(tables, "kind")
    assert numbered({"train": tables["train"]}, "kind")[0].tolist() == [0, 0]


def test_texts_of_missing_labels():
    with pytest.raises(FewshotError, match=r"dataset\.label: 1 of 2 are 'nan', first in row 1"):
        numbered({"all": Table(["cat", "nan"])}, "kind")


def test_a_class_of_the_set_s_own_list_is_one_whatever_its_name():
    assert numbered({"all": Table([0, 1], ["cat", "None"])}, "kind")[1] == ("cat", "None")
