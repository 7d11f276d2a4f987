"""The reader of WordNet's noun files, on a small example and on Debian's package."""

from pathlib import Path

import pytest

from fewshot.exceptions import FewshotError
from fewshot.tasks.one_class.confusers import wordnet as module
from fewshot.tasks.one_class.confusers.wordnet import WordNet, find_wordnet, open_wordnet


def words(nouns, offsets):
    return [nouns.synset(offset).words[0] for offset in offsets]


def test_synsets(nouns):
    assert nouns.version == "3.0"
    (shrimp,) = nouns.senses("shrimp")
    assert shrimp.words == ("shrimp", "prawn")
    assert words(nouns, shrimp.up) == ["crustacean"]
    (parent,) = map(nouns.synset, shrimp.up)
    assert words(nouns, parent.down) == ["crab", "lobster", "shrimp"]
    above = words(nouns, nouns.ancestors(shrimp))
    assert sorted(above) == ["animal", "crustacean", "entity", "physical entity"]
    assert [synset.words[0] for synset in nouns.senses("dog")] == ["dog", "hot dog"]
    assert [synset.instance for synset in nouns.senses("crane")] == [True, False]
    assert nouns.senses("Stephen_Crane")[0].up == ()  # of an instance only


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Crabs", "crab"), ("geese", "goose"), ("sea-horse", "seahorse"),
        ("SEA HORSES", "seahorse"),
        ("great dane", "Great Dane"), ("hermit_crab", "hermit crab"), ("boxes", None), ("s", None),
        ("", None), ("crab n 1", None),
    ],
)  # fmt: skip
def test_spellings(nouns, name, word):
    senses = nouns.senses(name)
    assert (senses[0].words[0] if senses else None) == word


def test_where_it_is(folder, workplace, monkeypatch):
    assert find_wordnet() is None
    assert find_wordnet(folder) == folder
    monkeypatch.setattr(module, "USUAL", (workplace / "none", folder))
    assert find_wordnet() == folder
    (workplace / "home").mkdir()
    folder.rename(workplace / "home" / "dict")
    monkeypatch.setenv("WNHOME", str(workplace / "home"))
    assert find_wordnet() == workplace / "home" / "dict"
    monkeypatch.setenv("FEWSHOT_WORDNET", str(workplace / "nowhere"))
    with pytest.raises(FewshotError, match=r"FEWSHOT_WORDNET: .*nowhere'\. .*wordnet-base"):
        find_wordnet()
    with pytest.raises(FewshotError, match=r"one_class\.confusers\.wordnet: expected a folder"):
        find_wordnet("other")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("index.noun", "crab n 2", "crab n two"), ("index.noun", "crab n 2", "crab n 9"),
        ("index.noun", "crab n 2", "crab n 0"), ("data.noun", " n 01 crab", " n zz crab"),
        ("data.noun", " n 01 crab", " n 03 crab"), ("data.noun", "Copyright", "Copy"),
    ],
)  # fmt: skip
def test_broken_files(folder, file, old, new):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    with pytest.raises(FewshotError, match="not in WordNet's format"):
        [WordNet(folder).ancestors(synset) for synset in WordNet(folder).senses("crab")]


def test_files_that_are_not_there(workplace, folder):
    (folder / "noun.exc").unlink()
    assert WordNet(folder).senses("crabs")
    (folder / "index.noun").write_bytes(b"\xff")
    with pytest.raises(FewshotError, match=r"one_class\.confusers\.wordnet: cannot read"):
        WordNet(folder)
    with pytest.raises(FewshotError, match="cannot read"):
        WordNet(workplace / "none")


def test_a_ring_ends(folder):
    text = (folder / "data.noun").read_text()
    crab = WordNet(folder).senses("crab")[0].offset
    entity = WordNet(folder).senses("entity")[0].offset
    lines = text.splitlines(keepends=True)
    line = next(line for line in lines if line.startswith(f"{entity:08d}"))
    lower = line.split(" ~ ")[1].split()[0]
    lines[lines.index(line)] = line.replace(f"~ {lower}", f"@ {crab:08d}", 1)
    (folder / "data.noun").write_text("".join(lines))
    nouns = WordNet(folder)
    assert crab in nouns.ancestors(nouns.synset(crab))


def test_debian_s(monkeypatch):
    place = Path("/usr/share/wordnet")
    if not (place / "data.noun").is_file():
        pytest.skip("wordnet-base is not installed")
    nouns = open_wordnet(place)
    assert nouns.version.startswith("3.")
    assert words(nouns, nouns.senses("crab")[0].up) == ["decapod crustacean"]
    assert "aeroplane" in nouns.senses("airplanes")[0].words
    assert nouns.senses("mice")[0].words == ("mouse",)
    assert nouns.senses("seahorses")
    assert not nouns.senses("faces easy")
