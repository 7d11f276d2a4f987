"""Lists of confusers, their files and their settings."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import field_validator
from pydantic.dataclasses import dataclass as validated

from fewshot.exceptions import (
    FewshotError,
    expect,
    expect_number,
    expect_positive_int,
    suggestion,
)
from fewshot.files import plain_name
from fewshot.paths import resource_dir
from fewshot.text.class_files import names_in, read_content, texts_in
from fewshot.text.descriptions import (
    MOST_OF_OTHERS,
    Descriptions,
    Line,
    fault,
    fitting_files,
    load_answers,
    usual_file,
)


class Dropped(NamedTuple):
    """A name from a source that was dropped, with the reason.

    Attributes
    ----------
    name : str
    reason : str
        In words, as "synonym of the class" or "text cosine .97 with the class".
    """

    name: str
    reason: str


@dataclass(frozen=True)
class ConfuserLists:
    """Confusers of C classes, in the order of their source, the most confusing first.

    Attributes
    ----------
    classnames : tuple of C str
    names : tuple of C tuples of str
        Confusers of each class; () for a class without confusers.
    dropped : tuple of C tuples of Dropped
    record : dict
        Source, numbers, file, model, prompt, vocabulary...; JSON types only.
    """

    classnames: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    dropped: tuple[tuple[Dropped, ...], ...]
    record: dict[str, Any] = field(default_factory=dict)


SETTING = "one_class.confusers.file"


LONGEST, MOST_WORDS = 60, 6
# Of names that people wrote themselves, such as car models.
LONGEST_OF_OTHERS, MOST_WORDS_OF_OTHERS = 100, 10


# Letters and digits of any script; spaces, hyphens and apostrophes between them.
NAME = re.compile(r"[^\W_]+(?:[ '’-]+[^\W_]+)*['’]?")  # noqa: RUF001


# Words of sentences that do not occur in names of objects.
SENTENCE = frozenset(
    {"is", "are", "was", "were", "am", "i", "you", "we", "they", "your", "my", "these", "those"}
    | {"cannot", "sorry", "please", "ignore", "instruction", "instructions", "should", "would"}
)


def name_fault(text: object) -> str | None:
    """Reason why a text is not a short name of an object; None if it is.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.lists import name_fault
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


def written_fault(text: object) -> str | None:
    """Reason why a text that a person wrote is not the name of an object; None if it is.

    Dots, slashes and brackets occur in such names: *St. Bernard*, *F-16A/B*, *crane (bird)*.
    """
    why = fault(text)
    if why is not None or not isinstance(text, str):
        return why
    words = text.casefold().split()
    if len(text) > LONGEST_OF_OTHERS or len(words) > MOST_WORDS_OF_OTHERS:
        limits = f"{MOST_WORDS_OF_OTHERS} words and {LONGEST_OF_OTHERS} characters"
        return f"it is longer than {limits}"
    if not any(map(str.isalnum, text)):
        return "it has neither letters nor digits"
    return "it is a sentence" if SENTENCE.intersection(words) else None


@validated
class ConfuserFile(Descriptions):
    """File of confusers by class, with their origin.

    As :class:`Descriptions`, with names for texts, the most confusing first.

    Attributes
    ----------
    provenance : str
        Origin of the lists in a sentence, where they were not made by this suite.
    common : list of str
        Names for every class that `classes` lacks: those of a plain list.
    """

    kind: ClassVar[str] = "confusers"
    command: ClassVar[str] = "fewshot text confusers"
    setting: ClassVar[str] = SETTING
    fault: ClassVar[Any] = staticmethod(name_fault)
    split: ClassVar[Any] = staticmethod(names_in)

    provenance: Line = ""
    common: list[str] = field(default_factory=list)

    @field_validator("common")
    @classmethod
    def _usable_names(cls, names: list[str]) -> list[str]:
        """The same names with single spaces; raise if one cannot be used."""
        for number, name in enumerate(names, 1):
            if (why := cls.fault(name)) is not None:
                raise ValueError(f"name {number}, {reprlib.repr(name)}, cannot be used: {why}")
        return [" ".join(name.split()) for name in names]

    def of(self, classnames: Sequence[str], ids: Sequence[str] | None = None) -> list[list[str]]:
        """As :meth:`Descriptions.of`, and `common` for classes without names."""
        return [names or list(self.common) for names in super().of(classnames, ids)]

    @classmethod
    def of_others(cls, content: Any) -> Descriptions:
        """Names in the content of a file that this suite did not make, also of a plain list."""
        classes, common = texts_in(content, cls.split)
        if not (classes or common):
            raise ValueError("it has no names")
        return ConfusersOfOthers(classes, common=common)


