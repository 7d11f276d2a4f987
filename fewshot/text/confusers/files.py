"""Confusers on disk: one JSON file per data set, model and prompt, and which one a run takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fewshot.resources import resource_dir
from fewshot.storage import plain_name
from fewshot.text.descriptions import (
    LARGEST,
    Descriptions,
    fault,
    fitting_files,
    load_answers,
    usual_file,
)

SETTING = "one_class.confusers.file"
LONGEST, MOST_WORDS = 60, 6
# Letters and digits of any script; spaces, hyphens and apostrophes between them.
NAME = re.compile(r"[^\W_]+(?:[ '’-]+[^\W_]+)*['’]?")  # noqa: RUF001
# No name of a thing has these words, while many a sentence has.
SENTENCE = frozenset(
    {"is", "are", "was", "were", "am", "i", "you", "we", "they", "your", "my", "these", "those"}
    | {"cannot", "sorry", "please", "ignore", "instruction", "instructions", "should", "would"}
)


def name_fault(text: object) -> str | None:
    """What keeps a text from being a short name of a thing; None if it is one.

    Examples
    --------
    >>> from fewshot.text.confusers.files import name_fault
    >>> name_fault("jack-in-the-box"), name_fault("A crab is red.")
    (None, 'it has other characters than letters, digits, spaces, hyphens and apostrophes')
    """
    why = fault(text)
    if why is not None or not isinstance(text, str):
        return why
    name = " ".join(text.split())
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, more than {LONGEST}"
    if len(name.split()) > MOST_WORDS:
        return f"it has {len(name.split())} words, more than {MOST_WORDS}"
    if not NAME.fullmatch(name):
        return "it has other characters than letters, digits, spaces, hyphens and apostrophes"
    if SENTENCE.intersection(name.casefold().split()):
        return "it is a sentence"
    return None


@dataclass
class ConfuserFile(Descriptions):
    """Names that could be taken for classes, and where they come from.

    As :class:`Descriptions`, with names for texts, the most confusing first.

    Attributes
    ----------
    provenance : str
        How the lists came to be, in a sentence, where no model was asked by this suite.
    """

    kind: ClassVar[str] = "confusers"
    command: ClassVar[str] = "fewshot text confusers"
    setting: ClassVar[str] = SETTING
    fault: ClassVar[Any] = staticmethod(name_fault)

    provenance: str = ""


def load_any(path: Path, setting: str) -> Descriptions:
    """Read a file of confusers or of descriptions, whichever it says that it is.

    Raises
    ------
    FewshotError
        As :func:`~fewshot.text.descriptions.load_answers`; a file that says neither is judged as
        one of descriptions.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST)
    except OSError:
        raw = b""
    # Inside a text its quotes would be escaped.
    confusers = re.search(rb'"kind"\s*:\s*"confusers"', raw)
    return load_answers(path, ConfuserFile if confusers else Descriptions, setting)


def confuser_file(
    given: object, cache: Path, dataset: str, model: str | None = None
) -> ConfuserFile:
    """The lists for a data set: `given`, else the cache's, else those that the package ships.

    Parameters
    ----------
    given : str or Path, optional
        A file, whatever data set it was made for.
    cache : Path
        Folder of caches; its ``confusers/`` is looked into.
    dataset : str
    model : str, optional
        Take its lists from the cache where there are several.

    Raises
    ------
    FewshotError
        No lists, several in the cache, or a file that cannot be used.
    """
    return load_answers(place_of_lists(given, cache, dataset, model), ConfuserFile)


def place_of_lists(given: object, cache: Path, dataset: str, model: str | None = None) -> Path:
    """Where the lists are that :func:`confuser_file` reads."""
    if given:
        return Path(str(given)).expanduser()
    shipped = resource_dir("datasets/confusers") / f"{plain_name(dataset, 60)}.json"
    folder = cache / "confusers"
    if shipped.is_file() and not fitting_files(folder, dataset, model, ConfuserFile):
        return shipped
    return usual_file(folder, dataset, model, ConfuserFile)


def shipped_datasets() -> list[str]:
    """Names of the data sets that the package has lists for."""
    return sorted(path.stem for path in resource_dir("datasets/confusers").glob("*.json"))
