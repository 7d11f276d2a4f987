"""A WordNet of a few synsets, written here in WordNet's format (wndb(5WN))."""

import pytest

from fewshot.tasks.one_class.confusers import wordnet

# Number: words, numbers of hypernyms, whether it is an instance. In the order of the files.
SYNSETS = {
    0: ("entity", (), False),
    1: ("physical_entity", (0,), False),
    2: ("abstraction", (0,), False),
    3: ("person someone", (1,), False),
    4: ("animal", (1,), False),
    5: ("crustacean", (4,), False),
    6: ("crab", (5,), False),
    7: ("lobster", (5,), False),
    8: ("shrimp prawn", (5,), False),
    9: ("hermit_crab", (6,), False),
    10: ("horse Equus_caballus", (4,), False),
    11: ("zebra", (4,), False),
    12: ("seahorse sea_horse", (4,), False),
    13: ("fighter", (3,), False),
    14: ("boxer pugilist", (13,), False),
    15: ("wrestler", (13,), False),
    16: ("dog domestic_dog", (4,), False),
    17: ("boxer", (16,), False),
    18: ("Great_Dane", (16,), False),
    19: ("writer", (3,), False),
    20: ("Crane Stephen_Crane", (19,), True),
    21: ("crane", (4,), False),
    22: ("heron", (4,), False),
    23: ("digit", (2,), False),
    24: ("zero nought", (23,), False),
    25: ("one", (23,), False),
    26: ("hot_dog dog frank", (1,), False),
    27: ("goose", (4,), False),
    28: ("abnormality cancer crab", (2,), False),
}
LICENCE = "  1 WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.\n"


def data_line(number, offsets):
    words, up, instance = SYNSETS[number]
    words = words.split()
    pointers = [("@i" if instance else "@", parent) for parent in up]
    for other, (_, parents, is_instance) in SYNSETS.items():
        if number in parents:
            pointers.append(("~i" if is_instance else "~", other))
    fields = [f"{offsets[number]:08d}", "03", "n", f"{len(words):02x}"]
    fields += [f"{word} 0" for word in words] + [f"{len(pointers) + 1:03d}"]
    fields += [f"{symbol} {offsets[other]:08d} n 0000" for symbol, other in pointers]
    # A derivation to a verb, which has offsets of its own and no place here.
    return " ".join([*fields, "+ 00000001 v 0101"]) + ' | a thing; "an example | of it"  \n'


def write_wordnet(folder):
    folder.mkdir(parents=True, exist_ok=True)
    offsets = dict.fromkeys(SYNSETS, 0)
    for _ in range(2):  # offsets have as many digits whatever they are
        text = LICENCE
        for number in SYNSETS:
            offsets[number] = len(text)
            text += data_line(number, offsets)
    (folder / "data.noun").write_text(text)
    senses = {}
    for number, (words, _, _) in SYNSETS.items():
        for word in words.lower().split():
            senses.setdefault(word, []).append(offsets[number])
    lines = [LICENCE]
    for word, synsets in sorted(senses.items()):
        places = " ".join(f"{offset:08d}" for offset in synsets)
        lines.append(f"{word} n {len(synsets)} 2 @ ~ {len(synsets)} 0 {places}  \n")
    (folder / "index.noun").write_text("".join(lines))
    (folder / "noun.exc").write_text("geese goose\n")
    return folder


@pytest.fixture(autouse=True)
def no_other_wordnet(monkeypatch):
    """Hide a WordNet that is installed on the machine."""
    monkeypatch.setattr(wordnet, "USUAL", ())
    for name in wordnet.VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(workplace):
    return write_wordnet(workplace / "wn")


@pytest.fixture
def nouns(folder):
    return wordnet.WordNet(folder)
