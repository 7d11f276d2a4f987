"""Checks of numbers: whatever comes, the error is a FewshotError that can be read."""

import math

import numpy as np
import pytest

from fewshot.exceptions import (
    LARGEST_INT,
    FewshotError,
    expect_bool,
    expect_choice,
    expect_number,
    expect_positive_int,
    expect_repeats,
    shown,
    suggestion,
)
from fewshot.hardware import check_threads, device_named

NO_NUMBERS = (True, None, "3", "", [], [1], {}, {"a": 1}, object, 1j, b"1", "x" * 1000)
NASTY = (*NO_NUMBERS, 10**400, -(10**400), 10**5000, math.nan, math.inf, -math.inf, 1e308, -1)


@pytest.mark.parametrize("value", NASTY, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "check",
    [
        lambda value: expect_positive_int("x", value),
        lambda value: expect_number("x", value, 0, 1),
        lambda value: expect_choice("x", value, ("a", "b")),
        check_threads,
        device_named,
    ],
)
def test_values_of_any_kind_are_refused_in_a_short_line(check, value):
    with pytest.raises(FewshotError) as refused:
        check(value)
    assert len(str(refused.value)) < 400
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, 1, "true", None, [], 10**50])
def test_booleans(value):
    with pytest.raises(FewshotError, match="true or false"):
        expect_bool("x", value)


def test_bounds_of_integers():
    for value in (1, np.int64(5), LARGEST_INT):
        expect_positive_int("x", value)
    with pytest.raises(FewshotError, match=r"<= 9223372036854775807, got 9223372036854775808"):
        expect_positive_int("x", LARGEST_INT + 1)
    with pytest.raises(FewshotError, match="<= 7, got 8"):
        expect_positive_int("x", 8, maximum=7)
    with pytest.raises(FewshotError, match=r">= 2, got .*1"):
        expect_positive_int("x", np.int32(1), minimum=2)


def test_integers_that_no_array_holds_are_no_numbers():
    expect_number("x", 1e300, 0)
    expect_number("x", LARGEST_INT, 0)
    for value in (LARGEST_INT + 1, 10**400):
        with pytest.raises(FewshotError, match="expected a number >= 0"):
            expect_number("x", value, 0)


def test_steps_have_an_end():
    expect_repeats("x", 1_000_000)
    with pytest.raises(FewshotError, match="<= 1000000, got 2147483648"):
        expect_repeats("x", 2147483648)


def test_values_are_shown_in_part():
    assert shown([1, 2]) == "[1, 2]"
    assert shown("x" * 500).endswith("xxx...")
    assert len(shown("x" * 500)) == 100
    assert shown(10**5000) == "an integer of more than 4300 digits"


def test_threads():
    check_threads(1)
    check_threads(64)
    with pytest.raises(FewshotError, match="threads: expected an integer <="):
        check_threads(100_000_000_000)


@pytest.mark.parametrize(("name", "near"), [("BPA", "bpa"), ("TIP-Adapter", "tip_adapter")])
def test_names_as_papers_write_them_find_theirs(name, near):
    assert suggestion(name, ["bpa", "ncm", "tip_adapter"]) == f"Did you mean {near!r}?"
