"""Names of classes beside what identifies them: whose they are; nothing else follows them."""

import json

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.cards import card_names
from fewshot.datasets.identifiers import identifiers
from fewshot.datasets.naming import names_of_card, unnamed
from fewshot.exceptions import FewshotError
from fewshot.paths import card, option
from fewshot.text.prompts import prompts, templates_of

CLIPS = [name for name in card_names() if card(name).get("classnames_from") == "clip"]


def folder(root, *classes):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (number * 9, 0, 0)).save(root / name / f"{number}.png")
    return {"kind": "folder", "name": "mine", "root": str(root)}


def listed(root, name, ids, column="label"):
    """miniImageNet's layout with one image a class."""
    (root / "images").mkdir()
    parts = dict(zip(("train", "val", "test"), np.array_split(ids, 3), strict=True))
    for part, subset in parts.items():
        rows = [f"filename,{column}"]
        for class_id in subset:
            Image.new("RGB", (4, 4)).save(root / f"images/{class_id}_1.jpg")
            rows.append(f"{class_id}_1.jpg,{class_id}")
        (root / f"{part}.csv").write_text("\n".join(rows) + "\n")
    return {**option("dataset", name), "root": str(root)}


def test_imagenets_names_are_clips():
    import open_clip

    assert card("imagenet")["classnames"] == list(open_clip.IMAGENET_CLASSNAMES)
    assert card("imagenet")["ids"] == sorted(card("imagenet")["ids"])


@pytest.mark.parametrize("name", CLIPS)
def test_both_lists_of_a_card_fit_the_same_classes(name):
    facts = card(name)
    from_card = facts.get("other_classnames", {}).get("card") or facts["classnames"]
    ids = facts.get("ids") or list(from_card)
    lists = names_of_card(facts, ids)
    assert {"clip"} <= set(lists) <= {"clip", "card"}
    assert all(len(names) == facts["classes"] for names in lists.values())
    # In any order, and of some classes only.
    subset = list(reversed(ids))[:5]
    assert names_of_card(facts, subset)["clip"] == tuple(reversed(lists["clip"]))[:5]
    assert names_of_card(facts, [*subset, "something else"]) == {}
    assert "github.com/openai/CLIP" in facts["classnames_source"] or "imagenet" in name
    assert "MIT" in facts["classnames_source"]


def test_mini_imagenet_prompts_have_names(tmp_path):
    facts = card("mini_imagenet")
    ids = sorted(facts["classnames"])[:9]
    settings = listed(tmp_path, "mini_imagenet", ids)
    data = load_dataset(settings)
    assert data.ids == tuple(ids)
    assert data.classnames == tuple(facts["classnames"][class_id] for class_id in ids)
    assert data.naming["from"] == "clip" and not unnamed(data)
    for name in data.classnames:
        assert not identifiers(prompts(name, templates_of("mini_imagenet")))
    from_card = load_dataset(settings | {"classnames": "card"})
    assert from_card.classnames == tuple(
        facts["other_classnames"]["card"][class_id] for class_id in ids
    )
    raw = load_dataset(settings | {"classnames": "data"})
    assert raw.classnames == tuple(ids) and unnamed(raw) == ids
    # Nothing that identifies images or classes goes by the names.
    assert data.fingerprint() == from_card.fingerprint() == raw.fingerprint()
    assert data.parts == from_card.parts == raw.parts
    assert data.paths == raw.paths


def test_folders_of_wordnet_ids(tmp_path):
    """As in tieredImageNet, and in parts of ImageNet that people make."""
    settings = folder(tmp_path, "n01443537", "n02085620")
    data = load_dataset(settings)
    assert (data.classnames, data.naming["from"]) == (("goldfish", "Chihuahua"), "clip")
    assert load_dataset(settings | {"classnames": "card"}).classnames[1] == "Chihuahua"
    more = folder(tmp_path / "more", "n01443537", "n02084071")  # the second is none of the 1,000
    data = load_dataset(more)
    assert (data.classnames, data.naming["from"]) == (("goldfish", "dog"), "wordnet")
    with pytest.raises(FewshotError, match=r"got 'clip'; this data set has no card"):
        load_dataset(more | {"classnames": "clip"})


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (("001.Black_footed_Albatross", "002.Laysan_Albatross"),
         ("Black_footed_Albatross", "Laysan_Albatross")),
        (("n02085620-Chihuahua", "n02085936-Maltese_dog"), ("Chihuahua", "Maltese_dog")),
        (("cat", "sea_horse"), ("cat", "sea_horse")),
        (("17", "class_b"), ("17", "class_b")),
    ],
)  # fmt: skip
def test_folders_of_people(tmp_path, classes, names):
    data = load_dataset(folder(tmp_path, *classes))
    assert data.classnames == names
    assert (data.ids or data.classnames) == classes
    assert data.naming["from"] == "data"
    assert unnamed(data) == [class_id for class_id in names if class_id == "17"]


