"""From class names to prompts, and from prompts to a vector per class."""

import numpy as np
import pytest
import torch

from fewshot import paths as resources
from fewshot.backbones.base import DualEncoder
from fewshot.exceptions import FewshotError
from fewshot.text import prompts as module
from fewshot.text.prompts import (
    DEFAULT_TEMPLATES,
    check_classnames,
    check_templates,
    class_vectors,
    prompts,
    templates_of,
)

TEMPLATES = ["a photo of a {}.", "a drawing of one {}.", "{}"]


def encode_letters(texts):
    """Counts of the letters a to z: another vector for other words, of any length."""
    counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
    return torch.tensor(counts, dtype=torch.float32)


def dual(encode=encode_letters):
    return DualEncoder(lambda images: images, encode, 100.0, 0.0, 77)


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_prompts():
    assert prompts("sea_horse", TEMPLATES) == [
        "a photo of a sea horse.", "a drawing of one sea horse.", "sea horse",
    ]  # fmt: skip
    assert prompts(" a__b ", ['{"{}"} {0} {}']) == ['{"a b"} {0} a b']
    assert prompts("{}", ["the {}"]) == ["the {}"]  # a name is not a template


def test_templates_of_cards():
    assert templates_of("digits") == ('a photo of the number: "{}".',)
    assert templates_of("nothing") == DEFAULT_TEMPLATES
    for path in resources.resource_dir("datasets/cards").glob("*.yaml"):
        check_templates(templates_of(path.stem))


def test_the_ensemble_of_a_class_one_by_one():
    names = ["sea_horse", "Zebra", "crab"]
    vectors = class_vectors(dual(), names, TEMPLATES)
    assert vectors.shape == (3, 26)
    assert vectors.dtype == torch.float32
    for name, vector in zip(names, vectors.numpy(), strict=True):
        total = np.zeros(26)
        for template in TEMPLATES:
            counts = encode_letters([template.format(name.replace("_", " "))])[0].numpy()
            total += counts / np.linalg.norm(counts)
        np.testing.assert_allclose(vector, total / np.linalg.norm(total), rtol=1e-5)


def test_many_classes_go_in_batches(monkeypatch):
    sizes = []

    def encode(texts):
        sizes.append(len(texts))
        return encode_letters(texts)

    names = [f"{chr(97 + i)}{'x' * i}" for i in range(10)]
    whole = class_vectors(dual(), names, TEMPLATES)
    monkeypatch.setattr(module, "PROMPTS_AT_ONCE", 12)
    assert torch.equal(class_vectors(dual(encode), names, TEMPLATES), whole)
    assert sizes == [12, 12, 6]
    monkeypatch.setattr(module, "PROMPTS_AT_ONCE", 1)  # fewer than the templates of one class
    assert torch.equal(class_vectors(dual(), names, TEMPLATES), whole)


@pytest.mark.parametrize("other", ["sea_horse", "Sea horse", "sea horse "])
def test_names_that_text_cannot_tell_apart(other):
    message = refusal(lambda: class_vectors(dual(), ["sea horse", "crab", other]))
    assert "classnames: classes 0 ('sea horse') and 2 (" in message
    assert repr(other) in message
    assert "Rename" in message


def test_names_that_differ_by_more_are_two_classes():
    assert len(class_vectors(dual(), ["sea horse", "sea-horse", "seahorses"])) == 3


def test_empty_names():
    assert "class 1 has an empty name, '_'" in refusal(lambda: class_vectors(dual(), ["a", "_"]))
    assert "expected at least one class name" in refusal(lambda: class_vectors(dual(), []))


@pytest.mark.parametrize("bad", ["a photo of a {}.", [], ["a photo"], [3], ["{} {}", "a {0}"]])
def test_bad_templates(bad):
    assert "templates: expected" in refusal(lambda: class_vectors(dual(), ["a"], bad))
    assert "templates: expected" in refusal(lambda: prompts("a", bad))


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_an_encoder_without_an_answer(value):
    def encode(texts):
        rows = encode_letters(texts)
        rows[1] = value
        return rows

    message = refusal(lambda: class_vectors(dual(encode), ["ant", "bee"]))
    assert "no direction for class 'bee'" in message


def test_a_wordnet_id_behind_a_name_is_in_no_prompt():
    """Two classes of ImageNet are called "missile" by CLIP; both get the same prompts."""
    names = ("missile (n03773504)", "missile (n04008634)", "kite (bird of prey)")
    check_classnames(names)
    first, second, third = (prompts(name, ["a {}."]) for name in names)
    assert first == second == ["a missile."]
    assert third == ["a kite (bird of prey)."]
