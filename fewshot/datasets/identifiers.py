"""Class names that no person would say: numbers, codes, lineages, and what can be made of them.

A text encoder or a language model can do nothing with `n01532829`, `17` or `class_3`. Names are
judged as they stand; a data set's class names are judged together, as `c0` to `c9` only show by
their numbers that they are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.datasets.classnames import folded
from fewshot.datasets.taxonomy import taxonomy_of

WORDNET_ID = re.compile(r"n\d{8}")
# What people call a class that they have no name for.
PLACEHOLDERS = (
    "alphabet|cat|category|char|character|class|classe|classid|cls|cluster|concept|dir|entity|"
    "folder|group|id|idx|index|item|klass|klasse|label|lbl|lot|node|obj|object|part|person|"
    "pid|sample|sku|species|speaker|subject|subj|synset|tag|target|taxon|tax|type|uid|user|wnid"
)
FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"[anrsv]\d{8}(\W.*|_.*)?",  # WordNet, also n02085620-Chihuahua
        r"[-+]?\d+(\.0*)?",  # a number alone; 737-200 is an aircraft
        rf"(.*[/\\])?({PLACEHOLDERS})[\s_.:#-]*\d+",
        r"#\s*\d+",
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",  # UUID
        r"0\d*[\s_.:-].+",  # 0012 foo, 001.Black_footed_Albatross
        r"\d+\.\D.*",  # 12.foo; 3.5 mm jack is a name
        r"/.*",  # /a/abbey, /m/0k4j
        r"[a-z]{1,6}[_:]\d{4,}",  # HP:0001250, img_00031
        r"[a-z]\d{5,}",  # Wikidata; VGGFace2, n000002
        r"(\d+_)?(animalia|plantae|fungi|bacteria|archaea|chromista|protozoa)[_|;/].+",
    )
)
# Hexadecimal digits, of both kinds; A300B4 is an aircraft, so that they count where most are such.
HEXADECIMAL = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{6,}", re.IGNORECASE)
NUMBERED = re.compile(r"(?P<stem>.*?\D)(?P<number>\d+)")
CAMEL = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def identifiers(names: Sequence[str]) -> list[str]:
    """Those of the class names that look like identifiers, in their order.

    Parameters
    ----------
    names : sequence of C str
        All class names of a data set.

    Examples
    --------
    >>> from fewshot.datasets.identifiers import identifiers
    >>> identifiers(["n01532829", "17", "class_3", "737-200", "2012 Tesla Model S", "robin"])
    ['n01532829', '17', 'class_3']
    >>> identifiers(["c0", "c1", "c2"]), identifiers(["C-47", "C-130"])
    (['c0', 'c1', 'c2'], [])
    """
    if _counted(names):
        return list(names)
    hashed = [bool(HEXADECIMAL.fullmatch(name.strip())) for name in names]
    most = 2 * sum(hashed) > len(names)
    pairs = zip(names, hashed, strict=True)
    return [name for name, of_digits in pairs if (most and of_digits) or is_identifier(name)]


def in_words(names: Sequence[str], classes: int) -> str:
    """How many of the classes look like identifiers, for instance which."""
    return f"{len(names)} of {classes} class names look like identifiers, for instance {names[0]!r}"


def is_identifier(name: str) -> bool:
    """Whether a name looks like a number, a code or a lineage, whatever the others are."""
    plain = name.strip()
    return any(form.fullmatch(plain) for form in FORMS)


def _counted(names: Sequence[str]) -> bool:
    """Whether all names are the same word with a number, from 0 or 1 on without a gap."""
    found = [NUMBERED.fullmatch(name.strip()) for name in names]
    if len(found) < 2 or not all(found):
        return False
    numbers = sorted(int(one["number"]) for one in found if one)
    stems = {folded(one["stem"]) for one in found if one}
    return len(stems) == 1 and numbers[0] in (0, 1) and numbers == _run(numbers)


def _run(numbers: Sequence[int]) -> list[int]:
    return list(range(numbers[0], numbers[0] + len(numbers)))


def readable_names(ids: Sequence[str]) -> tuple[str, ...]:
    """Names that stand in identifiers: without numbers in front, lineages and joined words.

    Each form counts only where all classes have it, and nothing is changed where two classes would
    then be called the same.

    Parameters
    ----------
    ids : sequence of C str

    Examples
    --------
    >>> from fewshot.datasets.identifiers import readable_names
    >>> readable_names(["001.Black_footed_Albatross", "002.Laysan_Albatross"])
    ('Black_footed_Albatross', 'Laysan_Albatross')
    >>> readable_names(["ApplyEyeMakeup", "PlayingCello", "Archery"])
    ('Apply Eye Makeup', 'Playing Cello', 'Archery')
    >>> readable_names(["2012 Tesla Model S", "2007 BMW X5"])
    ('2012 Tesla Model S', '2007 BMW X5')
    """
    for tidy in (_species, _without_wordnet_id, _without_number, _without_letter, _words):
        names = tidy(ids)
        if names and len({folded(name) for name in names}) == len(ids):
            return names
    return tuple(ids)


def _species(ids: Sequence[str]) -> tuple[str, ...] | None:
    """Genus and epithet of iNaturalist's lineages."""
    lineages = taxonomy_of(ids)
    return None if lineages is None else tuple(one.species for one in lineages)


