"""Warnings about the images of a forecast."""

import pytest

from fewshot.tasks.classification.forecast.unlabelled import Numbers
from fewshot.tasks.classification.forecast.warnings import disagreement_warnings


@pytest.mark.parametrize(
    ("alone", "expected"), [(0.16, True), (0.27, False), (0.41, False), (0.64, False), (0.7, True)]
)
def test_unlabelled_images_that_contradict_the_labelled_ones(alone, expected):
    """Judged by the interval with them; not by that of the labelled images alone."""
    warnings = [*disagreement_warnings(Numbers(alone, 0.0, 1.0), Numbers(0.41, 0.27, 0.64))]
    assert [("outside of the interval" in text) for text in warnings] == [True] * expected
