"""Prompts, descriptions or both as one vector per class."""

import numpy as np
import pytest
import torch

from fewshot.backbones.base import DualEncoder
from fewshot.exceptions import FewshotError
from fewshot.text.class_texts import class_texts, text_vectors
from fewshot.text.descriptions import Descriptions
from fewshot.text.template_sets import template_set

NAMES = ["sea_horse", "crab", "ant"]
PROMPTS = template_set(["a photo of a {}.", "{}"], "x")
TEXTS = {
    "Sea horse": ["It has a long snout. It swims upright in the sea. It is yellow.", "A fish."],
    "crab": ["Red, with claws."],
    "ant": ["A tiny black insect with six legs and a thin waist that lives in hills."],
    "whale": ["Large."],
}
LIMIT = 9


def encode(texts):
    counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
    return torch.tensor(counts, dtype=torch.float32)


def count(texts):
    return [len(text.split()) + 2 for text in texts]


def dual(**changes):
    arguments = {"encode_text": encode, "count_tokens": count} | changes
    return DualEncoder(
        lambda images: images, logit_scale=1, logit_bias=0, context_length=LIMIT, **arguments
    )


def unit(vector):
    return vector / np.linalg.norm(vector)


def mean_unit(texts):
    return unit(sum(unit(encode([text])[0].numpy()) for text in texts))


PIECES = [
    ["It has a long snout.", "It swims upright in the sea.", "It is yellow.", "A fish."],
    ["Red, with claws."],
    ["A tiny black insect with six legs", "and a thin waist that lives in", "hills."],
]


def test_descriptions_piece_by_piece():
    texts = class_texts(NAMES, PROMPTS, Descriptions(TEXTS), "descriptions")
    vectors, made = text_vectors(dual(), texts)
    expected = [mean_unit(pieces) for pieces in PIECES]
    np.testing.assert_allclose(vectors.numpy(), expected, rtol=1e-5)
    assert made == {"pieces": 8, "cut": []}
    assert "templates" not in texts.record
    assert texts.record["descriptions"]["other_classes"] == ["whale"]
    assert texts.record["without_description"] == []


def test_a_place_for_the_name_takes_it():
    texts = class_texts(NAMES[:1], PROMPTS, Descriptions({"sea-horse": ["A {}."]}), "descriptions")
    assert texts.descriptions == (("A sea horse.",),)


def test_names_of_the_file_that_fit_no_class_are_said():
    with pytest.raises(FewshotError, match=r"no description: 'ant'; the file has some of 'aunt'"):
        class_texts(["ant"], PROMPTS, Descriptions({"aunt": ["A."]}), "descriptions")


def test_both_count_alike():
    texts = class_texts(NAMES, PROMPTS, Descriptions(TEXTS), "both")
    vectors, made = text_vectors(dual(), texts)
    for name, pieces, vector in zip(NAMES, PIECES, vectors.numpy(), strict=True):
        word = name.replace("_", " ")
        named = mean_unit([f"a photo of a {word}.", word])
        np.testing.assert_allclose(vector, unit(named + mean_unit(pieces)), rtol=1e-5)
    assert made["pieces"] == 14
    assert {"templates", "descriptions"} <= texts.record.keys()


def test_classes_without_description():
    few = Descriptions({"crab": TEXTS["crab"]})
    with pytest.raises(FewshotError, match=r"2 of 3 classes have no .*: 'sea_horse', 'ant'\. Make"):
        class_texts(NAMES, PROMPTS, few, "descriptions")
    texts = class_texts(NAMES, PROMPTS, few, "descriptions", "templates")
    assert texts.record["without_description"] == ["sea_horse", "ant"]
    assert texts.record["templates"]["name"] == "own"
    assert [bool(texts_of) for texts_of in texts.prompts] == [True, False, True]
    vectors, _ = text_vectors(dual(), texts)
    np.testing.assert_allclose(vectors[1], mean_unit(["Red, with claws."]), rtol=1e-5)
    np.testing.assert_allclose(vectors[2], mean_unit(["a photo of a ant.", "ant"]), rtol=1e-5)


def test_words_and_prompts_that_are_cut_off():
    long = template_set("a {} " + "in the sea " * 3, "x")
    descriptions = Descriptions({**TEXTS, "ant": ["a " * 9 + "b"]})
    wide = dual(
        count_tokens=lambda texts: [
            n + 9 * ("b" in t) for n, t in zip(count(texts), texts, strict=True)
        ]
    )
    _, made = text_vectors(wide, class_texts(["ant"], long, descriptions, "both"))
    assert made["cut"] == [
        {"class": "ant", "text": "a ant in the sea in the sea in the sea ", "tokens": 13},
        {"class": "ant", "text": "b", "tokens": 12},
    ]


def test_an_encoder_that_does_not_count():
    blind = dual(count_tokens=None)
    text_vectors(blind, class_texts(NAMES, PROMPTS))
    with pytest.raises(FewshotError, match=r"text\.source: this text encoder does not count"):
        text_vectors(blind, class_texts(NAMES, PROMPTS, Descriptions(TEXTS), "both"))


@pytest.mark.parametrize("setting", ["source", "missing"])
def test_settings(setting):
    with pytest.raises(FewshotError, match=rf"text\.{setting}: .*Did you mean 'templates'"):
        class_texts(NAMES, PROMPTS, Descriptions(TEXTS), **{setting: "template"})
