"""What a run says of its images and of what their features cost."""

import numpy as np
import pytest

from fewshot.evaluation.facts import extraction_facts
from fewshot.features.bank import make_bank


def bank_of(count, **info):
    features = np.random.default_rng(0).normal(size=(count, 3)).astype("float32")
    return make_bank(features, np.arange(count) % 4, info=info)


def test_images_per_second_are_of_all_that_went_through_the_backbone():
    """A run on a fifth of them did not make the extraction five times as slow."""
    whole = bank_of(200, seconds=4.0, images=200, causes={})
    part = whole.take_rows(np.arange(40))
    for bank in (whole, part):
        assert extraction_facts(bank, {"parameters": "3M"})["images_per_second"] == 50.0


@pytest.mark.parametrize("seconds", [None, 0])
def test_unknown_times_are_null(seconds):
    facts = extraction_facts(bank_of(8, seconds=seconds), {"parameters": "3M"})
    assert facts["images_per_second"] is None and facts["parameters"] is None
