"""Cards and the settings of the data sets that they describe."""

import inspect
import subprocess
import sys

import pytest
import yaml

from fewshot.datasets import COMMON, kinds, load_dataset
from fewshot.datasets.cards import (
    card_names,
    facts_of,
    parts_of,
    unique_names,
)
from fewshot.datasets.parts import PARTS
from fewshot.exceptions import FewshotError
from fewshot.paths import (
    Places,
    card,
    option,
    options,
    resource_dir,
)

CARDS = card_names()
REQUIRED = {"name", "version", "summary", "licence", "references", "images", "templates"}
NAMED = REQUIRED | {"sources", "checksums", "classes", "layout"}
OPTIONAL = {
    "obtain", "note", "torchvision", "classnames", "split", "other_splits", "input", "source",
    "taxonomy", "classnames_from", "classnames_source", "other_classnames", "repeated_classnames",
    "ids", "coop", "ways",
}  # fmt: skip
CLIP_ELEVEN = {
    "imagenet", "caltech101", "oxford_pets", "stanford_cars", "flowers102", "food101",
    "fgvc_aircraft", "sun397", "dtd", "eurosat", "ucf101",
}  # fmt: skip
SUPERCLASSES = {  # of CIFAR-100, those of FC100's novel classes
    "aquatic mammals": {"beaver", "dolphin", "otter", "seal", "whale"},
    "insects": {"bee", "beetle", "butterfly", "caterpillar", "cockroach"},
    "medium-sized mammals": {"fox", "porcupine", "possum", "raccoon", "skunk"},
    "people": {"baby", "boy", "girl", "man", "woman"},
}


def splits_of(facts):
    default = {"split": facts["split"]} if facts.get("split") else {}
    return default | facts.get("other_splits", {})


@pytest.mark.parametrize("name", CARDS)
def test_a_card_has_what_it_needs(name):
    facts = card(name)
    needed = REQUIRED if name == "digits" else NAMED
    assert needed <= facts.keys() <= NAMED | OPTIONAL
    assert facts["name"] == name
    assert isinstance(facts["version"], int)
    assert all(isinstance(facts[key], str) for key in ("summary", "licence"))
    assert facts["images"] > 0
    for template in facts["templates"]:
        assert template.count("{}") == 1
        assert template == template.strip()
    for file, md5 in facts.get("checksums", {}).items():
        assert not file.startswith("/")
        assert md5 is None or (len(md5) == 32 and int(md5, 16) >= 0)
    assert all(url.startswith(("https://", "http://")) for url in facts.get("sources", []))
    if name != "digits":
        assert facts["sources"] or facts["obtain"]


@pytest.mark.parametrize("name", CARDS)
def test_names_and_splits_of_a_card_are_unique_and_complete(name):
    facts = card(name)
    names = facts.get("classnames") or []
    lists = {"": names} | facts.get("other_classnames", {})
    for whose, names in lists.items():
        shown = list(names.values()) if isinstance(names, dict) else names
        assert len(shown) == (facts.get("classes", len(shown)) if names else 0)
        twice = {name for name in shown if shown.count(name) > 1}
        if name == "imagenet" and whose == "card":  # first synonyms
            assert twice == {"crane", "maillot"}
        else:
            assert twice == (set(facts.get("repeated_classnames", ())) if not whose else set())
    # Splits name what identifies the classes.
    if facts.get("classnames_from") == "clip":
        names = lists.get("card", names)
    for lists in splits_of(facts).values():
        assert set(lists) <= set(PARTS)
        listed = [name for part in lists.values() for name in part]
        assert all(isinstance(name, str) for name in listed)
        assert len(set(listed)) == len(listed) == facts.get("classes", len(names))
        if names:
            assert set(listed) == set(names)