@validated
class ConfusersOfOthers(ConfuserFile):
    """Confusers in a file that this suite did not make."""

    fault: ClassVar[Any] = staticmethod(written_fault)
    most: ClassVar[int] = MOST_OF_OTHERS


def load_any(path: Path, setting: str) -> Descriptions:
    """Read a file of confusers or of descriptions.

    A file of this suite goes by its field ``kind``. In others texts by class are taken for
    descriptions, and a plain list for confusers.

    Raises
    ------
    FewshotError
        As :func:`~fewshot.text.descriptions.load_answers`.
    """
    form: type[Descriptions] = Descriptions
    with suppress(OSError):
        _, content = read_content(path, setting)
        kind = content.get("kind") if isinstance(content, dict) else None
        with suppress(ValueError):
            listed = kind is None and bool(texts_in(content, names_in).common)
            form = ConfuserFile if listed or kind == ConfuserFile.kind else form
    return load_answers(path, form, setting)


def confuser_file(
    path: object, cache: Path, dataset: str, model: str | None = None
) -> ConfuserFile:
    """The lists for a data set: from `path`, else from the cache, else from the package.

    Parameters
    ----------
    path : str or Path, optional
        A file, for any data set.
    cache : Path
        Folder of caches; lists are in its ``confusers/``.
    dataset : str
    model : str, optional
        Model whose lists are taken from the cache where there are several.

    Raises
    ------
    FewshotError
        No lists, several in the cache, or a file that cannot be used.
    """
    return load_answers(confuser_path(path, cache, dataset, model), ConfuserFile)


def confuser_path(path: object, cache: Path, dataset: str, model: str | None = None) -> Path:
    """Path of the lists that :func:`confuser_file` reads."""
    if path:
        return Path(str(path)).expanduser()
    shipped = resource_dir("datasets/confusers") / f"{plain_name(dataset, 60)}.json"
    folder = cache / "confusers"
    if shipped.is_file() and not fitting_files(folder, dataset, model, ConfuserFile):
        return shipped
    return usual_file(folder, dataset, model, ConfuserFile)


def shipped_datasets() -> list[str]:
    """Names of the data sets with lists in the package."""
    return sorted(path.stem for path in resource_dir("datasets/confusers").glob("*.json"))


PLACE = "one_class.confusers"


@dataclass(frozen=True)
class ConfuserSettings:
    """The settings ``one_class.confusers``.

    Attributes
    ----------
    k : int >= 1
        Confusers of a class, at most.
    file : str, optional
        What ``fewshot text confusers`` wrote, {class: [names]}, or a list of names for all classes;
        None: the cache's, else the package's.
    cosine : float in (0, 1], optional
        Names whose text vector has this cosine with the class's, or a larger one, are dropped;
        None: none are.
    wordnet : str, optional
        Folder of WordNet; None: FEWSHOT_WORDNET, WNHOME, or where Debian and npm put it.
    vocabulary : str, or tuple of str in Python
        "imagenet", a text file with a name per line, or the names themselves.
    seed : int >= 0
        Of random names.
    """

    k: int = 10
    file: str | None = None
    cosine: float | None = 0.95
    wordnet: str | None = None
    vocabulary: str | tuple[str, ...] = "imagenet"
    seed: int = 0

    def __post_init__(self) -> None:
        expect_positive_int(f"{PLACE}.k", self.k)
        expect_positive_int(f"{PLACE}.seed", self.seed, 0)
        if self.cosine is not None:
            expect_number(f"{PLACE}.cosine", self.cosine, 0, 1, above=True)
        for name in ("file", "wordnet", "vocabulary"):
            value = getattr(self, name)
            other = tuple if name == "vocabulary" else type(None)
            fine = isinstance(value, str | other)
            expect(fine, f"{PLACE}.{name}", f"expected a text, got {value!r}")


def confuser_settings(settings: Mapping[str, Any]) -> ConfuserSettings:
    """Checked settings; missing ones have their defaults.

    Raises
    ------
    FewshotError
        An unknown setting, or a value that is not allowed.
    """
    names = {setting.name for setting in fields(ConfuserSettings)}
    for name in sorted(settings.keys() - names):
        raise FewshotError(PLACE, f"there is no setting {name!r}", suggestion(name, names))
    return ConfuserSettings(**settings)
