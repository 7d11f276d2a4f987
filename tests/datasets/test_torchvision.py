"""Sets of torchvision, against torchvision's own ``__getitem__``, on tiny data in its layouts."""

import csv
import gzip
import json
import pickle
import urllib.request
from itertools import chain
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets as tv
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.images import UnreadableImageError
from fewshot.datasets.taxonomy import taxonomy_of
from fewshot.datasets.torchvision_rows import Rows
from fewshot.exceptions import FewshotError
from fewshot.paths import Places, card, option

MODULE = "fewshot.datasets.torchvision"
RNG = np.random.default_rng(0)


def picture(path, size=6):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(path)


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def flowers102(root):
    base = root / "flowers-102"
    for i in range(1, 7):
        picture(base / f"jpg/image_{i:05d}.jpg")
    scipy.io.savemat(base / "imagelabels.mat", {"labels": np.array([[1, 102, 3, 3, 2, 1]])})
    ids = {"trnid": [[5, 1]], "valid": [[2, 3]], "tstid": [[6, 4]]}
    scipy.io.savemat(base / "setid.mat", {key: np.array(value) for key, value in ids.items()})


def dtd(root):
    classes = sorted(chain(*card("dtd")["other_splits"]["meta_dataset"].values()))
    for i, part in enumerate(("train", "val", "test")):
        rows = [f"{name}/{name}_{i}.jpg" for name in classes]
        write(root / f"dtd/dtd/labels/{part}1.txt", "\n".join(rows) + "\n")
        write(root / f"dtd/dtd/labels/{part}2.txt", "\n".join(reversed(rows)) + "\n")
        for row in rows:
            picture(root / "dtd/dtd/images" / row, 2)


def fgvc_aircraft(root):
    base = root / "fgvc-aircraft-2013b/data"
    write(base / "variants.txt", "707-320\nF-16A/B\nModel B200\n")
    for i, part in enumerate(("train", "val", "test")):
        picture(base / f"images/000{i}1.jpg")
        picture(base / f"images/000{i}2.jpg")
        write(base / f"images_variant_{part}.txt", f"000{i}2 Model B200\n000{i}1 F-16A/B\n")


def oxford_pets(root):
    base = root / "oxford-iiit-pet"
    for part, number in (("trainval", 1), ("test", 2)):
        rows = [("Abyssinian", 1), ("great_pyrenees", 2)]
        text = "".join(f"{name}_{number} {label} 1 1\n" for name, label in rows)
        write(base / f"annotations/{part}.txt", text)
        for name, _ in rows:
            picture(base / f"images/{name}_{number}.jpg")


def stanford_cars(root):
    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    names = np.array(["AM General Hummer SUV 2000", "Acura RL Sedan 2012"], dtype=object)
    scipy.io.savemat(base / "devkit/cars_meta.mat", {"class_names": names})
    kind = [("class", "O"), ("fname", "O")]
    for part, file in (
        ("train", "devkit/cars_train_annos.mat"),
        ("test", "cars_test_annos_withlabels.mat"),
    ):
        rows = np.array([(2, "00001.jpg"), (1, "00002.jpg")], dtype=kind)
        scipy.io.savemat(base / file, {"annotations": rows})
        for i in (1, 2):
            picture(base / f"cars_{part}/0000{i}.jpg")


def food101(root):
    for part, number in (("train", 1), ("test", 2)):
        lists = {name: [f"{name}/{number}"] for name in ("beet_salad", "apple_pie")}
        write(root / f"food-101/meta/{part}.json", json.dumps(lists))
        for name in lists:
            picture(root / f"food-101/images/{name}/{number}.jpg")


def sun397(root):
    write(root / "SUN397/ClassName.txt", "/a/abbey\n/a/apartment_building/outdoor\n")
    for i in range(2):
        picture(root / f"SUN397/a/abbey/sun_{i}.jpg")
        picture(root / f"SUN397/a/apartment_building/outdoor/sun_{i}.jpg")


