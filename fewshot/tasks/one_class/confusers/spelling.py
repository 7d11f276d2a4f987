"""Comparison of names by spelling: equality up to form, and kinds by their head nouns.

Only certain rules are used: an edit distance would equate red ox and red fox.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from fewshot.text.prompts import readable

ARTICLES = frozenset({"a", "an", "the"})
# Words that end the head of a name; the words after them modify it.
AFTER_THE_HEAD = frozenset({"of", "with", "without", "in", "on", "for", "and", "from", "at"})
IRREGULAR = {
    "men": "man", "women": "woman", "mice": "mouse", "geese": "goose", "feet": "foot",
    "teeth": "tooth", "children": "child", "people": "person", "oxen": "ox", "cacti": "cactus",
    "fungi": "fungus", "octopi": "octopus", "hippopotami": "hippopotamus",
    "wolves": "wolf", "knives": "knife", "leaves": "leaf", "calves": "calf", "loaves": "loaf",
    "shelves": "shelf", "scarves": "scarf", "elves": "elf", "halves": "half", "hooves": "hoof",
    "lenses": "lens", "gases": "gas", "canvases": "canvas", "atlases": "atlas",
    "rhinoceroses": "rhinoceros", "thermoses": "thermos", "emus": "emu", "gnus": "gnu",
    "menus": "menu", "taxis": "taxi", "skis": "ski",
}  # fmt: skip
# Plural in form without a singular that means the same, and names with one form for both numbers.
ONE_NUMBER = frozenset(
    {"scissors", "pliers", "tweezers", "tongs", "shears", "binoculars", "glasses", "sunglasses"}
    | {"goggles", "jeans", "trousers", "pants", "shorts", "tights", "pyjamas", "pajamas", "clothes"}
    | {"sheep", "deer", "moose", "fish", "shrimp", "salmon", "trout", "bison", "swine", "squid"}
    | {"aircraft", "hovercraft", "spacecraft", "series", "species", "chess", "tennis", "news"}
)
# Singulars of plurals in -ies and -oes that do not end in -y and -o.
IN_IE = frozenset({"pie", "tie", "movie", "cookie", "brownie", "zombie", "hoodie", "smoothie"})
IN_OE = frozenset({"shoe", "toe", "canoe", "hoe", "oboe", "foe", "doe", "roe", "horseshoe"})
# Singulars in -o whose plural is in -oes.
TO_OES = frozenset(
    {"potato", "tomato", "hero", "echo", "mosquito", "torpedo", "volcano", "buffalo"}
)
# Compounds that are no kind of their last word: a sea horse is no horse.
NO_KINDS = {
    "bear": {"koala", "teddy", "gummy", "woolly", "water", "ant"},
    "boat": {"toy", "paper", "model"}, "butter": {"peanut", "cocoa", "shea"},
    "car": {"toy", "model", "cable"}, "chestnut": {"water", "horse"}, "cow": {"sea"},
    "crab": {"horseshoe"}, "cucumber": {"sea"}, "dog": {"hot", "corn", "prairie"},
    "duck": {"rubber", "toy"}, "fish": {"jelly", "star", "cuttle", "cray"}, "fox": {"flying"},
    "horn": {"french"}, "horse": {"sea", "rocking", "hobby", "carousel", "toy", "clothes", "saw",
                                  "pommel", "vaulting"},
    "house": {"doll", "dolls", "bird", "gingerbread"}, "lemur": {"flying"},
    "lion": {"sea", "ant"}, "mouse": {"computer", "sea"}, "panda": {"red"}, "pear": {"prickly"},
    "pig": {"guinea", "sea"}, "plane": {"toy", "model", "paper"},
    "airplane": {"toy", "model", "paper"}, "shrimp": {"mantis"}, "spider": {"sea"},
    "train": {"toy", "model"}, "truck": {"toy", "model"}, "urchin": {"sea"},
}  # fmt: skip


def spelled(name: str) -> str:
    """A name without case, accents, punctuation, articles and double spaces.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.spelling import spelled
    >>> spelled("The Jack-in-the-pulpit"), spelled("  SEA_horse ")
    ('jack in the pulpit', 'sea horse')
    """
    bare = unicodedata.normalize("NFKD", readable(name).casefold())
    letters = "".join(c for c in bare if not unicodedata.combining(c))
    joined = re.sub(r"['’`´.]", "", letters)  # noqa: RUF001
    words = re.sub(r"\W+|_", " ", joined).split()
    while len(words) > 1 and words[0] in ARTICLES:
        del words[0]
    return " ".join(words)


def in_both_numbers(name: str, irregular: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """A name, and the same name in the other number: plural for a singular, singular for a plural.

    The head of the name changes ("bishop of Llandaff": "bishops of Llandaff"). A name with one
    form, or whose other form is not certain, is alone.

    Parameters
    ----------
    name : str
    irregular : mapping of str to str, optional
        Singulars by plural beside `IRREGULAR`, as of WordNet's ``noun.exc``.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.spelling import in_both_numbers
    >>> in_both_numbers("shoe"), in_both_numbers("wolves"), in_both_numbers("scissors")
    (('shoe', 'shoes'), ('wolves', 'wolf'), ('scissors',))
    """
    words = readable(name).split()
    end = next((n for n, w in enumerate(words) if n and w.casefold() in AFTER_THE_HEAD), len(words))
    last = words[end - 1]
    other = _other_number(last, IRREGULAR | dict(irregular or {}))
    if other == last or not last.isalpha():
        return (readable(name),)
    return readable(name), " ".join([*words[: end - 1], other, *words[end:]])


def _other_number(word: str, singulars: Mapping[str, str]) -> str:
    low = word.casefold()
    if low in ONE_NUMBER:
        return word
    if low in singulars:
        return singulars[low]
    plural = next((plural for plural, single in singulars.items() if single == low), None)
    if plural is not None:
        return plural
    if len(low) > 3 and low.endswith("s") and not low.endswith(("ss", "us", "is")):
        single = _singular(low)
        return single if word == low or single.endswith("y") else word[: len(single)]
    return word + _ending(low) if not _changes_y(low) else f"{word[:-1]}ies"


def _singular(plural: str) -> str:
    """Singular of a regular plural in -s."""
    if plural.endswith("ies"):
        return plural[:-1] if plural[:-1] in IN_IE else f"{plural[:-3]}y"
    if plural.endswith("oes"):
        return plural[:-1] if plural[:-1] in IN_OE else plural[:-2]
    hissing = plural.endswith(("ches", "shes", "xes", "sses", "zzes"))
    bus = plural.endswith("uses") and not plural.endswith(("ouses", "auses"))
    return plural[:-2] if hissing or bus else plural[:-1]


def _ending(singular: str) -> str:
    hissing = singular.endswith(("s", "x", "z", "ch", "sh"))
    return "es" if hissing or singular in TO_OES else "s"


def _changes_y(singular: str) -> bool:
    return len(singular) > 1 and singular.endswith("y") and singular[-2] not in "aeiou"


def alternatives(name: str) -> tuple[str, ...]:
    """A name and the alternative names that it contains.

    Alternatives are separated by commas, slashes and "or"; parentheses contain explanations.
    """
    outside = readable(re.sub(r"\([^()]*\)", " ", name))
    parts = map(readable, (name, outside, *re.split(r"[,/;]| or ", outside)))
    return tuple(dict.fromkeys(filter(None, parts)))


@lru_cache(maxsize=8192)
def forms(name: str) -> tuple[str, ...]:
    """The :func:`alternatives` of a name in the form of :func:`spelled`.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.spelling import forms
    >>> forms("T-shirt/top"), forms("kite (bird of prey)")
    (('t shirt top', 't shirt', 'top'), ('kite bird of prey', 'kite'))
    """
    return tuple(dict.fromkeys(filter(None, map(spelled, alternatives(name)))))


def same(first: str, second: str) -> bool:
    """Whether two names in the form of :func:`spelled` differ by number and spaces at most."""
    return bool(_numbers(first.replace(" ", "")) & _numbers(second.replace(" ", ""))) or bool(
        _numbers(first) & _numbers(second)
    )


def alike(first: str, second: str) -> bool:
    """Whether two names, as they are written, are the same in one of their :func:`forms`.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.spelling import alike
    >>> alike("Sea horses", "sea_horse"), alike("crab", "hermit crab")
    (True, False)
    """
    return any(same(form, other) for form in forms(first) for other in forms(second))


def is_kind_by_words(name: str, general: str) -> bool:
    """Whether `name` is a kind of `general` going by its head noun; both as by :func:`spelled`.

    The head of an English compound is its last word, before any "of" or "with": a golden
    retriever is a retriever, a retriever collar is a collar and a statue of a horse a statue.
    Compounds listed as exceptions (sea horse) are not kinds of their last word.

    Examples
    --------
    >>> from fewshot.tasks.one_class.confusers.spelling import is_kind_by_words
    >>> is_kind_by_words("golden retriever", "retriever"), is_kind_by_words("sea horse", "horse")
    (True, False)
    """
    words, head = head_of(name).split(), general.split()
    if not head or len(name.split()) <= len(head):
        return False
    if not same(" ".join(words[-len(head) :]), general):
        return False
    return not any(set(words[-2:-1]) & NO_KINDS.get(last, set()) for last in _numbers(words[-1]))


def head_of(name: str) -> str:
    """A name as by :func:`spelled` up to its first preposition."""
    words = name.split()
    ends = [n for n, word in enumerate(words) if n and word in AFTER_THE_HEAD]
    return " ".join(words[: ends[0]] if ends else words)


def _numbers(name: str) -> set[str]:
    """A name and its possible singular forms, several where spelling is ambiguous."""
    first, space, last = name.rpartition(" ")
    made = {last, IRREGULAR.get(last, last)}
    if len(last) > 3 and last.endswith("s") and not last.endswith(("ss", "us", "is")):
        made.add(last[:-1])
        if last.endswith("es"):
            made.add(last[:-2])
        if last.endswith("ies"):
            made.add(f"{last[:-3]}y")
    return {f"{first}{space}{word}" for word in made}
