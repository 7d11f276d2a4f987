"""Lists of confusers from settings: every source, cleaning, and at most k names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.tasks.one_class.confusers import confusers_of, sources
from fewshot.tasks.one_class.confusers.lists import ConfuserFile
from fewshot.tasks.one_class.confusers.vocabulary import shuffled

CACHE = Path("cache")
CLASSES = ("Crab", "sea_horse", "gizmo")
WORDS = ["lobster", "rock crab", "crabs", "shrimp", "tin", "shell", "pipefish", "Tin"]


def letters(names):
    """Counts of letters: names that share letters are near."""
    return torch.tensor(
        [[name.lower().count(chr(97 + n)) for n in range(26)] for name in names]
    ).float()


def confusers(source, classes=CLASSES, encode=None, **settings):
    return confusers_of(settings, "sea", classes, source, CACHE, {"model": None}, encode=encode)


@pytest.fixture
def words():
    Path("v.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return "v.txt"


@pytest.fixture
def named():
    """Lists of a language model in the cache."""
    file = ConfuserFile({"crab": WORDS, "ant": ["spider"]}, "sea", "tiny", "confusers@1")
    file.save(CACHE / "confusers" / "sea-tiny.json")


def test_language_model(named):
    lists = confusers("llm", k=3)
    assert lists.classnames == CLASSES
    assert lists.names == (("lobster", "shrimp", "tin"), (), ())
    assert [entry.name for entry in lists.dropped[0]] == ["rock crab", "crabs"]
    assert lists.record["missing"] == lists.record["without_confusers"] == ["sea_horse", "gizmo"]
    assert lists.record["model"] == "tiny"
    assert lists.record["file"].endswith("sea-tiny.json")
    assert (lists.record["source"], lists.record["wordnet"]) == ("llm", None)
    assert json.loads(json.dumps(lists.record)) == lists.record
    assert len(confusers("llm", k=10).names[0]) == 5
    with pytest.raises(FewshotError, match=r"cannot read mine\.json"):
        confusers("llm", file="mine.json")


def test_wordnet(folder):
    lists = confusers("wordnet", wordnet=str(folder))
    assert (lists.names[0], lists.names[2]) == (("lobster", "shrimp"), ())
    assert set(lists.names[1]) >= {"horse", "zebra", "dog", "goose"}
    assert lists.record["senses"] == {"Crab": "crab", "sea_horse": "seahorse, sea horse"}
    assert lists.record["missing"] == ["gizmo"]
    assert lists.record["wordnet"] == "3.0"
    assert confusers("wordnet", wordnet=str(folder), k=1).names[0] == ("lobster",)
    with pytest.raises(FewshotError, match=r"source wordnet needs a folder.*wordnet-base"):
        confusers("wordnet")


def test_wordnet_cleans_the_other_sources(folder, named):
    lists = confusers("llm", wordnet=str(folder))
    assert lists.record["wordnet"] == "3.0"
    file = ConfuserFile({"shrimp": ["prawn", "crustacean", "crab"]}, "sea", "b", "confusers@1")
    file.save(Path("b.json"))
    assert confusers("llm", ["shrimp"], file="b.json").names == (("prawn", "crustacean", "crab"),)
    assert confusers("llm", ["shrimp"], file="b.json", wordnet=str(folder)).names == (("crab",),)


def test_vocabulary(words):
    lists = confusers("vocabulary", vocabulary=words, encode=letters, k=2, cosine=None)
    cosines = torch.nn.functional.cosine_similarity(letters(WORDS[:7]), letters(["Crab"]))
    order = [WORDS[n] for n in cosines.argsort(descending=True)]
    expected = [name for name in order if name not in ("rock crab", "crabs")][:2]
    assert lists.names[0] == tuple(expected)
    assert lists.record["vocabulary_names"] == 7
    with pytest.raises(FewshotError, match="source vocabulary needs a text encoder"):
        confusers("vocabulary", vocabulary=words)


def test_random(words):
    lists = confusers("random", vocabulary=words, k=4)
    order = shuffled(WORDS[:7], 0, "Crab")
    assert list(lists.names[0]) == [n for n in order if n not in ("rock crab", "crabs")][:4]
    alone = confusers("random", ["Crab"], vocabulary=words, k=4)
    assert alone.names[0] == lists.names[0]  # whatever the other classes
    seeds = {confusers("random", vocabulary=words, k=4, seed=seed).names for seed in range(5)}
    assert len(seeds) > 1


def test_oracle(folder):
    classes = ("crab", "hermit crab", "Crustacean", "ant")
    lists = confusers("oracle", classes, k=1, wordnet=str(folder), encode=letters)
    assert lists.names[0] == ("hermit crab", "Crustacean", "ant")
    assert lists.names[3] == classes[:3]
    assert lists.dropped == ((),) * 4
    with pytest.raises(FewshotError, match="needs two classes"):
        confusers("oracle", ["crab"])


def test_near_duplicates_make_room(named):
    calls = []

    def encode(names):
        calls.append(list(names))
        return torch.tensor([[1.0, 0.1 if name in ("Crab", "lobster") else 2.0] for name in names])

    lists = confusers("llm", k=2, encode=encode)
    assert lists.names[0] == ("shrimp", "tin")
    assert lists.dropped[0][-1].reason == "text cosine 1.00 with the class"
    assert all(len({name.casefold() for name in names}) == len(names) for names in calls)
    assert confusers("llm", k=2, encode=encode, cosine=None).names[0] == ("lobster", "shrimp")


def test_bad_settings(named):
    with pytest.raises(FewshotError, match=r"one_class\.sources: .*Did you mean 'wordnet'"):
        confusers("wordnt")
    with pytest.raises(FewshotError, match=r"one_class\.confusers: .*'cosin'.*'cosine'"):
        confusers("llm", cosin=1)
    for name, value in (("k", 0), ("k", True), ("cosine", 0), ("seed", -1), ("file", 3)):
        with pytest.raises(FewshotError, match=rf"one_class\.confusers\.{name}: "):
            confusers("llm", **{name: value})
    with pytest.raises(FewshotError, match=r"one_class\.confusers\.wordnet: expected a folder"):
        confusers("llm", wordnet="none")


def test_names_of_sources_import_nothing():
    assert sources.names() == ["llm", "oracle", "random", "vocabulary", "wordnet"]
    line = "import sys, fewshot.tasks.one_class.confusers; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", line], check=True)