def _without_wordnet_id(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``n02085620-Chihuahua``, as in Stanford Dogs."""
    return _all(r"n\d{8}[-_. ]+(?P<name>.*[^\W\d].*)", ids)


def _without_number(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``001.ak47``; with another mark than a dot, if the numbers count the classes."""
    names = _all(r"\d+\.\s*(?P<name>[^\W\d].*)", ids)
    if names:
        return names
    found = [re.match(r"\d+(?=[_ -])", one) for one in ids]
    numbers = sorted(int(one[0]) for one in found if one)
    counts = len(numbers) == len(ids) > 1 and numbers[0] in (0, 1) and numbers == _run(numbers)
    return _all(r"\d+[_ -]+(?P<name>[^\W\d].*)", ids) if counts else None


def _without_letter(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``/a/abbey``, as SUN397 has them."""
    names = _all(r"/\w/(?P<name>.*[^\W\d].*)", ids)
    return names and tuple(name.replace("/", " ") for name in names)


def _words(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``AnnualCrop``, where several classes are written so and none has another separator."""
    joined = [one for one in ids if CAMEL.fullmatch(one)]
    if len(joined) < 2 or any(re.search(r"[\s_-]", one) for one in ids):
        return None
    return tuple(HUMP.sub(" ", one) if CAMEL.fullmatch(one) else one for one in ids)


def _all(form: str, ids: Sequence[str]) -> tuple[str, ...] | None:
    found = [re.fullmatch(form, one, re.DOTALL) for one in ids]
    if not ids or not all(found):
        return None
    return tuple(one["name"] for one in found if one)


def wordnet_names(ids: Sequence[str], imagenet: Mapping[str, str]) -> dict[str, str]:
    """Names of those classes that are called by a WordNet id (of WordNet 3.0, as in ImageNet).

    Parameters
    ----------
    ids : sequence of C str
    imagenet : mapping of str to str
        Names of the 1,000 classes of ILSVRC 2012 by id; others are called by the first lemma of
        timm's list of ImageNet-21k.
    """
    wanted = [one for one in ids if WORDNET_ID.fullmatch(one)]
    found = {one: imagenet[one] for one in wanted if one in imagenet}
    rest = [one for one in wanted if one not in found]
    if rest:
        from timm.data import ImageNetInfo

        lemmas: Any = ImageNetInfo("imagenet-22k").label_descriptions(as_dict=True)
        found |= {one: lemmas[one].split(",")[0].strip() for one in rest if one in lemmas}
    return found
