"""Images of kinds that are not read are counted and named, with what to do about them."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import Folder, image_kinds
from fewshot.datasets.files import load_files
from fewshot.datasets.folder import load_folder
from fewshot.datasets.image_kinds import KINDS, ImageKind
from fewshot.datasets.images import UnreadableImageError, read_image
from fewshot.datasets.listed import load_listed
from fewshot.datasets.unread import UnreadFiles, unread_warning
from fewshot.exceptions import FewshotError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99


imported = image_kinds._imported


def encoded(kind="JPEG", colour="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch):
    """Pillow as most people have it, whatever is installed here."""
    monkeypatch.setattr(image_kinds, "_imported", lambda module: False)


@pytest.fixture
def tree(workplace):
    def make(*files):
        for file in files:
            path = Path("d", file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(HEIC if path.suffix.lower() == ".heic" else encoded())
        return Path("d")

    return make


def refusal(call, *arguments, **options):
    with pytest.raises(FewshotError) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jfif", "JPEG"), ("a.JPE", "JPEG"), ("a.jif", "JPEG"), ("a.PJPEG", "JPEG"),
     ("a.apng", "PNG"), ("a.dib", "BMP"), ("a.TIFF", "TIFF"), ("a.mpo", "JPEG")],
)  # fmt: skip
def test_all_usual_extensions_are_read(workplace, name, kind):
    Path("d/ash").mkdir(parents=True)
    Path("d/ash", name).write_bytes(encoded(kind))
    dataset = load_folder("x", "d")
    assert (dataset.paths, dataset.unread) == ((f"ash/{name}",), ())
    assert np.abs(np.asarray(dataset.read(0)).astype(int)[0, 0] - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize(
    "kind", [kind for kind in image_kinds.SOMETIMES if kind.feature], ids=lambda kind: kind.name
)
def test_what_this_pillow_can_read(workplace, kind):
    if not kind.readable():
        pytest.skip(f"this Pillow cannot read {kind.name}")
    Path("d/ash").mkdir(parents=True)
    for name in ("1" + kind.extensions[0], "2" + kind.extensions[1].upper(), "3.jpg"):
        Path("d/ash", name).write_bytes(encoded(kind.format))
    dataset = load_folder("x", "d")
    assert (len(dataset), dataset.unread) == (3, ())
    pixels = np.stack([np.asarray(dataset.read(row)) for row in range(3)]).astype(int)
    assert pixels.shape == (3, 8, 8, 3)
    assert np.abs(pixels - (255, 0, 0)).max() <= 8


def test_no_extension_is_of_two_kinds():
    kinds = (*image_kinds.ALWAYS, *image_kinds.SOMETIMES, *image_kinds.NEVER)
    assert len(KINDS) == sum(len(kind.extensions) for kind in kinds)
    assert all(extension == extension.lower() and extension[0] == "." for extension in KINDS)


def test_images_of_other_kinds_are_counted_by_extension(tree):
    root = tree(
        "ash/1.jpg", "ash/1.HEIC", "ash/2.heic", "ash/deep/3.Heic", "elm/1.jpg", "elm/x.CR2",
        "elm/logo.svg", "elm/._1.heic", "elm/notes.txt", "@eaDir/1.heic", "loose.heic",
    )  # fmt: skip
    Path("d/elm/notes.txt").write_text("not a picture")
    dataset = load_folder("x", str(root))
    assert dataset.paths == ("ash/1.jpg", "elm/1.jpg")
    assert dataset.unread == (
        UnreadFiles(".heic", 3, "ash/1.HEIC"),
        UnreadFiles(".cr2", 1, "elm/x.CR2"),
        UnreadFiles(".svg", 1, "elm/logo.svg"),
    )
    assert Folder(root).unread == dataset.take_rows(np.array([1])).unread == dataset.unread
    assert unread_warning(dataset.unread) == (
        "dataset: 3 .heic, 1 .cr2 and 1 .svg files (first 'ash/1.HEIC') are not read. For .heic "
        "files, pip install 'fewshot-eval[heif]', or convert them to JPEG. Convert .cr2 and .svg "
        "files to JPEG or PNG"
    )
    assert unread_warning([e.as_dict() for e in dataset.unread]) == unread_warning(dataset.unread)
    assert unread_warning(()) is None


def test_one_file_and_many_kinds_in_words():
    (line,) = (unread_warning([UnreadFiles(".nef", 1, "a/1.nef")]),)
    assert line.startswith("dataset: 1 .nef file ('a/1.nef') is not read. Convert .nef files to")
    many = [UnreadFiles(extension, 2, "a") for extension in image_kinds.RAW[:8]]
    assert "2 .erf" not in unread_warning(many) and "6 other image files" in unread_warning(many)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (("ash/1.heic", "elm/2.heic"), "no class folders with images that can be read: 2 .heic f"),
        (("ash/1.jpg", "elm/2.heic"), "'d/elm' has no image that can be read: 1 .heic file"),
        (("train/ash/1.heic", "train/elm/1.heic", "test/ash/1.jpg", "test/elm/1.jpg"),
         "'d/train' has no class folders with images that can be read: 2 .heic"),
        (("train/ash/1.jpg", "train/elm/1.jpg", "test/1.heic", "test/2.heic"),
         "test' has images but no class folders"),
    ],
)  # fmt: skip
def test_folders_without_any_image_that_is_read(tree, files, problem):
    text = refusal(load_folder, "x", str(tree(*files)))
    assert problem in text
    assert "heif" in text or "Sort its images" in text


def test_empty_classes_that_are_skipped_are_counted(tree):
    dataset = load_folder("x", str(tree("ash/1.jpg", "elm/2.heic")), on_error="skip")
    assert (dataset.classnames, dataset.unread) == (
        ("ash",), (UnreadFiles(".heic", 1, "elm/2.heic"),),
    )  # fmt: skip


def test_split_folders_and_unlabelled_ones(tree):
    root = tree("train/ash/1.jpg", "train/elm/1.jpg", "test/ash/1.heic", "test/ash/2.jpg",
                "test/elm/1.jpg", "unlabeled/1.heic")  # fmt: skip
    dataset = load_folder("x", str(root))
    assert dataset.unread == (UnreadFiles(".heic", 1, "test/ash/1.heic"),)
    assert dataset.left_out == ("unlabeled",)


def test_images_without_a_known_extension_are_named_by_their_content(tree):
    root = tree("ash/1.jpg", "ash/0001", "ash/0002", "ash/pic.jpg_large", "ash/README")
    Path("d/ash/README").write_text("Photographs of trees.")
    dataset = load_folder("x", str(root))
    assert dataset.unread == (
        UnreadFiles("", 3, "ash/0001", "a JPEG image"),
        UnreadFiles(".jpg_large", 1, "ash/pic.jpg_large", "a JPEG image"),
    )
    assert "'ash/0001' is a JPEG image: give such files" in unread_warning(dataset.unread)
    Path("d/ash/1.jpg").unlink()
    assert "no class folders with images that can be read: 3 ext" in refusal(
        load_folder, "x", str(root)
    )
    for name in ("0001", "0002", "pic.jpg_large"):
        Path("d/ash", name).write_bytes(b"\x93NUMPY")
    assert "has no class folders with images; expected" in refusal(load_folder, "x", str(root))


def test_names_of_any_bytes_stay_on_one_line(tree):
    root = tree(
        "ash/1.jpg", "ash/a.j\npg", os.fsdecode(b"ash/b.\xe9"), "ash/\u00e9\n\U0001f600.nef"
    )
    unread = load_folder("x", str(root)).unread
    assert [entry.extension for entry in unread] == [".j\\npg", ".nef", ".\\xe9"]
    line = unread_warning(unread)
    assert "\n" not in line and line.encode() and "ash/a.j\\npg" in line


def test_queries(tree):
    root = tree("a/1.jpg", "a/2.heic", "b/3.heic", "b/photo", "c/c.nef")
    queries = load_files([str(root / "a"), str(root / "b/photo")])
    assert queries.paths == ("d/a/1.jpg", "d/b/photo")  # whoever names a file means it
    assert queries.unread == (UnreadFiles(".heic", 1, "d/a/2.heic"),)
    text = refusal(load_files, [str(root / "c")])
    assert "no image that can be read in d/c: 1 .nef file" in text and "Convert .nef" in text
    text = refusal(load_files, [str(root / "b/3.heic")])
    assert "no image in d/b/3.heic: .heic files are not read" in text and "[heif]" in text
    Path("page").write_text("<html>")
    assert "no image in page, which is an HTML page" in refusal(load_files, ["page"])


@pytest.mark.parametrize("name", ["1.heic", "1.jpg"])
def test_heic_says_what_it_needs_whatever_its_name(tree, name):
    root = tree("ash/2.jpg")
    Path("d/ash", name).write_bytes(HEIC)
    Path("l.csv").write_text(f"filename,label\nash/{name},ash\nash/2.jpg,ash\n")
    dataset = load_listed("x", str(root), "l.csv")
    with pytest.raises(UnreadableImageError, match="an HEIC image, which Pillow") as caught:
        dataset.read(0)
    assert "pip install 'fewshot-eval[heif]'" in caught.value.remedy
    assert dataset.read(1).size == (8, 8)


def test_of_a_raw_file_no_thumbnail_is_read(workplace):
    for content in (encoded("TIFF"), b"FUJIFILMCCD-RAW 0201"):
        Path("1.dng").write_bytes(content)
        with pytest.raises(UnreadableImageError, match=r"a camera's \.dng file") as caught:
            read_image(Path("1.dng"))
        assert caught.value.remedy.startswith("Convert .dng")


def test_a_plugin_that_is_broken_is_none(monkeypatch, tmp_path):
    (tmp_path / "broken_plugin.py").write_text("raise OSError('libheif.so.1: no such file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(image_kinds, "_imported", imported)
    assert not ImageKind("X", (".x",), "X", plugins=("broken_plugin", "nowhere_plugin")).readable()


def test_the_plugin_reads_heic(workplace, monkeypatch):
    plugin = pytest.importorskip("pillow_heif")
    monkeypatch.setattr(image_kinds, "_imported", imported)
    plugin.register_heif_opener()
    Path("d/ash").mkdir(parents=True)
    picture = Image.new("RGB", (32, 16), "red")
    for name in ("1.HEIC", "2.jpg"):
        with Path("d/ash", name).open("wb") as file:
            picture.save(file, "HEIF")
    dataset = load_folder("x", "d")
    assert (len(dataset), dataset.unread) == (2, ())
    for source in (dataset.read(0), dataset.read(1), read_image(Path("d/ash/2.jpg").read_bytes())):
        assert source.size == (32, 16)
        assert np.abs(np.asarray(source).astype(int)[0, 0] - (255, 0, 0)).max() <= 8
