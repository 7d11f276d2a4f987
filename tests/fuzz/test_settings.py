"""Every setting with values that nobody would give: a refusal, or a run, but never a traceback.

The settings are those that the program has, and not listed here.
"""

import os
import random

import pytest

from fewshot.config.compose import settings_from
from fewshot.config.nodes import options_of, sections

VALUES = (
    "99999999999999999999999999", "18446744073709551615", "9223372036854775807", "2147483648",
    "-99999999999999999999999", "-1", "0", "0.5", "1e-320", "1e308", "1e400", "-inf", "nan",
    "9" * 5000, "true", "null", "abc", '""', "[]", "{}", "[1,a]", "[null]", "[[]]", "{a:1}",
    "[99999999999999999999,1]", '"a\\tb"', "~nobody/x", "/dev/null", "/dev/zero", "x" * 300,
)  # fmt: skip
PER_SETTING = 3
SEED = int(os.environ.get("FEWSHOT_FUZZ", "0"))
DATA = ("dataset=features", "dataset.path=f.npz", "episodes.count=4")
BASE = (*DATA, "episodes.ways=3", "episodes.shots=[1]")
COMPONENTS = ("head", "estimator", "backbone")


def _leaves(settings, prefix=""):
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _places():
    """Command line and setting: of a run, each head, each estimator, each sampler, the tasks."""
    one = ("head=[ncm]", "estimator=[constant]")
    settings = settings_from([*BASE, *one])
    for name in COMPONENTS:
        del settings[name]
    yield from (((*BASE, *one), key) for key in _leaves(settings))
    for group, other in (("head", one[1]), ("estimator", one[0])):
        for name, options in options_of(group).items():
            line = (*BASE, other, f"{group}=[{name}]")
            yield from ((line, key) for key in _leaves(options, f"{group}."))
    for sampler, options in options_of("episodes").items():
        line = (*DATA, *one, f"episodes={sampler}")
        yield from ((line, key) for key in _leaves(options, "episodes."))
    for key in _leaves({"one_class": sections()["one_class"]}):
        yield (*BASE, "task=one_class", "head=[]"), key


def _cases(values_of):
    return [(*line, f"{key}={value}") for line, key in _places() for value in values_of(key)]


def test_a_sample_of_the_settings(faults):
    drawn = random.Random(SEED)
    assert not faults(drawn.sample(_cases(lambda _: VALUES), 8))


def test_numbers_beyond_all_limits(faults):
    keys = ("seed", "episodes.count", "episodes.shots", "threads", "device", "episodes.path")
    line = (*BASE, "head=[ncm]", "estimator=[constant]")
    assert not faults((*line, f"{key}={VALUES[0]}") for key in keys)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_every_setting(faults, part):
    drawn = random.Random(SEED)
    cases = _cases(lambda _: drawn.sample(VALUES, PER_SETTING))
    assert not faults(cases[part::8])