def eurosat(root):
    for name in ("AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial",
                 "Pasture", "PermanentCrop", "Residential", "River", "SeaLake"):  # fmt: skip
        picture(root / f"eurosat/2750/{name}/{name}_1.jpg")


def caltech101(root):
    base = root / "caltech101/101_ObjectCategories"
    for name in ("BACKGROUND_Google", "Faces", "car_side"):
        picture(base / name / "image_0001.jpg")
    Image.new("L", (5, 4), 90).save(base / "car_side/image_0002.jpg")


def caltech256(root):
    base = root / "caltech256/256_ObjectCategories"
    for i, name in enumerate(("001.ak47", "002.american-flag", "003.airplanes-101"), start=1):
        picture(base / name / f"{i:03d}_0001.jpg")
        picture(base / name / f"{i:03d}_0002.jpg")
    write(base / "002.american-flag/RENAME", "")


def omniglot(root):
    for folder, alphabet in (("background", "Greek"), ("evaluation", "Angelic")):
        write(root / f"omniglot-py/images_{folder}.zip", "")
        for character in ("character02", "character01"):
            for i in (2, 1):
                path = root / f"omniglot-py/images_{folder}/{alphabet}/{character}/{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(RNG.integers(0, 2, (5, 5), dtype=np.uint8) * 255).convert("1").save(
                    path
                )


SPECIES = (
    "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris",
    "00001_Plantae_Tracheophyta_Polypodiopsida_Polypodiales_Pteridaceae_Adiantum_pedatum",
)


def inaturalist2021(root):
    for part in ("2021_train_mini", "2021_valid"):
        for name in SPECIES:
            for file in ("b.jpg", "a.jpg"):
                picture(root / part / name / file)


def imagenet(root):
    classes = {
        "n02012849": ("crane",), "n03126707": ("crane",), "n01443537": ("goldfish", "Carassius"),
    }  # fmt: skip
    for part in ("train", "val"):
        for wnid in classes:
            picture(root / part / wnid / f"{wnid}_{part}.JPEG")
    torch.save((classes, ["n02012849"]), root / "meta.bin")


def gtsrb(root):
    base = root / "gtsrb"
    for c in range(43):
        picture(base / f"GTSRB/Training/{c:05d}/00000_00000.ppm", 2)
    picture(base / "GTSRB/Final_Test/Images/00000.ppm")
    with (base / "GT-final_test.csv").open("w", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerows([["Filename", "ClassId"], ["00000.ppm", "7"]])


def cifar(root, base, files, label, meta):
    (root / base).mkdir(parents=True)
    for i, file in enumerate(files):
        pixels = RNG.integers(0, 255, (12, 3072), dtype=np.uint8)
        content = {"data": pixels, label: [(7 * i + k) % meta for k in range(12)]}
        (root / base / file).write_bytes(pickle.dumps(content))


def cifar10(root):
    files = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    cifar(root, "cifar-10-batches-py", files, "labels", 10)
    names = [f"thing_{c}" for c in range(10)]
    (root / "cifar-10-batches-py/batches.meta").write_bytes(pickle.dumps({"label_names": names}))


def cifar100(root):
    cifar(root, "cifar-100-python", ["train", "test"], "fine_labels", 100)
    names = sorted(chain(*card("cifar_fs")["split"].values()))
    content = {"fine_label_names": [name.replace(" ", "_") for name in names]}
    (root / "cifar-100-python/meta").write_bytes(pickle.dumps(content))


def idx(source):
    def write_files(root):
        folder = root / source / "raw"
        folder.mkdir(parents=True)
        for part, count in (("train", 12), ("t10k", 10)):
            head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
            pixels = RNG.integers(0, 255, count * 784, dtype=np.uint8).tobytes()
            (folder / f"{part}-images-idx3-ubyte").write_bytes(head + pixels)
            head = b"\0\0\x08\x01" + count.to_bytes(4, "big")
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(
                head + bytes(i % 10 for i in range(count))
            )

    return write_files


def svhn(root):
    root.mkdir()
    for part in ("train", "test"):
        content = {
            "X": RNG.integers(0, 255, (32, 32, 3, 4), dtype=np.uint8),
            "y": np.array([[10], [3], [9], [1]], dtype=np.uint8),
        }
        scipy.io.savemat(root / f"{part}_32x32.mat", content)


MAKERS = {
    "flowers102": flowers102, "dtd": dtd, "fgvc_aircraft": fgvc_aircraft,
    "oxford_pets": oxford_pets, "stanford_cars": stanford_cars, "food101": food101,
    "sun397": sun397, "eurosat": eurosat, "caltech101": caltech101, "caltech256": caltech256,
    "omniglot": omniglot, "inaturalist2021": inaturalist2021, "imagenet": imagenet,
    "gtsrb": gtsrb, "cifar10": cifar10, "cifar100": cifar100, "cifar_fs": cifar100,
    "fc100": cifar100, "mnist": idx("MNIST"), "fashion_mnist": idx("FashionMNIST"),
    "kmnist": idx("KMNIST"), "svhn": svhn,
}  # fmt: skip
NAMED = sorted(MAKERS)


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "cache", tmp_path / "weights", tmp_path / "data")


