"""Features and labels in the shapes and kinds of other programs."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from fewshot.exceptions import FewshotError
from fewshot.features import make_bank

ROWS, DIM, CLASSES = 12, 5, 3
FEATURES = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
LABELS = np.repeat(np.arange(CLASSES), 4)
ONE_HOT = np.eye(CLASSES)[LABELS]


@pytest.mark.parametrize(
    "features",
    [
        FEATURES[:, :, None, None], FEATURES[:, None], FEATURES[:, None, :, None], FEATURES[None],
        FEATURES.tolist(), list(torch.as_tensor(FEATURES)), torch.tensor(FEATURES).requires_grad_(),
        torch.as_tensor(FEATURES).to_sparse(), pd.DataFrame(FEATURES), pd.Series(list(FEATURES)),
        pd.DataFrame(FEATURES).astype("Float64"), FEATURES.astype(object),
        FEATURES.astype(np.longdouble), np.asfortranarray(FEATURES), FEATURES.astype(">f4"),
        torch.as_tensor(FEATURES)[:, :, None, None],
    ],
)  # fmt: skip
def test_features_of_any_kind(features):
    bank = make_bank(features, LABELS)
    assert np.allclose(bank.features, FEATURES)
    reshaped = getattr(features, "ndim", 2) > 2
    assert len(bank.info.get("notices", ())) == reshaped


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, None], LABELS[None], ONE_HOT, ONE_HOT.astype(bool), torch.as_tensor(ONE_HOT),
        LABELS.astype(float), LABELS.astype(object), LABELS.tolist(), list(torch.tensor(LABELS)),
        torch.tensor(LABELS).bfloat16(), pd.Series(LABELS), pd.DataFrame({"y": LABELS}),
        pd.array(LABELS, dtype="Int64"), pd.Categorical(LABELS),
    ],
)  # fmt: skip
def test_labels_of_any_kind(labels):
    bank = make_bank(FEATURES, labels)
    assert bank.labels.tolist() == LABELS.tolist()
    assert bank.classnames == ("0", "1", "2")
    assert make_bank(FEATURES, labels, classnames=["a", "b", "c"]).classnames == ("a", "b", "c")


def test_booleans_are_two_classes():
    for labels in (LABELS > 1, torch.tensor(LABELS > 1), (LABELS > 1).tolist()):
        bank = make_bank(FEATURES, labels)
        assert bank.classnames == ("False", "True")
        assert bank.labels.tolist() == (LABELS > 1).astype(int).tolist()
    assert make_bank(FEATURES, LABELS > 1, classnames=["no", "yes"]).classnames == ("no", "yes")


MASKED = np.ma.array(LABELS[:, None], mask=np.arange(ROWS)[:, None] == 3)
NULLABLE = pd.DataFrame(FEATURES).astype("Float64")
NULLABLE.iloc[3, 2] = pd.NA


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (FEATURES.T, LABELS, r"expected 12 rows, one per label, got shape \(5, 12\).*features\.T"),
        (np.zeros((12, 4, 7, 7)), LABELS, r"features\.mean\(\(2, 3\)\)"),
        (np.zeros((12, 7, 7, 4)), LABELS, r"features\.mean\(\(1, 2\)\)"),
        (np.zeros((12, 5, 4)), LABELS, r"features\.mean\(1\).*features\[:, 0\]"),
        (FEATURES[:, 0], LABELS, r"features\[:, None\]"),
        (FEATURES.astype(complex), LABELS, r"got complex128.*features\.real"),
        (scipy.sparse.csr_matrix(FEATURES), LABELS, r"features\.toarray\(\)"),
        (pd.DataFrame(FEATURES).assign(note="x"), LABELS, "text 'x' in column 'note', row 0"),
        (NULLABLE, LABELS, "finite numbers, got NaN or infinity in row 3"),
        ([[1, 2], [3]], [0, 1], "features: expected an array or a tensor, got list"),
        (pd.Series([[1.0, 2.0], [3.0]]), [0, 1], "rows of the same length"),
        ({"a": 1}, LABELS, "expected numbers, got dict"),
        (FEATURES, np.full((12, 4), 0.25), r"of probabilities.*labels\.argmax\(1\)"),
        (FEATURES, np.ones((12, 3)), "row 0 has 3 ones"),
        (FEATURES, np.where(np.arange(12)[:, None] == 4, 0, ONE_HOT), "1 of 12 is missing.*row 4"),
        (FEATURES, MASKED, "1 of 12 is missing.*first in row 3"),
        (FEATURES, torch.tensor(LABELS + 300).bfloat16(), "up to 256 only, got 302"),
        (FEATURES, LABELS[:-1], r"expected 11 rows|expected 12 labels"),
    ],
)  # fmt: skip
def test_what_is_refused_with_the_line_that_mends_it(features, labels, message):
    with pytest.raises(FewshotError, match=message):
        make_bank(features, labels)


def test_two_classes_of_one_name():
    with pytest.raises(FewshotError, match="classnames: 2 classes have the name 'a'"):
        make_bank(FEATURES, LABELS, classnames=["a", "b", "a"])
