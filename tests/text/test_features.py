"""Text vectors on disk: found by their causes, computed when they are missing."""

from pathlib import Path

import pytest
import torch

from fewshot.backbones.base import Backbone, DualEncoder
from fewshot.exceptions import FewshotError
from fewshot.text.class_texts import class_texts
from fewshot.text.descriptions import Descriptions
from fewshot.text.features import class_text_features, text_features
from fewshot.text.template_sets import template_set

CPU = torch.device("cpu")
NAMES, TEMPLATES = ["sea_horse", "crab", "ant"], ["a photo of a {}.", "{}"]


class Letters(Backbone):
    """Texts to counts of letters; counts how often it is loaded."""

    name, feature, transform, has_text = "letters/tiny", "projection", None, True

    def __init__(self, weights="one"):
        self.weights, self.loads = weights, 0

    def weights_file(self):
        return Path("unused")

    def load(self, device):
        raise NotImplementedError

    def architecture(self):
        return {"letters": 26}

    def fingerprint(self):
        return {"architecture": self.architecture(), "weights": self.weights}

    def load_dual(self, device):
        self.loads += 1
        return DualEncoder(lambda images: images, self.encode, 37.5, -1.25, 8, self.count)

    def count(self, texts):
        return [len(text.split()) + 2 for text in texts]

    def encode(self, texts):
        counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
        return torch.tensor(counts, dtype=torch.float32)


def features(backbone, names=NAMES, templates=TEMPLATES, cache=Path("cache/text")):
    return class_text_features(backbone, names, templates, cache=cache, device=CPU)


def test_a_hit_loads_no_network():
    first, backbone = features(Letters()), Letters()
    again = features(backbone)
    assert backbone.loads == 0
    assert torch.equal(first.vectors, again.vectors)
    assert first.vectors.shape == (3, 26)
    assert torch.allclose(first.vectors.norm(dim=1), torch.ones(3))
    for stored in (first, again):
        assert (stored.logit_scale, stored.logit_bias) == (37.5, -1.25)
        assert stored.record["source"] == "templates"
        assert stored.record["templates"]["prompts"] == TEMPLATES
        assert (stored.record["pieces"], stored.record["cut"]) == (6, [])
        assert stored.record["key"] == stored.key == first.key
    assert [path.suffix for path in Path("cache/text").iterdir()] == [".safetensors"]


def test_every_cause_has_a_file_of_its_own():
    keys = {
        features(Letters()).key,
        features(Letters("two")).key,
        features(Letters(), NAMES[::-1]).key,
        features(Letters(), NAMES[:2]).key,
        features(Letters(), NAMES, TEMPLATES[:1]).key,
        features(Letters(), NAMES, TEMPLATES[::-1]).key,
    }
    assert len(keys) == len(list(Path("cache/text").iterdir())) == 6
    assert features(Letters(), ["sea horse", *NAMES[1:]]).key in keys  # the same prompts


@pytest.mark.parametrize("damage", [b"", b"rubbish" * 20])
def test_a_damaged_file_is_computed_again(damage):
    first = features(Letters())
    (path,) = Path("cache/text").iterdir()
    whole = path.read_bytes()
    for content in (damage, whole[:-8]):
        path.write_bytes(content)
        backbone = Letters()
        assert torch.equal(features(backbone).vectors, first.vectors)
        assert backbone.loads == 1
        assert path.read_bytes() == whole


def test_a_file_of_other_causes_is_not_taken():
    features(Letters("two"))
    (other,) = Path("cache/text").iterdir()
    expected = features(Letters("one"))
    (path,) = set(Path("cache/text").iterdir()) - {other}
    path.write_bytes(other.read_bytes())
    backbone = Letters("one")
    assert features(backbone).key == expected.key
    assert backbone.loads == 1


def test_nothing_is_left_of_a_failure():
    class Broken(Letters):
        def encode(self, texts):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        features(Broken())
    assert not Path("cache/text").exists()


def test_refusals():
    class Blind(Letters):
        has_text = False
        load_dual = Backbone.load_dual

    with pytest.raises(FewshotError, match="'letters/tiny' has no text encoder"):
        features(Blind())
    with pytest.raises(FewshotError, match="have the same name"):
        features(Letters(), ["Crane", "crane"])
    with pytest.raises(FewshotError, match="templates: expected"):
        features(Letters(), templates=["photo"])
    Path("file").write_text("in the way")
    with pytest.raises(FewshotError, match=r"paths\.cache: cannot write to"):
        features(Letters(), cache=Path("file/text"))


def described(backbone, texts, source="descriptions", cache=Path("cache/text")):
    descriptions = Descriptions({name: [text] for name, text in zip(NAMES, texts, strict=True)})
    chosen = class_texts(NAMES, template_set(TEMPLATES, ""), descriptions, source)
    return text_features(backbone, chosen, cache=cache, device=CPU)


def test_descriptions_have_files_of_their_own():
    texts = ["A fish. " * 5, "Red and hard.", "Black and very small."]
    stored = described(Letters(), texts)
    assert stored.record["pieces"] == 4  # three sentences of two words fit eight tokens, and two
    backbone = Letters()
    assert described(backbone, texts).key == stored.key
    assert backbone.loads == 0
    keys = {
        stored.key,
        features(Letters()).key,
        described(Letters(), texts, "both").key,
        described(Letters(), ["A fish.", *texts[1:]]).key,
        described(Letters(), texts[::-1]).key,
    }
    assert len(keys) == len(list(Path("cache/text").iterdir())) == 5


def test_what_is_cut_off_is_told_each_time(capfd):
    long = [f"a photo of {'very ' * 9}big {{}}."]
    for loads in (1, 0):
        backbone = Letters()
        stored = features(backbone, templates=long)
        assert backbone.loads == loads
        assert [cut["class"] for cut in stored.record["cut"]] == NAMES
        assert stored.record["cut"][1]["tokens"] == 16
        assert capfd.readouterr().err == (
            "fewshot: the text encoder cuts off the end of 3 texts, for instance of 'sea_horse'\n"
        )
    features(Letters())
    assert capfd.readouterr().err == ""
