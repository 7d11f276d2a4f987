"""Masks from JSON files in the format of COCO: polygons and run lengths."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.datasets.classnames import expect_distinct, folded
from fewshot.datasets.fingerprint import index_of
from fewshot.datasets.images import image_size, pixel_limit, read_image
from fewshot.datasets.layout import subset_named
from fewshot.datasets.walk import instead_of_file, is_file, is_folder, printable, sub_folders
from fewshot.exceptions import FewshotError, expect, install_command, shown
from fewshot.files import file_digests
from fewshot.tasks.segmentation.masks.base import IGNORED
from fewshot.tasks.segmentation.masks.folder import IMAGE_FOLDERS, MASK_FOLDERS, chosen
from fewshot.tasks.segmentation.masks.lists import without_extension
from fewshot.tasks.segmentation.masks.rows import MaskRows
from fewshot.tasks.segmentation.masks.settings import MaskOptions
from fewshot.text_files import read_text

ARGUMENT = "dataset.annotations"
ROOT = "dataset.root"
# Names of files of all images, by the tools that write them.
WHOLE = ("annotations.json", "_annotations.coco.json", "coco.json", "instances_default.json",
         "result.json", "instances.json")  # fmt: skip
PREFIX = "instances_"
BACKGROUND = "background"
POLYGON = 6  # numbers of a triangle


@dataclass(frozen=True)
class CocoImage:
    """An image of a JSON file.

    Attributes
    ----------
    file : Path
    name : str
        Path in the folder of images, without extension.
    height, width : int
    annotations : list of dict
    origin : str
        The JSON file, for messages.
    """

    file: Path
    name: str
    height: int
    width: int
    annotations: list[dict[str, Any]]
    origin: str


def coco_files(root: Path, annotations: str | None = None) -> dict[str, Path]:
    """JSON files by "train", "validation" and "test"; one of all images under "".

    Parameters
    ----------
    root : Path
    annotations : str, optional
        ``dataset.annotations``: a file, relative to the current folder or to `root`.

    Raises
    ------
    FewshotError
        No such file.
    """
    if annotations:
        path = Path(str(annotations)).expanduser()
        file = next((place for place in (path, root / path) if is_file(place)), None)
        if file is None:
            raise FewshotError(ARGUMENT, f"expected a file, got {instead_of_file(annotations)}")
        return {"": file}
    names = {folder.name.casefold() for folder in sub_folders(root)}
    if names & set(MASK_FOLDERS) - {"annotations", "annotation"}:
        return {}
    folders = [root, root / "annotations", root / "annotation"]
    files: dict[str, Path] = {}
    for folder in [*folders, *sub_folders(root)]:
        inner = "" if folder in folders else subset_named(folder.name)
        for file in (
            sorted(folder.glob("*.json")) if inner is not None and is_folder(folder) else ()
        ):
            part = inner or subset_named(file.stem.removeprefix(PREFIX))
            if file.name in WHOLE and not inner:
                part = ""
            elif inner and file.name not in WHOLE:
                continue
            if part is not None:
                files.setdefault(part, file)
    return {"": files[""]} if "" in files else files


def coco_rows(root: Path, files: Mapping[str, Path], options: MaskOptions, name: str) -> MaskRows:
    """Images and masks of JSON files.

    Class 0 is the background: what no annotation covers. Crowds, and what annotations of two
    categories cover, are of no class. Masks are drawn when they are read.

    Raises
    ------
    FewshotError
        ``pycocotools`` is not installed; a broken file, annotations of unknown images or
        categories, missing images.
    """
    package()
    limit = pixel_limit(options.max_pixels)
    tables = {part: _table(file) for part, file in files.items()}
    categories = _categories(tables, files)
    images: list[CocoImage] = []
    rows: dict[str, list[int]] = {}
    skipped: list[dict[str, str]] = []
    for part, table in tables.items():
        listed = _images(table, files[part], root, categories)
        missing = [image for image in listed if not is_file(image.file)]
        if missing and options.on_error != "skip":
            raise _missing(missing, listed, files[part])
        skipped += [{"path": image.name, "reason": "it is missing"} for image in missing]
        listed = [image for image in listed if is_file(image.file)] if missing else listed
        if part:
            rows[part] = list(range(len(images), len(images) + len(listed)))
        images += listed
    kept, support, queries, used = chosen(rows, range(len(images)), root)
    images = [images[row] for row in kept]
    numbers = {identifier: number for number, identifier in enumerate(categories, start=1)}
    if folded(next(iter(categories.values()))) == BACKGROUND:
        numbers = {identifier: number - 1 for identifier, number in numbers.items()}
        classnames = tuple(categories.values())
    else:
        classnames = (BACKGROUND, *categories.values())
    expect_distinct(ARGUMENT, classnames, str(next(iter(files.values()))), "Rename one of them.")
    pictures = [image.file for image in images]
    expect(
        bool(pictures),
        ROOT,
        f"none of the images that {', '.join(map(str, files.values()))} lists is there",
        "Put them into images/ or beside the file.",
    )
    paths = tuple(_relative(file, root) for file in pictures)
    return MaskRows(
        name=name,
        paths=paths,
        masks=tuple(
            f"{path}, by {image.origin}" for path, image in zip(paths, images, strict=True)
        ),
        classnames=classnames,
        read=lambda row: read_image(pictures[row], limit),
        read_mask=lambda row: drawn(images[row], numbers),
        size=lambda row: image_size(pictures[row], limit),
        digests=lambda: file_digests(pictures, index_of(root, options.digests, "coco")),
        mask_digests=lambda: [_digest(image) for image in images],
        support=np.asarray(support, np.int64),
        queries=None if queries is None else np.asarray(queries, np.int64),
        stems=tuple(image.name for image in images),
        rules="coco 1",
        facts={"layout": "coco", "parts": used, "skipped": skipped},
    )


def package() -> Any:
    """The module ``pycocotools.mask``, which is an extra."""
    try:
        return importlib.import_module("pycocotools.mask")
    except ImportError:
        raise FewshotError(
            ROOT,
            "masks in the format of COCO need the package `pycocotools`, which is not installed",
            f"Run: {install_command('coco')}.",
        ) from None


def drawn(image: CocoImage, numbers: Mapping[Any, int]) -> NDArray[np.int16]:
    """The mask of an image: class numbers (H, W), 0 or `IGNORED`."""
    mask = np.zeros((image.height, image.width), np.int16)
    crowd = np.zeros(mask.shape, bool)
    for annotation in image.annotations:
        area = _area(annotation, image)
        if annotation.get("iscrowd"):
            crowd |= area
            continue
        number = numbers[annotation["category_id"]]
        taken = area & (mask != 0) & (mask != number)
        mask[area] = number
        mask[taken] = IGNORED
    mask[crowd & (mask == 0)] = IGNORED
    return mask


def _area(annotation: Mapping[str, Any], image: CocoImage) -> NDArray[np.bool_]:
    """Pixels of an annotation (H, W)."""
    coco, shape = package(), annotation.get("segmentation")
    try:
        if isinstance(shape, list):
            polygons = [polygon for polygon in shape if len(polygon) >= POLYGON]
            if not polygons:
                return np.zeros((image.height, image.width), bool)
            runs = coco.merge(coco.frPyObjects(polygons, image.height, image.width))
        elif isinstance(shape["counts"], list):  # type: ignore[index]
            runs = coco.frPyObjects(shape, image.height, image.width)
        else:
            runs = shape
        area = np.asarray(coco.decode(runs), bool)
    except Exception as error:  # pycocotools has no errors of its own
        raise _broken(annotation, image, str(error) or type(error).__name__) from None
    if area.shape != (image.height, image.width):
        size = f"{area.shape[1]} x {area.shape[0]} in place of {image.width} x {image.height}"
        raise _broken(annotation, image, f"it is {size} pixels")
    return area


def _broken(annotation: Mapping[str, Any], image: CocoImage, reason: str) -> FewshotError:
    return FewshotError(
        ARGUMENT,
        f"annotation {annotation.get('id')!r} of {image.file.name!r} in {image.origin} cannot be "
        f"drawn: {reason}",
        "Expected polygons [x1, y1, x2, y2, ...] or run lengths.",
    )


def _table(file: Path) -> dict[str, Any]:
    """Content of a JSON file with lists of images, annotations and categories."""
    try:
        table = json.loads(read_text(file, ARGUMENT))
    except (ValueError, RecursionError) as error:
        if isinstance(error, FewshotError):
            raise
        raise FewshotError(ARGUMENT, f"cannot parse {file}: {error}") from None
    for key in ("images", "annotations", "categories"):
        entries = table.get(key) if isinstance(table, dict) else None
        expect(
            isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries),
            ARGUMENT,
            f"{file} has no list of {key!r}",
            "Expected the format of COCO's instances: images, annotations, categories.",
        )
    return dict(table)


def _categories(tables: Mapping[str, dict[str, Any]], files: Mapping[str, Path]) -> dict[Any, str]:
    """Names of the categories by their ids, in order of the ids; the same in all files."""
    first: dict[Any, str] = {}
    for part, table in tables.items():
        names = {entry.get("id"): entry.get("name") for entry in table["categories"]}
        fine = all(isinstance(key, int) and isinstance(text, str) for key, text in names.items())
        expect(
            fine and bool(names) and len(names) == len(table["categories"]),
            ARGUMENT,
            f"{files[part]}: expected categories with an id, each its own, and a name, got "
            f"{shown(table['categories'])}",
        )
        listed = {key: str(names[key]) for key in sorted(names)}
        expect(
            not first or listed == first,
            ARGUMENT,
            f"{files[part]} has other categories than {next(iter(files.values()))}",
            "Export both parts with the same categories.",
        )
        first = listed
    return first


def _images(
    table: Mapping[str, Any], file: Path, root: Path, categories: Mapping[Any, str]
) -> list[CocoImage]:
    """Images of a file in order of their names."""
    entries: dict[Any, dict[str, Any]] = {}
    for entry in table["images"]:
        sizes = [entry.get(key) for key in ("width", "height")]
        fine = all(isinstance(side, int) and side > 0 for side in sizes)
        if not fine or not isinstance(entry.get("file_name"), str) or entry.get("id") in entries:
            raise FewshotError(
                ARGUMENT,
                f"{file}: expected images with an id, each its own, file_name, width and height, "
                f"got {shown(entry)}",
            )
        entries[entry.get("id")] = entry
    expect(bool(entries), ARGUMENT, f"{file} lists no image")
    held: dict[Any, list[dict[str, Any]]] = {key: [] for key in entries}
    for annotation in table["annotations"]:
        _expect_known(annotation, held, categories, file)
        held[annotation["image_id"]].append(annotation)
    folder = _folder_of([entry["file_name"] for entry in entries.values()], file, root)
    images = [
        CocoImage(
            folder / entry["file_name"],
            without_extension(entry["file_name"]),
            entry["height"],
            entry["width"],
            held[key],
            file.name,
        )
        for key, entry in entries.items()
    ]
    return sorted(images, key=lambda image: image.file)


def _expect_known(
    annotation: Mapping[str, Any], images: Mapping[Any, Any], categories: Mapping[Any, str],
    file: Path,
) -> None:  # fmt: skip
    """Raise for an annotation of an unknown image or category, or without an area."""
    what = f"{file}: annotation {annotation.get('id')!r}"
    for key, known, word in (
        ("image_id", images, "image"),
        ("category_id", categories, "category"),
    ):
        value = annotation.get(key)
        if not isinstance(value, int | str) or value not in known:
            raise FewshotError(
                ARGUMENT,
                f"{what} is of the {word} {shown(value)}, which is not listed",
                f"Its {len(known)} ids begin with {', '.join(map(str, list(known)[:5]))}.",
            )
    shape = annotation.get("segmentation")
    polygons = isinstance(shape, list) and bool(shape) and all(isinstance(p, list) for p in shape)
    if not polygons and not (isinstance(shape, dict) and "counts" in shape):
        raise FewshotError(
            ARGUMENT,
            f"{what} has no area: its segmentation is {shown(shape)}",
            "Boxes alone are no masks: export polygons or run lengths.",
        )


def _folder_of(names: Sequence[str], file: Path, root: Path) -> Path:
    """The folder that names of images are relative to."""
    word = file.stem.removeprefix(PREFIX)
    folders = [file.parent, root, *(root / name for name in IMAGE_FOLDERS), root / word]
    folders += [root / name / word for name in IMAGE_FOLDERS]
    folders += [file.parent / name for name in IMAGE_FOLDERS]
    part = subset_named(word)
    folders += [
        folder for folder in sub_folders(root) if part and subset_named(folder.name) == part
    ]
    best: Path = max(folders, key=lambda folder: sum(is_file(folder / name) for name in names[:20]))
    return best


def _missing(missing: list[CocoImage], listed: list[CocoImage], file: Path) -> FewshotError:
    first = missing[0].file
    return FewshotError(
        ROOT,
        f"{len(missing)} of the {len(listed)} images that {file} lists are missing, the first is "
        f"{first.name!r}, looked for in {printable(str(first.parent))!r}",
        "Put them there, into images/ or beside the file, or set dataset.on_error=skip.",
    )


def _digest(image: CocoImage) -> str:
    content = [image.height, image.width, image.annotations]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _relative(file: Path, root: Path) -> str:
    inside = file.is_relative_to(root)
    return printable((file.relative_to(root) if inside else file).as_posix())