def test_a_split_file_may_say_ids_or_names(tmp_path):
    settings = folder(tmp_path / "images", "n01443537", "n02085620", "n02099601")
    for base, novel in (("n02085620", "n01443537"), ("Chihuahua", "goldfish")):
        file = tmp_path / "split.json"
        file.write_text(json.dumps({"base": [base], "novel": [novel]}))
        assert load_dataset(settings | {"split": str(file)}).parts == (
            "novel",
            "base",
            "validation",
        )
    file.write_text(json.dumps({"base": ["goldfihs"]}))
    with pytest.raises(FewshotError, match=r"'goldfihs'.* Did you mean 'goldfish'"):
        load_dataset(settings | {"split": str(file)})


CONTENT = {
    "list.json": '["red", "green"]',
    "by_id.json": '{"class_1": "green", "class_0": "red"}',
    "by_id.yaml": "class_0: red\nClass-1: green\n",
    "list.yaml": "[red, green]",
    "lines.txt": "red\n\n green \n",
}


@pytest.mark.parametrize("file", CONTENT)
def test_names_from_a_file(tmp_path, file):
    (tmp_path / file).write_text(CONTENT[file])
    settings = folder(tmp_path / "images", "class_0", "class_1")
    data = load_dataset(settings | {"classnames": str(tmp_path / file)})
    assert (data.classnames, data.ids) == (("red", "green"), ("class_0", "class_1"))
    assert data.naming == {"from": "file", "source": file}


def test_features_take_names_from_a_file_and_no_other_unless_they_have_none(tmp_path):
    file = tmp_path / "mini_imagenet.npz"
    features = np.eye(4, dtype=np.float32)
    np.savez(file, features=features, labels=[0, 0, 1, 1], classnames=["n01532829", "n01558993"])
    settings = {"kind": "features", "name": None, "path": str(file)}
    bank = load_dataset(settings)
    assert bank.classnames == ("house finch", "American robin")
    assert bank.identifiers == ("n01532829", "n01558993")
    np.savez(file, features=features, labels=[0, 0, 1, 1], classnames=["AnnualCrop", "SeaLake"])
    assert load_dataset(settings).classnames == ("AnnualCrop", "SeaLake")
    np.savez(file, features=features, labels=[7, 7, 9, 9])
    bank = load_dataset(settings)
    assert unnamed(bank) == ["7", "9"]
    (tmp_path / "names.json").write_text('{"9": "nine", "7": "seven"}')
    bank = load_dataset(settings | {"classnames": str(tmp_path / "names.json")})
    assert bank.classnames == ("seven", "nine") and not unnamed(bank)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('["red"]', r"has 1 names, the data set has 2 classes, from 'class_0' to 'class_1'"),
        ('["red", 3]', r"name 1 should be a text, got 3"),
        ('["red", " "]', r"name 1 should be a text, got ' '"),
        (
            '["sea horse", "Sea_horse"]',
            r"'sea horse' and 'Sea_horse' of .* differ in spelling only",
        ),
        ('{"class_0": "a", "class_2": "b"}', r"names 'class_2', which is no class of the data set"),
        ('{"class_0": "a"}', r"has no name for 1 of 2 classes, the first is 'class_1'"),
        ('{"class_0": "a", "Class 0": "b"}', r"has two names for the class 'class_0'"),
        ('"red"', r"should be a list of names, or names by identifier"),
        ("[", r"cannot parse"),
    ],
)
def test_files_that_do_not_fit(tmp_path, content, said):
    file = tmp_path / "names.json"
    file.write_text(content)
    with pytest.raises(FewshotError, match=said) as caught:
        load_dataset(folder(tmp_path / "images", "class_0", "class_1") | {"classnames": str(file)})
    assert caught.value.argument == "dataset.classnames"


def test_a_wrong_choice_names_what_there_is(tmp_path):
    digits = option("dataset", "digits")
    with pytest.raises(FewshotError, match=r"expected auto, card, data or a file.*no list of CLIP"):
        load_dataset(digits | {"classnames": "clip"})
    with pytest.raises(FewshotError, match=r"'crad': nothing is there. Did you mean 'card'"):
        load_dataset(digits | {"classnames": "crad"})
    with pytest.raises(FewshotError, match=r"expected auto, data or a file.*has no card"):
        load_dataset(folder(tmp_path, "a", "b") | {"classnames": "card"})
    assert load_dataset(digits | {"classnames": "card"}).classnames[0] == "zero"
