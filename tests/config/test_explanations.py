"""Explanations of settings, read from docstrings."""

import dataclasses

import pytest

from fewshot.config.explanations import Explanation, explanations, parse


class Base:
    """A base class.

    Parameters
    ----------
    size : int >= 1
        Of the base.
    name : str
        Goes into the rows.

    Raises
    ------
    ValueError
        Never.
    """

    def __init__(self, size=1, name=""):
        self.size, self.name = size, name


class Derived(Base):
    """A derived class.

    Parameters
    ----------
    size : int >= 2
        Of the derived class,
        in two lines.
    name : str
    low, high : float, optional

    Notes
    -----
    note : not a parameter
        Nothing.
    """

    def __init__(self, size=2, name="", low=None, high=None):
        super().__init__(size, name)
        self.low, self.high = low, high


class Constructed:
    """Documented at its constructor."""

    def __init__(self, rate=0.5):
        """Create it.

        Parameters
        ----------
        rate : float in (0, 1]
            Of learning.
        """
        self.rate = rate


@dataclasses.dataclass
class Options:
    """Options.

    Attributes
    ----------
    kind : {"a", "b"}, or None
        "a" as in :class:`~fewshot.heads.lda.LDA`, ``b`` otherwise; None is True of neither.
    """

    kind: str | None = None


def test_entries_of_a_class_and_its_base_classes():
    found = explanations(Derived)
    assert found["size"] == ("int >= 2", "Of the derived class, in two lines.")
    assert found["name"] == ("str", "Goes into the rows.")  # its own entry has no description
    assert found["low"] == found["high"] == ("float, optional", "")
    assert set(found) == {"size", "name", "low", "high"}


def test_entries_of_a_constructor():
    assert explanations(Constructed) == {"rate": ("float in (0, 1]", "Of learning.")}


def test_comments_are_in_the_words_of_yaml():
    assert explanations(Options)["kind"].comment() == (
        'a | b, or null. "a" as in LDA, `b` otherwise; null is true of neither.'
    )


@pytest.mark.parametrize(
    ("written", "comment"),
    [
        ("int", "integer."),
        ("bool", "true | false."),
        ("str, optional", "text, or null."),
        ("sequence of str", "list of texts."),
        ("sequence of float in (0, 1)", "list of number in (0, 1)."),
        ('"auto" or float > 2', "auto or number > 2."),
        ("", ""),
    ],
)
def test_types(written, comment):
    assert Explanation(written, "").comment() == comment


@pytest.mark.parametrize("text", ["", "One line.", "Parameters", "Parameters\n----------\n"])
def test_docstrings_without_entries(text):
    assert parse(text) == {}
