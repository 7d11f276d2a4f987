"""Names, where their objects live, and what is said of names that do not exist."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from fewshot import (
    backbones,
    datasets,
    heads,
)
from fewshot import (
    estimators as errors,
)
from fewshot import (
    paths as resources,
)
from fewshot.exceptions import (
    FewshotError,
    UnknownNameError,
    expect_choice,
    expect_number,
    expect_positive_int,
    suggestion,
)
from fewshot.registry import Registry

REGISTRIES = {
    "heads": heads.heads,
    "estimators": errors.estimators,
    "kinds of data sets": datasets.kinds,
    "kinds of backbones": backbones.kinds,
}


class Thing:
    def __init__(self, size=1):
        self.size = size


def anything(**parameters):
    return parameters


@pytest.fixture
def things():
    registry = Registry("thing")
    registry.add("thing", Thing, "it has a size")
    registry.add("any", anything)
    registry.add("fraction", "fractions:Fraction", "of the standard library")
    return registry


def test_entries(things):
    assert list(things) == ["any", "fraction", "thing"]
    assert things.names("*i*") == ["fraction", "thing"]
    assert len(things) == 3
    assert "thing" in things
    assert "nothing" not in things
    assert things["thing"].origin.endswith("test_registry:Thing")
    assert things["fraction"].origin == "fractions:Fraction"
    assert things["fraction"].summary == "of the standard library"


def test_objects_are_made_with_their_parameters(things):
    assert things.create("thing", size=3).size == 3
    assert things.create("any", foo=1) == {"foo": 1}
    assert float(things.create("fraction", numerator=1, denominator=2)) == 0.5


def test_a_parameter_that_an_object_does_not_take(things):
    with pytest.raises(FewshotError, match=r"thing: 'thing' has no setting 'sise'.*'size'"):
        things.create("thing", sise=3)


def test_a_name_is_registered_once(things):
    with pytest.raises(ValueError, match=r"'fraction' is registered already: fractions:Fraction"):
        things.add("fraction", Thing)


@pytest.mark.parametrize(("name", "hint"), [("thingy", "Did you mean 'thing'?"),
                                            ("qqq", "Available: any, fraction, thing."),
                                            (3, "Available: "), ([], "Available: ")])  # fmt: skip
def test_unknown_names(things, name, hint):
    with pytest.raises(UnknownNameError) as caught:
        things.create(name)
    assert str(caught.value).startswith(f"thing: expected a registered name, got {str(name)!r}")
    assert hint in str(caught.value)
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_every_registered_thing_loads_and_has_a_line_about_it(registry):
    for name in registry:
        assert callable(registry[name].load())
        assert registry[name].summary


def test_naming_things_imports_none_of_them():
    code = (
        "import sys, fewshot\n"
        "from fewshot.backbones import kinds\n"
        "from fewshot.heads import heads\n"
        "from fewshot.cli.main import main\n"
        "assert heads.names() and kinds.names()\n"
        "assert main(['list', 'backbones']) == main(['--help']) == 0\n"
        "print([m for m in ('torch', 'timm', 'hydra', 'pandas') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_option_of_the_configuration_names_a_registered_kind():
    for name, settings in resources.options("backbone").items():
        assert settings["kind"] in backbones.kinds, name
        assert settings["summary"]
    for name, settings in resources.options("dataset").items():
        assert settings["kind"] in datasets.kinds, name


def test_options_and_cards():
    names = ["dinov2_vitb14", "dinov2_vitg14", "dinov2_vitl14", "dinov2_vits14"]
    assert list(resources.options("backbone", "dinov2_vit?14")) == names
    assert resources.option("backbone", "resnet18")["kind"] == "timm"
    with pytest.raises(UnknownNameError, match=r"backbone: .* Did you mean 'resnet18'"):
        resources.option("backbone", "resnet19")
    assert resources.card("digits")["classnames"]
    assert resources.card("nothing") == {}


def test_errors_are_one_line_and_can_be_sent_between_processes():
    error = FewshotError("seed", "expected\n  a number", "Give one.")
    assert str(error) == "seed: expected a number. Give one."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    unknown = UnknownNameError("head", "lad", ["ncm", "lda"])
    assert str(pickle.loads(pickle.dumps(unknown))) == str(unknown)
    assert isinstance(error, ValueError)


def test_long_lists_are_not_printed():
    assert suggestion("x", [f"name{i}" for i in range(31)]) == (
        "There are 31, from 'name0' to 'name9'."
    )
    assert suggestion("name7", [f"name{i}" for i in range(31)]).startswith("Did you mean 'name7'")


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True])
def test_a_positive_integer(value):
    with pytest.raises(FewshotError, match="n: expected an integer >= 1, got "):
        expect_positive_int("n", value)
    expect_positive_int("n", 1)
    expect_positive_int("n", 0, minimum=0)
    expect_positive_int("n", np.int64(3))
    with pytest.raises(FewshotError, match="n: expected an integer >= 4, got "):
        expect_positive_int("n", np.int32(3), minimum=4)


@pytest.mark.parametrize("value", [0, 1.5, -1, float("nan"), float("inf"), "0.5", None, True])
def test_a_number(value):
    with pytest.raises(FewshotError, match=r"n: expected a number in \(0, 1\], got .*\. Why\."):
        expect_number("n", value, 0, 1, above=True, remedy="Why.")


def test_a_number_of_any_kind_and_size():
    for value in (1, 0.5, np.float32(0.5), np.int64(1)):
        expect_number("n", value, 0, 1, above=True)
    expect_number("n", 0, 0)
    with pytest.raises(FewshotError, match=r"n: expected a number >= 0, got -1\."):
        expect_number("n", -1, 0)
    with pytest.raises(FewshotError, match=r"n: expected a number > 2, got 2\."):
        expect_number("n", 2, 2, above=True)


def test_a_choice():
    expect_choice("c", "a", ("a", "b"))
    with pytest.raises(FewshotError, match="c: expected one of 'alpha', 'beta', got 'alhpa'"):
        expect_choice("c", "alhpa", ("alpha", "beta"))