@pytest.mark.parametrize("name", CARDS)
def test_a_card_and_its_settings_agree(name):
    facts, settings = card(name), option("dataset", name)
    assert settings["name"] == name
    assert settings["kind"] in kinds
    assert settings.get("card", name) == name
    assert settings["split"] == ("none" if name == "digits" else "auto")
    if "torchvision" in facts:
        assert (settings["kind"], settings["card"]) == ("torchvision", name)
        assert settings["download"] == bool(facts["sources"])
    splits = facts.get("torchvision", {}).get("splits", [])
    assert all(split.keys() <= {"arguments", "subset", "part"} for split in splits)
    if "class_split" in settings:
        assert facts["other_splits"]


@pytest.mark.parametrize("name", sorted(options("dataset")))
def test_settings_are_those_of_their_loader(name):
    settings = option("dataset", name)
    takes = inspect.signature(kinds[settings["kind"]].load()).parameters
    assert settings.keys() - set(COMMON) <= takes.keys()
    assert settings["summary"]


def test_shared_files_are_shared_by_the_same_class_of_torchvision():
    folders = {}
    for name in CARDS:
        if plan := card(name).get("torchvision"):
            folders.setdefault(plan.get("folder", name), set()).add(plan["class"])
    assert all(len(classes) == 1 for classes in folders.values())


def test_the_eleven_of_clip_are_there():
    assert set(CARDS) >= CLIP_ELEVEN
    assert set(options("dataset")) >= CLIP_ELEVEN


def test_checksums_are_those_that_torchvision_knows():
    import torchvision.datasets as tv

    published = {
        "flowers102": [md5 for _, md5 in tv.Flowers102._file_dict.values()],
        "dtd": [tv.DTD._MD5],
        "oxford_pets": [md5 for _, md5 in tv.OxfordIIITPet._RESOURCES],
        "food101": [tv.Food101._MD5],
        "sun397": [tv.SUN397._DATASET_MD5],
        "omniglot": list(tv.Omniglot.zips_md5.values()),
        "imagenet": [md5 for _, md5 in tv.imagenet.ARCHIVE_META.values()],
        "inaturalist2021": [
            tv.inaturalist.DATASET_MD5[version] for version in ("2021_train_mini", "2021_valid")
        ],
        "mnist": [md5 for _, md5 in tv.MNIST.resources],
        "fashion_mnist": [md5 for _, md5 in tv.FashionMNIST.resources],
        "kmnist": [md5 for _, md5 in tv.KMNIST.resources],
        "svhn": [tv.SVHN.split_list[split][2] for split in ("train", "test")],
        "cifar10": [tv.CIFAR10.tgz_md5],
        **{name: [tv.CIFAR100.tgz_md5] for name in ("cifar100", "cifar_fs", "fc100")},
    }
    for name, checksums in published.items():
        assert sorted(card(name)["checksums"].values()) == sorted(checksums), name
    for name in ("eurosat", "caltech101", "caltech256", "gtsrb"):  # inside functions
        maker = getattr(tv, card(name)["torchvision"]["class"])
        text = inspect.getsource(maker)
        assert all(md5 in text for md5 in card(name)["checksums"].values()), name


def test_fc100_keeps_superclasses_together():
    assert set(card("fc100")["split"]["novel"]) == set().union(*SUPERCLASSES.values())


def test_cub_is_split_as_by_chen():
    """Of every four classes in order, two are base, one is validation, one is novel."""
    facts = card("cub")
    parts = {name: part for part, names in facts["split"].items() for name in names}
    assert parts["Black footed Albatross"] == "base"
    assert parts["Laysan Albatross"] == "validation"
    assert parts["Sooty Albatross"] == "base"
    assert parts["Groove billed Ani"] == "novel"
    assert [len(names) for names in facts["split"].values()] == [100, 50, 50]


def test_parts_of_classes_that_a_card_does_not_know():
    facts = {"name": "x", "split": {"base": ["a"], "novel": ["b"]}}
    assert parts_of(facts, ["b", "a"]) == ("novel", "base")
    assert parts_of({}, ["a"]) is None
    for names in (["a"], ["a", "b", "c"]):
        with pytest.raises(FewshotError, match=r"dataset.split: .*'x' differ.*'[bc]'"):
            parts_of(facts, names)


