"""Which mask belongs to which image, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot.datasets.classnames import composed
from fewshot.datasets.unread import OtherFiles, unread_amounts, unread_remedy
from fewshot.datasets.walk import image_files, printable
from fewshot.exceptions import FewshotError, expect
from fewshot.tasks.segmentation.masks.lists import without_extension

ROOT = "dataset.root"
# What people put behind the name of an image to name its mask, in lower case; the longest first.
MASK_SUFFIXES = (
    "_gtfine_labelids", "_gtfine_labeltrainids", "_labeltrainids", "_labelids", "_segmentation",
    "_groundtruth", "_annotation", "_labels", "_masks", "_label", "_mask", "_segm", "_anno",
    "-masks", "-mask", "-labels", "-label", ".mask", ".label", "_seg", "_gt", "_ann", "_l", "_m",
)  # fmt: skip
IMAGE_SUFFIXES = ("_leftimg8bit", "_image", "_img", "_rgb", "-image", "-img", "_sat")


@dataclass(frozen=True)
class Pairs:
    """Images with their masks.

    Attributes
    ----------
    names : list of str
        Path of every image in the folder of images, without extension.
    images, masks : list of Path
    lonely : list of (str, Path)
        Files without a partner: "image" or "mask", and the file.
    """

    names: list[str]
    images: list[Path]
    masks: list[Path]
    lonely: list[tuple[str, Path]]


def paired(images: Path, masks: Path) -> Pairs:
    """Images and masks of two folders, at any depth, or of one folder.

    A mask has the name of its image, or that with one of `MASK_SUFFIXES` behind it.

    Raises
    ------
    FewshotError
        No image or mask, two of one name, or two masks for one image.
    """
    if images == masks:
        files = _files(images, "images")
        by_suffix = {name: file for name, file in files.items() if _stem(name) != name}
        lonely = {name: file for name, file in files.items() if name not in by_suffix}
        return _pairs(lonely, by_suffix, images, masks)
    return _pairs(_files(images, "images"), _files(masks, "masks"), images, masks)


def has_suffixed_masks(folder_files: Sequence[Path]) -> bool:
    """Whether there is an image with its mask beside it, such as ``x.jpg`` and ``x_mask.png``."""
    names = {without_extension(file.name) for file in folder_files}
    return any(_stem(name) != name and _stem(name) in names for name in names)


def _files(folder: Path, what: str) -> dict[str, Path]:
    """Files by their names."""
    others = OtherFiles()
    files = image_files(folder, ROOT, others)
    if not files:
        unread = others.unread(folder)
        more = f": {unread_amounts(unread)} that are not read" if unread else ""
        raise FewshotError(
            ROOT,
            f"there are no {what} in {printable(str(folder))}{more}",
            unread_remedy(unread) if unread else f"Put the {what} there.",
        )
    named: dict[str, Path] = {}
    for file in files:
        name = composed(without_extension(printable(file.relative_to(folder).as_posix())))
        if name in named:
            raise FewshotError(
                ROOT,
                f"{named[name].name!r} and {file.name!r} in {printable(str(file.parent))} have the "
                "same name but for the extension",
                "Remove or rename one of them.",
            )
        named[name] = file
    return named


def _stem(name: str) -> str:
    """The name of a mask without what says that it is one."""
    lower = name.casefold()
    suffix = next((suffix for suffix in MASK_SUFFIXES if lower.endswith(suffix)), "")
    return name[: len(name) - len(suffix)] if len(suffix) < len(name) else name


def _image_stem(name: str) -> str:
    lower = name.casefold()
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if lower.endswith(suffix)), "")
    return name[: len(name) - len(suffix)] if len(suffix) < len(name) else name


def _pairs(
    images: Mapping[str, Path], masks: Mapping[str, Path], image_folder: Path, mask_folder: Path
) -> Pairs:
    stems = {name: name for name in images}
    for name in images:
        stems.setdefault(_image_stem(name), name)
    mask_of: dict[str, Path] = {}
    lonely: list[tuple[str, Path]] = []
    for name, file in masks.items():
        tried = (name, _stem(name), _image_stem(name), _image_stem(_stem(name)))
        image = next((stems[stem] for stem in tried if stem in stems), None)
        if image is None:
            lonely.append(("mask", file))
            continue
        if image in mask_of:
            raise FewshotError(
                ROOT,
                f"image {printable(images[image].name)!r} has two masks in "
                f"{printable(str(mask_folder))}: {printable(mask_of[image].name)!r} and "
                f"{printable(file.name)!r}",
                "Keep one of them in the folder.",
            )
        mask_of[image] = file
    lonely += [("image", file) for name, file in images.items() if name not in mask_of]
    names = [name for name in images if name in mask_of]
    return Pairs(names, [images[name] for name in names], [mask_of[name] for name in names], lonely)


def refuse_lonely(
    lonely: Sequence[tuple[str, Path]], image_folder: Path, mask_folder: Path
) -> None:
    """Raise for an image without a mask, or a mask without an image.

    Raises
    ------
    FewshotError
        The first is named; a partner that differs in case is named, too.
    """
    if not lonely:
        return
    kind, file = next((entry for entry in lonely if entry[0] == "image"), lonely[0])
    other, folder = ("mask", mask_folder) if kind == "image" else ("image", image_folder)
    count = sum(entry[0] == kind for entry in lonely)
    others = f" (nor have {count - 1} others)" if count > 1 else ""
    problem = f"{kind} {printable(str(file))!r} has no {other} in {printable(str(folder))}{others}"
    near = _differing_in_case(file, [entry for entry in lonely if entry[0] == other])
    if near is not None:
        raise FewshotError(
            ROOT, f"{problem}: {near.name!r} differs in case", "Rename one of the two."
        )
    remedy = "Masks have the names of their images: images/NAME.jpg and masks/NAME.png."
    if kind == "image":
        remedy += " Remove the image, or set dataset.on_error=skip to go without."
    raise FewshotError(ROOT, problem, remedy)


def _differing_in_case(file: Path, others: Sequence[tuple[str, Path]]) -> Path | None:
    def key(path: Path) -> str:
        return _image_stem(_stem(without_extension(path.name))).casefold()

    return next((path for _, path in others if key(path) == key(file)), None)


def expect_pairs(pairs: Pairs, images: Path, masks: Path) -> None:
    """Raise if no image has a mask."""
    expect(
        bool(pairs.names),
        ROOT,
        f"no image in {printable(str(images))} has a mask of its name in {printable(str(masks))}",
        "Masks have the names of their images: images/NAME.jpg and masks/NAME.png.",
    )
