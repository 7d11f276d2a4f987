"""Labels as they come: numbers, names, and those that are missing."""

import decimal

import numpy as np
import pandas as pd
import pytest
import torch

import fewshot
from fewshot.datasets.labels import encode_labels, unlabelled
from fewshot.exceptions import FewshotError
from fewshot.features.bank import make_bank

NAMES = ["ash", "elm", "ash", "elm", "oak", "oak"]
NUMBERS = [3, 10, 3, 10, 7, 7]


def names_with(value):
    return [*NAMES[:2], value, *NAMES[3:5], value]


def numbers_with(value):
    return [*NUMBERS[:2], value, *NUMBERS[3:5], value]


def polars_series(values):
    """A series of polars, where it is installed."""
    try:
        import polars
    except ImportError:
        return []
    return [polars.Series(values)]


def masked(values):
    return np.ma.MaskedArray(values, [False, False, True, False, False, True])


@pytest.mark.parametrize(
    "labels",
    [
        *(names_with(value) for value in (None, np.nan, float("nan"), pd.NA, pd.NaT, "", "  ")),
        np.array(names_with(None), dtype=object),
        np.array(names_with("")),
        np.array(names_with("\t")).astype("S"),
        tuple(names_with(float("nan"))),
        pd.Series(names_with(None)),
        pd.Series(names_with(None), dtype="string"),
        pd.Series(names_with(None), dtype="category"),
        *polars_series(names_with(None)),
        masked(NAMES),
        numbers_with(None),
        numbers_with(np.nan),
        numbers_with(decimal.Decimal("nan")),
        torch.tensor(numbers_with(float("nan"))),
        pd.Series(numbers_with(pd.NA), dtype="Int64"),
        pd.Series(numbers_with(None), dtype="category"),
        *polars_series(numbers_with(None)),
        masked(NUMBERS),
        np.array(["2020", "2021", "NaT", "2020", "2021", "NaT"], dtype="datetime64[Y]"),
    ],
    ids=repr,
)
def test_missing_labels_are_refused_with_their_number_and_the_first(labels):
    with pytest.raises(FewshotError) as caught:
        make_bank(np.eye(6), labels)
    assert str(caught.value) == (
        "labels: 2 of 6 are missing (None, NaN or empty), first in row 2. Drop these rows."
    )


def test_a_single_missing_label():
    with pytest.raises(FewshotError, match=r"1 of 2 is missing .*, first in row 1\."):
        make_bank(np.eye(2), ["a", None], ["a", "b"])


@pytest.mark.parametrize("text", ["nan", "None", "<NA>", "NaT"])
def test_what_missing_labels_become_as_text_is_a_class_only_where_it_is_listed(text):
    labels = np.array(names_with(text))
    with pytest.raises(FewshotError, match=rf"2 of 6 are '{text}', first in row 2, .*classnames"):
        make_bank(np.eye(6), labels)
    listed = make_bank(np.eye(6), labels, ["ash", "elm", "oak", text])
    assert np.bincount(listed.labels).tolist() == [1, 2, 1, 2]
    with pytest.raises(FewshotError, match="is not among the class names"):
        make_bank(np.eye(6), labels, ["ash", "elm", "oak"])


def test_names_that_only_resemble_missing_ones_are_classes():
    names = ["none", "Nan", "NA", "null", "0", "unknown"]
    assert make_bank(np.eye(6), names).classnames == tuple(sorted(names))


def test_features_files_with_missing_labels(workplace):
    for labels in (np.array(names_with("")), np.array(numbers_with(np.nan))):
        np.savez(workplace / "f.npz", features=np.eye(6), labels=labels)
        settings = {"kind": "features", "path": str(workplace / "f.npz")}
        with pytest.raises(FewshotError, match=r"dataset\.path=.*: labels: 2 of 6 are missing"):
            fewshot.datasets.load_dataset(settings)


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        np.array(NUMBERS, dtype=object),
        np.array(NUMBERS, dtype=float),
        np.array([float(n) for n in NUMBERS], dtype=object),
        torch.tensor(NUMBERS),
        pd.Series(NUMBERS, dtype="Int64"),
        pd.Series(NUMBERS, dtype="category"),
        *polars_series(NUMBERS),
    ],
    ids=repr,
)
def test_numbers_are_numbers_whatever_holds_them(labels):
    numbers, names = encode_labels(labels, None)
    assert names == ("3", "7", "10")
    assert numbers.tolist() == [0, 2, 0, 2, 1, 1]
    positions, _ = encode_labels(labels, [f"class {c}" for c in range(11)])
    assert positions.tolist() == NUMBERS


def test_what_is_neither_number_nor_name():
    for labels, message in (
        ([0.5, 1, 2], "expected integers or names, got float64"),
        ([0, 1, np.inf], "got infinity"),
        (np.array([True, False, True]), "got bool"),
    ):
        with pytest.raises(FewshotError, match=message):
            encode_labels(labels, None)


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        ([-1, 0, 1, -1], 2),
        (["-1", "0", "12", "5"], 1),
        (["-1.0", "0.0", "1.0", "-1.0"], 2),  # whole numbers after a column with gaps
        (["-1.0", "1.0", "-1.0", "1.0"], 0),
        ([-1, 1, -1, 1], 0),  # two classes, as of a support vector machine
        ([-2, -1, 0, 1], 0),
        ([-1, -1, -1, -1], 0),
        (["-1", "a", "b", "a"], 0),
        ([0, 1, 2, 3], 0),
    ],
)
def test_minus_one_beside_numbers_from_zero_on_is_counted(labels, count):
    bank = make_bank(np.eye(4), labels)
    assert unlabelled(bank.labels, bank.classnames) == count


def test_minus_one_where_numbers_are_positions():
    with pytest.raises(FewshotError, match=r"got -1\.\.1\. Rows of -1 usually have no label"):
        make_bank(np.eye(3), [-1, 0, 1], ["a", "b"])


def test_numbers_of_a_type_that_numpy_lacks():
    assert encode_labels(torch.tensor([3.0, 7.0, 3.0], dtype=torch.bfloat16), None)[1] == ("3", "7")


def test_masked_features_are_missing():
    features = np.ma.masked_array(np.eye(3), mask=np.eye(3)[::-1])
    with pytest.raises(FewshotError, match="features: 3 rows have masked numbers, first row 0"):
        make_bank(features, [0, 1, 2])
    make_bank(np.ma.masked_array(np.eye(3)), [0, 1, 2])