def test_an_unknown_card_gets_a_suggestion():
    assert facts_of(None) == {}
    with pytest.raises(FewshotError, match=r"dataset.card: .*'flowers101'.*'flowers102'"):
        facts_of("flowers101")


def test_only_names_that_come_twice_get_a_number():
    assert unique_names(["a", "b", "a"], ["1", "2", "3"]) == ("a (1)", "b", "a (3)")


def test_yaml_of_cards_has_no_surprises():
    """``no`` and ``1e3`` are not strings to YAML unless they are quoted."""
    for name in CARDS:
        path = resource_dir("datasets/cards") / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        plain = yaml.load(text, yaml.BaseLoader)
        for lists in splits_of(plain).values():
            typed = splits_of(yaml.safe_load(text))
            assert lists in typed.values()


def birds(root, names=("001.Black_footed_Albatross", "002.Laysan_Albatross")):
    top = root / "CUB_200_2011"
    top.mkdir(parents=True)
    lines = {
        "classes": [f"{i + 1} {name}" for i, name in enumerate(names)],
        "images": ["2 002.Laysan_Albatross/b 2.jpg", "1 001.Black_footed_Albatross/a.jpg"],
        "image_class_labels": ["1 1", "2 2"],
        "train_test_split": ["1 0", "2 1"],
    }
    for file, rows in lines.items():
        (top / f"{file}.txt").write_text("\n".join(rows) + "\n")
    return top


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "cache", tmp_path / "weights", tmp_path / "data")


def test_birds_come_from_their_own_lists(places, monkeypatch):
    from PIL import Image

    top = birds(places.data / "cub")
    (top / "images/002.Laysan_Albatross").mkdir(parents=True)
    Image.new("RGB", (3, 3), (10, 200, 30)).save(top / "images/002.Laysan_Albatross/b 2.jpg")
    lists = {"base": ["Black footed Albatross"], "novel": ["Laysan Albatross"]}
    monkeypatch.setattr("fewshot.datasets.cub.facts_of", lambda name: {"split": lists})
    settings = {**option("dataset", "cub"), "on_error": "skip"}
    dataset = load_dataset(settings, places)
    assert dataset.paths == (
        "images/001.Black_footed_Albatross/a.jpg", "images/002.Laysan_Albatross/b 2.jpg",
    )  # fmt: skip
    assert dataset.labels.tolist() == [0, 1]
    assert dataset.subset.tolist() == ["test", "train"]
    assert dataset.classnames == ("Black footed Albatross", "Laysan Albatross")
    assert dataset.parts == ("base", "novel")
    assert dataset.read(1).size == (3, 3)
    with pytest.raises(FewshotError, match=r"1 of 2 images are missing"):
        load_dataset({**settings, "on_error": "raise"}, places)
    inside = load_dataset({**settings, "root": str(top)}, places)
    assert inside.fingerprint() == dataset.fingerprint()


def test_birds_that_are_not_there_or_not_whole(places):
    settings = option("dataset", "cub")
    with pytest.raises(FewshotError, match=r"classes.txt.*CUB_200_2011.tgz .*data.caltech.edu"):
        load_dataset(settings, places)
    top = birds(places.data / "cub")
    with pytest.raises(FewshotError, match=r"classes of the data and of the card 'cub' differ"):
        load_dataset(settings, places)
    (top / "image_class_labels.txt").write_text("1 1\n")
    with pytest.raises(FewshotError, match=r"dataset.root: the lists in .* do not fit each other"):
        load_dataset(settings, places)


def test_listing_imports_no_loader():
    code = (
        "import sys; from fewshot.cli.main import main; main(['list', 'datasets']);"
        "sys.exit(bool({'torchvision', 'torch', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "flowers102" in done.stdout
