"""Features too large, too small or too different in size for arithmetic with their squares."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.features.data_warnings import direction_warning
from fewshot.features.ranges import (
    check_range,
    magnitudes,
    row_sizes,
    spread,
    unit_length,
)

LABELS = np.repeat(np.arange(6), 12)


def rows(dim=10, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(6, dim))[LABELS] + rng.normal(size=(72, dim))


def with_row(size):
    features = rows()
    features[17] *= size
    return features


def with_column(size):
    features = rows()
    features[:, 3] = size * np.abs(features[:, 3])
    return features


BAD = {
    "huge": rows() * 1e37,
    "beyond float32": rows() * 1e200,
    "tiny": rows() * 1e-20,
    "denormal in float32": rows() * 1e-42,
    "denormal in float64": rows() * 1e-315,
    "too large for fourth powers": rows() * 1e8,
    "too small for penalties": rows() * 1e-5,
    "a huge row": with_row(1e30),
    "a row that hides the others": with_row(1e6),
    "a huge column": with_column(1e37),
    "rows of zeros but for tiny ones": rows() * (np.arange(72) % 3 == 0)[:, None] * 1e-25,
    "one dimension": rows(1) * 1e25,
}


def types_that_hold(features):
    for dtype in (np.float32, np.float64):
        with np.errstate(over="ignore", under="ignore"):
            cast = features.astype(dtype)
        if np.isfinite(cast).all() and cast.any():
            yield cast


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("head", ["ncm", "knn", "ridge"])
def test_refused_as_they_are_and_right_at_unit_length(kind, head):
    for features in types_that_hold(BAD[kind]):
        with pytest.raises(FewshotError, match=r"^features: expected rows .*normalize=l2"):
            fewshot.evaluate(features, LABELS, head=head, episodes=4, shots=2)
        if kind == "a huge column":  # beside which the others are nothing at unit length, too
            with pytest.raises(FewshotError, match="point in the same direction"):
                fewshot.evaluate(features, LABELS, head=head, episodes=4, normalize="l2")
            continue
        result = fewshot.evaluate(
            features, LABELS, head=head, episodes=10, shots=2, normalize="l2", estimators=["margin"]
        )
        if kind not in ("one dimension", "rows of zeros but for tiny ones"):
            assert result.summary["accuracy"]["mean"] > 0.6


def test_what_is_wrong_is_named():
    with pytest.raises(FewshotError, match=r"got \d\.\d+e\+30 in row 17, where rows typically"):
        check_range(make_bank(with_row(1e30), LABELS))
    with pytest.raises(FewshotError, match=r"0\.00098 to 1\.7e\+07, .* got 3\.\d+e-20"):
        check_range(make_bank(rows() * 1e-20, LABELS))


@pytest.mark.parametrize("normalize", ["none", "l2"])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-42, -3e37])
def test_rows_that_are_all_the_same_are_refused(normalize, value):
    bank = make_bank(np.full((72, 5), value, np.float32), LABELS, normalize=normalize)
    with pytest.raises(FewshotError, match="got 72 rows that are all the same"):
        check_range(bank)


@pytest.mark.parametrize("scale", [2.0**-9, 1.0, 2.0**20])
@pytest.mark.parametrize("head", ["ncm", "lda", "knn"])
def test_powers_of_two_in_range_change_nothing(scale, head):
    settings = {"head": head, "episodes": 10, "shots": 3}
    names = ["margin", "loo", "gaussian", "auto"]
    first, second = (
        fewshot.evaluate(each.astype(np.float32), LABELS, estimators=names, **settings)
        for each in (rows(), rows() * scale)
    )
    assert first.episodes["accuracy"].equals(second.episodes["accuracy"])
    np.testing.assert_allclose(
        first.predictions["predicted_error"], second.predictions["predicted_error"], atol=1e-6
    )


@pytest.mark.parametrize("change", [lambda x: x * (np.arange(72) % 9 > 0)[:, None], lambda x: x])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_ordinary_rows_pass(change, dtype):
    features = change(rows()).astype(dtype)
    features[:, 2] = 5.0  # a constant feature, and zeros among the rows
    check_range(make_bank(features, LABELS))


def test_float16_has_no_such_numbers():
    largest = (6e4 / np.abs(rows()).max() * rows()).astype(np.float16)
    assert fewshot.evaluate(largest, LABELS, episodes=5).summary["accuracy"]["mean"] > 0.6


def test_sizes_of_rows_in_blocks(monkeypatch):
    monkeypatch.setattr("fewshot.features.ranges.ROWS_PER_BLOCK", 7)
    features = with_row(50.0)
    features[3] = 0
    sizes = row_sizes(features)
    np.testing.assert_array_equal(sizes, np.abs(features).max(1))
    result = magnitudes(sizes)
    assert result == (np.median(sizes[sizes > 0]), sizes.max(), 17)


def test_what_an_extraction_noted_is_not_read_again():
    bank = make_bank(rows(), LABELS, info={"magnitudes": [1e30, 1e31, 5]})
    with pytest.raises(FewshotError, match=r"got 1e\+31"):
        check_range(bank)
    check_range(replace(bank, normalize="l2"))
    check_range(bank.take_rows(np.arange(40)))  # which are others than those of the note


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_unit_length_is_that_of_float64_whatever_the_size(dtype):
    generator = torch.Generator().manual_seed(0)
    shape = torch.randn(40, 30, generator=generator, dtype=torch.float64)
    lowest, highest = (-149, 124) if dtype == torch.float32 else (-1074, 1020)
    exponents = torch.linspace(lowest + 8, highest, 40, dtype=torch.float64)[:, None]
    features = torch.ldexp(torch.ldexp(shape, (exponents / 2).floor()), (exponents / 2).ceil())
    features = features.to(dtype)
    features[11] = 0
    result = unit_length(features)
    assert result.dtype == dtype
    assert not result[11].any()
    lengths = result.double().norm(dim=1)
    torch.testing.assert_close(lengths, (torch.arange(40) != 11).double(), rtol=0, atol=1e-6)
    ordinary = exponents[:, 0].abs() < 30
    plain = torch.nn.functional.normalize(features[ordinary], dim=1)
    assert torch.equal(result[ordinary], plain)  # bit for bit, whatever rows are beside them


def test_texts_of_any_length_are_given_unit_length():
    text = np.random.default_rng(0).normal(size=(6, 10))
    for scale in (1e-200, 1e200):
        bank = make_bank(rows(), LABELS, text=text * scale)
        np.testing.assert_allclose(np.linalg.norm(bank.text, axis=1), 1, atol=1e-6)
    with pytest.raises(FewshotError, match="length zero"):
        make_bank(rows(), LABELS, text=text * (np.arange(6) > 0)[:, None])


ALIKE = {
    "a large offset": rows() + 1e5,
    "a large constant column": np.hstack([rows(), np.full((72, 1), 1e5)]),
    "multiples of one row": np.abs(rows(1)) * np.arange(1, 8),
    "one positive dimension": np.abs(rows(1)),
}


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_one_direction_are_never_chance_in_silence(kind, dtype):
    bank = make_bank(ALIKE[kind].astype(dtype), LABELS)
    with pytest.raises(FewshotError, match=r"in the same direction.*Subtract the mean"):
        check_range(replace(bank, normalize="l2"))
    if kind.startswith("a large"):
        with pytest.raises(FewshotError, match="rows that are nearly the same: they differ by"):
            check_range(bank)
    else:  # nearest class mean has the lengths to go by; whatever goes by cosine has nothing
        with pytest.warns(UserWarning, match="all rows point in the same direction"):
            fewshot.evaluate(bank.features, LABELS, episodes=4, shots=2)


def test_after_subtracting_the_mean_nothing_is_refused():
    features = rows() + 1e5
    check_range(make_bank(features - features.mean(0), LABELS, normalize="l2"))


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_of_one_dimension_only_the_sign_has_a_direction(normalize):
    with pytest.warns(UserWarning, match="features: with one dimension, .* nothing but the sign"):
        fewshot.evaluate(rows(1), LABELS, episodes=4, shots=2, normalize=normalize)


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_a_column_that_hides_the_others_is_said(normalize):
    rows = np.random.default_rng(0).normal(size=(60, 8))
    labels = np.repeat(np.arange(6), 10)
    assert direction_warning(make_bank(rows, labels, normalize=normalize)) is None
    rows[:, 3] *= 1e4
    assert "column 3 has" in direction_warning(make_bank(rows, labels, normalize=normalize))


def test_denormals_without_digits_are_refused():
    with pytest.raises(FewshotError, match=r"at least 7\.6e-06 in float16.* no digits left"):
        check_range(make_bank((rows() * 1e-7).astype(np.float16), LABELS, normalize="l2"))


@pytest.mark.parametrize(("scale", "unit"), [(1.0, False), (1e30, False), (1e-30, True)])
def test_spread_by_its_definition(scale, unit):
    features = np.array([[3.0, 1.0], [3.0, -1.0], [0.0, 0.0]]) * scale
    assert spread(features, unit) == pytest.approx(0.1**0.5)
