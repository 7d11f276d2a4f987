"""The head within a head, of those that change what it sees."""

from __future__ import annotations

from fewshot.exceptions import FewshotError, expect
from fewshot.heads.base import Head


def inner_head(head: str | Head, setting: str) -> Head:
    """An unfitted head by its name, by ``module:Name``, or a clone of an object.

    Parameters
    ----------
    head : str or Head
        The parameter of the outer head.
    setting : str
        What to call it in messages: ``head.bpa.head``.

    Raises
    ------
    FewshotError
        There is none of that name, or it is no head.
    """
    from fewshot.heads import heads  # their registry imports the outer heads

    if isinstance(head, Head):
        return head.clone()
    expect(isinstance(head, str), setting, f"expected the name of a head or a Head, got {head!r}")
    try:
        made: Head = heads.create(head)
    except FewshotError as error:
        raise FewshotError(setting, error.problem, error.remedy) from error
    except TypeError as error:  # a class of another package that takes parameters
        raise FewshotError(setting, f"{head!r} is not made from its name: {error}") from error
    return made