@pytest.fixture
def no_checksums(monkeypatch):
    """Tiny data has other checksums than what was published."""
    for module in (tv.flowers102, tv.omniglot, tv.cifar, tv.svhn):
        monkeypatch.setattr(module, "check_integrity", lambda file, md5=None: Path(file).is_file())


@pytest.fixture
def offline(monkeypatch):
    """No network, whatever the machine has."""

    def refuse(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def settings(conf, /, **more):
    return {**option("dataset", conf), "on_error": "skip", "download": False, **more}


def made(name, places):
    folder = places.data / card(name)["torchvision"].get("folder", name)
    if not folder.exists():
        places.data.mkdir(exist_ok=True)
        MAKERS[name](folder)
    return folder


@pytest.mark.parametrize("name", NAMED)
def test_images_labels_and_names_are_those_of_torchvision(name, places, no_checksums, monkeypatch):
    root, facts = made(name, places), card(name)["torchvision"]
    with monkeypatch.context() as context:
        context.setattr(Image, "open", lambda *a, **k: pytest.fail("decoded while listing"))
        dataset = load_dataset(settings(name), places)
    maker = getattr(tv, facts["class"])
    images, expected = [], []
    offset, row = 0, 0
    for split in facts["splits"]:
        reference = maker(str(root), **split["arguments"])
        if maker is tv.Omniglot:  # its classes come in the file system's order
            order = {name: i for i, name in enumerate(sorted(reference._characters))}
            number = [order[name] + offset for name in reference._characters]
            offset += len(number)
        else:
            number = list(range(1000))
        rows = range(row, row + len(reference))
        row += len(reference)
        expected += [
            (number[label], image.convert("RGB").tobytes())
            for image, label in (reference[i] for i in range(len(reference)))
        ]
        images += [(int(dataset.labels[i]), dataset.read(i).tobytes()) for i in rows]
        if "subset" in split:
            assert set(dataset.subset[list(rows)]) == {split["subset"]}
    assert row == len(dataset) == len(dataset.paths) == len(set(dataset.paths))
    ordered = maker in (tv.CIFAR10, tv.CIFAR100, tv.MNIST, tv.SVHN)
    assert images == expected if ordered else sorted(images) == sorted(expected)
    assert dataset.labels.dtype == np.int64
    assert len(set(dataset.classnames)) == len(dataset.classnames) > dataset.labels.max()


def test_paths_are_files_below_the_root_and_sorted(places, no_checksums):
    root = made("omniglot", places)
    dataset = load_dataset(settings("omniglot"), places)
    assert dataset.paths[0] == "omniglot-py/images_background/Greek/character01/1.png"
    assert all((root / path).is_file() for path in dataset.paths)
    assert dataset.classnames[:2] == ("Greek/character01", "Greek/character02")
    assert dataset.parts == ("base", "base", "novel", "novel")


def test_arrays_get_numbers(places, no_checksums):
    made("cifar10", places)
    dataset = load_dataset(settings("cifar10", subset="test"), places)
    assert len(dataset) == 12
    assert dataset.paths[3] == "cifar10/test/00003"


def test_names_that_two_classes_have_get_the_number_of_the_class(places):
    made("imagenet", places)
    from_card = load_dataset(settings("imagenet", classnames="card"), places)
    assert from_card.classnames == ("goldfish", "crane (n02012849)", "crane (n03126707)")
    clip = load_dataset(settings("imagenet"), places)
    assert clip.classnames == ("goldfish", "crane bird", "construction crane")
    assert clip.ids == from_card.ids == ("n01443537", "n02012849", "n03126707")
    assert clip.fingerprint() == from_card.fingerprint()


def test_names_are_written_as_people_do(places):
    for name in ("caltech256", "sun397", "eurosat", "food101"):
        made(name, places)
    names = {
        name: load_dataset(settings(name), places).classnames
        for name in ("caltech256", "sun397", "eurosat", "food101")
    }
    assert names["caltech256"] == ("ak47", "american flag", "airplanes")
    assert names["sun397"] == ("abbey", "apartment building outdoor")
    assert names["eurosat"][0] == "annual crop land"
    assert names["food101"] == ("apple pie", "beet salad")


def test_species_keep_their_lineage(places):
    made("inaturalist2021", places)
    dataset = load_dataset(settings("inaturalist2021"), places)
    assert dataset.ids == SPECIES
    assert taxonomy_of(dataset.ids)[0].species == "Lumbricus terrestris"
    assert dataset.classnames[0] == "Lumbricus terrestris"


@pytest.mark.parametrize(("name", "sizes"), [("cifar_fs", (64, 16, 20)), ("fc100", (60, 20, 20))])
def test_class_splits_of_cifar_100_share_its_files(name, sizes, places, no_checksums):
    made("cifar100", places)
    parts = load_dataset(settings(name), places).parts
    assert tuple(parts.count(part) for part in ("base", "validation", "novel")) == sizes
    assert load_dataset(settings("cifar100"), places).parts is None


def test_a_further_split_by_class_can_be_chosen(places):
    made("dtd", places)
    parts = load_dataset(settings("dtd", class_split="meta_dataset"), places).parts
    assert [parts.count(part) for part in ("base", "validation", "novel")] == [33, 7, 7]
    with pytest.raises(FewshotError, match=r"dataset.class_split: .* Did you mean 'meta_dataset'"):
        load_dataset(settings("dtd", class_split="meta_data"), places)


def test_options_reach_torchvision_but_not_its_splits(places):
    root = made("dtd", places)
    second = load_dataset(settings("dtd", options={"partition": 2}, subset="train"), places)
    assert sorted(second.paths) == sorted(
        f"dtd/dtd/images/{line}"
        for line in (root / "dtd/dtd/labels/train2.txt").read_text().split()
    )
    with pytest.raises(FewshotError, match=r"dataset.options: 'split' is set by the card"):
        load_dataset(settings("dtd", options={"split": "val"}), places)
    with pytest.raises(FewshotError, match=r"dataset.options: .* has no 'partitions'.*'partition'"):
        load_dataset(settings("dtd", options={"partitions": 2}), places)


def test_a_set_without_a_card(places):
    for name in ("a", "b"):
        picture(places.data / f"Country211/country211/test/{name}/1.jpg")
    chosen = settings("torchvision", source="Country211", options={"split": "test"}, name=None)
    dataset = load_dataset(chosen, places)
    assert (dataset.name, dataset.classnames, len(dataset)) == ("Country211", ("a", "b"), 2)
    with pytest.raises(FewshotError, match=r"dataset.source: .*'Country21'.*Country211"):
        load_dataset({**chosen, "source": "Country21"}, places)
    with pytest.raises(FewshotError, match=r"dataset.source: expected a class"):
        load_dataset({**chosen, "source": None}, places)


def test_a_set_of_another_kind_is_refused(places):
    (places.data / "FakeData").mkdir(parents=True)
    with pytest.raises(FewshotError, match=r"dataset.source: .*FakeData has no list of images"):
        load_dataset(settings("torchvision", source="FakeData", name=None), places)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_missing_is_told_in_one_line(name, places, offline):
    with pytest.raises(FewshotError) as caught:
        load_dataset(settings(name, download=True), places)
    message, facts = str(caught.value), card(name)
    assert "\n" not in message
    assert str(places.data) in message
    for url in facts["sources"]:
        assert url in message
    if "obtain" in facts:
        assert facts["obtain"].split(":")[0] in message
    else:
        for file, md5 in facts["checksums"].items():
            assert file in message
            assert md5 is None or md5 in message
        assert "no network" in message


def test_without_download_nothing_is_asked_or_made(places, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("asked the network"))
    with pytest.raises(FewshotError, match=r"no such folder.*Set dataset.download=true"):
        load_dataset(settings("mnist"), places)
    assert not places.data.exists()


def test_a_truncated_archive_is_named(places, offline):
    write(places.data / "cifar10/cifar-10-python.tar.gz", "half of it")
    with pytest.raises(FewshotError, match=r"cifar-10-python.tar.gz there is damaged.*c58f30108f"):
        load_dataset(settings("cifar10", download=True), places)


def test_an_archive_that_was_put_there_is_extracted(places, offline, monkeypatch):
    idx("MNIST")(places.data / "made")
    raw = places.data / "mnist/MNIST/raw"
    raw.mkdir(parents=True)
    for file in (places.data / "made/MNIST/raw").iterdir():
        with gzip.open(raw / f"{file.name}.gz", "wb") as packed:
            packed.write(file.read_bytes())
    monkeypatch.setattr(tv.utils, "check_integrity", lambda file, md5=None: Path(file).is_file())
    dataset = load_dataset(settings("mnist", download=True), places)
    assert len(dataset) == 22


def test_a_half_extracted_set_is_refused(places):
    root = made("food101", places)
    with pytest.raises(FewshotError, match=r"found 4 of 101,000 images.*on_error=skip"):
        load_dataset(settings("food101", on_error="raise"), places)
    (root / "food-101/images/apple_pie/1.jpg").unlink()
    with pytest.raises(FewshotError, match=r"1 of 4 images are missing, .*apple_pie/1.jpg"):
        load_dataset(settings("food101", on_error="raise"), places)
    dataset = load_dataset(settings("food101"), places)
    with pytest.raises(UnreadableImageError):
        dataset.read(dataset.paths.index("food-101/images/apple_pie/1.jpg"))


@pytest.mark.parametrize("name", ["food101", "cifar10"])
def test_the_fingerprint_follows_content_and_labels(name, places, no_checksums):
    root = made(name, places)
    first = load_dataset(settings(name), places).fingerprint()
    assert load_dataset(settings(name), places).fingerprint() == first
    if name == "food101":
        picture(root / "food-101/images/apple_pie/1.jpg")
    else:
        file = root / "cifar-10-batches-py/test_batch"
        content = pickle.loads(file.read_bytes())
        file.write_bytes(pickle.dumps({**content, "labels": content["labels"][::-1]}))
    assert load_dataset(settings(name), places).fingerprint() != first


def test_a_truncated_file_is_told_in_one_line(places, offline):
    root = made("mnist", places)
    file = root / "MNIST/raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(FewshotError, match=r"dataset: torchvision cannot load mnist") as caught:
        load_dataset(settings("mnist", download=True), places)
    assert "\n" not in str(caught.value)


def test_images_without_a_label_are_refused(places, monkeypatch):
    """As those that STL10 brings along unlabelled, with -1 in place of a class."""
    rows = Rows(np.array([0, 1, -1, -1]), ("ape", "bat"), pixels=np.zeros((4, 2, 2), np.uint8))
    monkeypatch.setattr(f"{MODULE}.build", lambda *_: None)
    monkeypatch.setattr(f"{MODULE}.rows_of", lambda _: rows)
    settings = {"kind": "torchvision", "source": "STL10", "options": {"split": "train+unlabeled"}}
    with pytest.raises(FewshotError, match=r"dataset\.options: 2 of 4 images have no label\."):
        load_dataset(settings, places)
