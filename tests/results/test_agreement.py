"""Rows of two runs compared: what counts as the same, and what as different."""

import numpy as np
import pandas as pd
import pytest

from fewshot.results.agreement import changed_environment, largest_difference

ROWS = pd.DataFrame(
    {
        "name": ["a", "b", None],
        "classes": [[1, 2], [3], []],
        "episode": [0, 1, 2],
        "error": [0.25, np.nan, np.inf],
    }
)


def test_equal_rows_differ_by_nothing():
    assert largest_difference(ROWS, ROWS.copy()) == 0


def test_the_largest_gap_of_any_number_is_told():
    other = ROWS.assign(error=[0.25 + 2**-40, np.nan, np.inf])
    assert largest_difference(ROWS, other) == 2**-40


@pytest.mark.parametrize(
    "change",
    [
        {"name": ["a", "c", None]},
        {"classes": [[1, 2], [4], []]},
        {"episode": [0, 1, 3]},
        {"error": [0.25, 0.5, np.inf]},
        {"further": [1, 2, 3]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_entries_have_no_distance(change):
    assert np.isnan(largest_difference(ROWS, ROWS.assign(**change)))


def test_fewer_rows_are_other_rows():
    assert np.isnan(largest_difference(ROWS, ROWS[:2]))


def test_only_what_can_change_a_number_is_told_of_the_environment():
    before = {"torch": "2.3.0", "numpy": "2.0", "git_commit": "a", "threads": 2}
    after = {"torch": "2.9.1", "numpy": "2.0", "git_commit": "b", "threads": 8}
    assert changed_environment(before, after) == {"torch": "2.3.0 -> 2.9.1"}
