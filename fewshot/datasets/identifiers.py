"""Class names that are identifiers (numbers, codes, lineages) and readable names from them.

Text encoders and language models cannot use `n01532829`, `17` or `class_3`. The class names of a
data set are checked together, since `c0` to `c9` are recognised only by their consecutive numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fewshot.datasets.classnames import folded
from fewshot.datasets.taxonomy import taxonomy_of

WORDNET_ID = re.compile(r"n\d{8}")
# Words that stand for a class without a name.
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
# Hexadecimal digits, of both kinds; A300B4 is an aircraft, so most names must match.
HEXADECIMAL = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{6,}", re.IGNORECASE)
NUMBERED = re.compile(r"(?P<stem>.*?\D)(?P<number>\d+)")
CAMEL = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def identifiers(names: Sequence[str]) -> list[str]:
    """Class names that look like identifiers, in the order of `names`.

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
    """Phrase with the number of class names that look like identifiers, and an example."""
    return f"{len(names)} of {classes} class names look like identifiers, for instance {names[0]!r}"


def is_identifier(name: str) -> bool:
    """Whether a name by itself looks like a number, a code or a lineage."""
    plain = name.strip()
    return any(form.fullmatch(plain) for form in FORMS)


def _counted(names: Sequence[str]) -> bool:
    """Whether all names are the same word with a number, from 0 or 1 on without a gap."""
    matches = [NUMBERED.fullmatch(name.strip()) for name in names]
    if len(matches) < 2 or not all(matches):
        return False
    numbers = sorted(int(match["number"]) for match in matches if match)
    stems = {folded(match["stem"]) for match in matches if match}
    return len(stems) == 1 and numbers[0] in (0, 1) and numbers == _run(numbers)


def _run(numbers: Sequence[int]) -> list[int]:
    return list(range(numbers[0], numbers[0] + len(numbers)))


def readable_names(ids: Sequence[str]) -> tuple[str, ...]:
    """Readable names in identifiers: leading numbers, lineages and joined words are resolved.

    A form is applied only if all classes have it and the resulting names are distinct.

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
    return None if lineages is None else tuple(lineage.species for lineage in lineages)


def _without_wordnet_id(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``n02085620-Chihuahua``, as in Stanford Dogs."""
    return _all(r"n\d{8}[-_. ]+(?P<name>.*[^\W\d].*)", ids)


def _without_number(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``001.ak47``; with another mark than a dot, if the numbers count the classes."""
    names = _all(r"\d+\.\s*(?P<name>[^\W\d].*)", ids)
    if names:
        return names
    matches = [re.match(r"\d+(?=[_ -])", name) for name in ids]
    numbers = sorted(int(match[0]) for match in matches if match)
    counts = len(numbers) == len(ids) > 1 and numbers[0] in (0, 1) and numbers == _run(numbers)
    return _all(r"\d+[_ -]+(?P<name>[^\W\d].*)", ids) if counts else None


def _without_letter(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``/a/abbey``, as SUN397 has them."""
    names = _all(r"/\w/(?P<name>.*[^\W\d].*)", ids)
    return names and tuple(name.replace("/", " ") for name in names)


def _words(ids: Sequence[str]) -> tuple[str, ...] | None:
    """``AnnualCrop``, where several classes are written so and none has another separator."""
    joined = [name for name in ids if CAMEL.fullmatch(name)]
    if len(joined) < 2 or any(re.search(r"[\s_-]", name) for name in ids):
        return None
    return tuple(HUMP.sub(" ", name) if CAMEL.fullmatch(name) else name for name in ids)


def _all(form: str, ids: Sequence[str]) -> tuple[str, ...] | None:
    matches = [re.fullmatch(form, name, re.DOTALL) for name in ids]
    if not ids or not all(matches):
        return None
    return tuple(match["name"] for match in matches if match)


def wordnet_names(ids: Sequence[str], imagenet: Mapping[str, str]) -> dict[str, str]:
    """Names of the classes whose id is a WordNet id (of WordNet 3.0, as in ImageNet).

    Parameters
    ----------
    ids : sequence of C str
    imagenet : mapping of str to str
        Names of the 1,000 classes of ILSVRC 2012 by id; others are called by the first lemma of
        timm's list of ImageNet-21k.
    """
    synsets = [synset for synset in ids if WORDNET_ID.fullmatch(synset)]
    names = {synset: imagenet[synset] for synset in synsets if synset in imagenet}
    rest = [synset for synset in synsets if synset not in names]
    if rest:
        from timm.data import ImageNetInfo

        lemmas: Any = ImageNetInfo("imagenet-22k").label_descriptions(as_dict=True)
        names |= {
            synset: lemmas[synset].split(",")[0].strip() for synset in rest if synset in lemmas
        }
    return names
