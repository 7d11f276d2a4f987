"""Which mask belongs to which image, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot.datasets.classnames import composed
from fewshot.datasets.unread import OtherFiles, unread_amounts, unread_remedy
from fewshot.datasets.walk import image_files, printable
from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.masks.lists import without_extension

ROOT = "dataset.root"
NAMING = "Masks have the names of their images: images/NAME.jpg and masks/NAME.png."
# What people put behind the name of an image to name its mask, in lower case; the longest first.
MASK_SUFFIXES = (
    "_gtfine_labelids", "_gtfine_labeltrainids", "_labeltrainids", "_labelids", "_segmentation",
    "_groundtruth", "_annotation", "_labels", "_masks", "_label", "_mask", "_segm", "_anno",
    "-masks", "-mask", "-labels", "-label", ".mask", ".label", "_seg", "_gt", "_ann", "_l", "_m",
)  # fmt: skip
IMAGE_SUFFIXES = ("_leftimg8bit", "_image", "_img", "_rgb", "-image", "-img", "_sat")


@dataclass(frozen=True)
class Pairs:
    """Images, and their masks where they have one.

    Attributes
    ----------
    names : list of M str
        Path of every image in the folder of images, without extension.
    images : list of M Path
    masks : list of M (Path or None)
    unused : list of Path
        Masks without an image.
    """

    names: list[str]
    images: list[Path]
    masks: list[Path | None]
    unused: list[Path]

    @property
    def missing(self) -> list[int]:
        """Rows of images without a mask."""
        return [row for row, mask in enumerate(self.masks) if mask is None]


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
        return _pairs(lonely, by_suffix, masks)
    return _pairs(_files(images, "images"), _files(masks, "masks"), masks)


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


def _pairs(images: Mapping[str, Path], masks: Mapping[str, Path], folder: Path) -> Pairs:
    stems = {name: name for name in images}
    for name in images:
        stems.setdefault(_image_stem(name), name)
    mask_of: dict[str, Path] = {}
    unused: list[Path] = []
    for name, file in masks.items():
        tried = (name, _stem(name), _image_stem(name), _image_stem(_stem(name)))
        image = next((stems[stem] for stem in tried if stem in stems), None)
        if image is None:
            unused.append(file)
            continue
        if image in mask_of:
            raise FewshotError(
                ROOT,
                f"image {printable(images[image].name)!r} has two masks in "
                f"{printable(str(folder))}: {printable(mask_of[image].name)!r} and "
                f"{printable(file.name)!r}",
                "Keep one of them in the folder.",
            )
        mask_of[image] = file
    return Pairs(list(images), list(images.values()), list(map(mask_of.get, images)), unused)


def refuse_missing(pairs: Pairs, rows: Sequence[int], folder: Path, why: str = "") -> None:
    """Raise for images without a mask.

    Parameters
    ----------
    pairs : Pairs
    rows : sequence of int
        Of the images that need one.
    folder : Path
        Where masks were looked for.
    why : str
        Why they need one.

    Raises
    ------
    FewshotError
        The first is named, and a mask whose name differs in case.
    """
    missing = [row for row in rows if pairs.masks[row] is None]
    if not missing:
        return
    if len(missing) == len(pairs.names):
        where = printable(str(folder))
        raise FewshotError(ROOT, f"no image has a mask of its name in {where}", NAMING)
    image = pairs.images[missing[0]]
    others = f", nor have {len(missing) - 1} others" if missing[1:] else ""
    problem = (
        f"image {printable(str(image))!r}{why} has no mask in {printable(str(folder))}{others}"
    )
    near = _differing_in_case(image, pairs.unused)
    if near is not None:
        if without_extension(near.name) == without_extension(image.name):
            raise FewshotError(
                ROOT,
                f"{problem}: {printable(str(near))!r} is in another sub-folder",
                "Give images and masks the same sub-folders.",
            )
        raise FewshotError(
            ROOT, f"{problem}: {near.name!r} differs in case", "Rename one of the two."
        )
    raise FewshotError(ROOT, problem, f"{NAMING} To go without it, set dataset.on_error=skip.")


def refuse_unused(pairs: Pairs, folder: Path) -> None:
    """Raise for masks without an image.

    Raises
    ------
    FewshotError
        The first is named.
    """
    if pairs.unused:
        mask = printable(str(pairs.unused[0]))
        others = f", nor have {len(pairs.unused) - 1} others" if pairs.unused[1:] else ""
        problem = f"mask {mask!r} has no image in {printable(str(folder))}{others}"
        beside = OtherFiles()
        image_files(folder, ROOT, beside)
        if unread := beside.unread(folder):
            problem += f"; {unread_amounts(unread)} there cannot be read"
            raise FewshotError(ROOT, problem, unread_remedy(unread))
        raise FewshotError(ROOT, problem, f"{NAMING} Or remove it.")


def _differing_in_case(image: Path, masks: Sequence[Path]) -> Path | None:
    def key(path: Path) -> str:
        return _image_stem(_stem(without_extension(path.name))).casefold()

    return next((path for path in masks if key(path) == key(image)), None)
