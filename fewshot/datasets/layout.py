"""What the sub-folders of a data set stand for: classes, or train, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fewshot.datasets.images import EXTENSIONS
from fewshot.datasets.walk import direct_images, image_files, printable, sub_folders
from fewshot.exceptions import FewshotError

# How people call the folders and files of a subset.
SUBSET_NAMES = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
SUBSET_ORDER = ("train", "validation", "test")
ROOT = "dataset.root"


@dataclass(frozen=True)
class ClassFolder:
    """A folder with the images of one class.

    Attributes
    ----------
    name : str
        The folder's name, as text.
    files : list of Path
    subset : str or None
        "train", "validation" or "test" where folders of that name are above the classes.
    """

    name: str
    files: list[Path]
    subset: str | None


def class_folders(root: Path, on_error: str) -> list[ClassFolder]:
    """The class folders of ``root/<class>`` or of ``root/<train, val, test>/<class>``.

    An empty one is an error, or passed over with ``on_error="skip"``.

    Raises
    ------
    FewshotError
        No images, or the classes seem to be on another level than right below `root`.
    """
    subsets = _subset_folders(root)
    if not subsets:
        return _classes_in(root, None, on_error)
    found = {s: _classes_in(subsets[s], s, on_error) for s in SUBSET_ORDER if s in subsets}
    largest = max(found.values(), key=len)
    for subset, classes in found.items():
        if len(classes) == 1 < len(largest) and classes[0].name not in {c.name for c in largest}:
            raise _unsorted(subsets[subset], f"{classes[0].name!r} is the only folder there")
    return [one for classes in found.values() for one in classes]


def _subset_folders(root: Path) -> dict[str, Path]:
    """The folders named train, val, test ...; none if `root` has other folders with images."""
    subs = sub_folders(root)
    named = [sub for sub in subs if sub.name.casefold() in SUBSET_NAMES]
    if not named or any(image_files(sub) for sub in subs if sub not in named):
        return {}
    loose = [sub for sub in named if direct_images(sub)]
    with_classes = [sub for sub in named if any(image_files(one) for one in sub_folders(sub))]
    if loose and len(named) > 1:
        raise _unsorted(loose[0], "images lie right in it", (set(with_classes) - set(loose)))
    if loose:
        return {}
    found: dict[str, Path] = {}
    for sub in with_classes:
        other = found.setdefault(SUBSET_NAMES[sub.name.casefold()], sub)
        if other != sub:
            raise FewshotError(
                ROOT, f"{other.name!r} and {sub.name!r} of {str(root)!r} are the same subset"
            )
    return found


def _unsorted(folder: Path, why: str, good: set[Path] | None = None) -> FewshotError:
    remedy = "Sort its images into class folders, or remove it"
    if good:
        remedy += f", or use one subset only, dataset.root={min(good)}"
    return FewshotError(
        ROOT,
        f"{str(folder)!r} has images but no class folders ({why}); expected "
        f"{folder.name}/<class>/<image>",
        f"{remedy}.",
    )


def _classes_in(folder: Path, subset: str | None, on_error: str) -> list[ClassFolder]:
    files = {sub: image_files(sub) for sub in sub_folders(folder)}
    held = {sub: own for sub, own in files.items() if own}
    if not held:
        raise _nothing(folder)
    _expect_level(folder, held)
    empty = [sub for sub, own in files.items() if not own]
    if empty and on_error != "skip":
        raise FewshotError(
            ROOT,
            f"class folder {printable(str(empty[0]))!r} has no image "
            f"({', '.join(sorted(EXTENSIONS))})",
            "Remove it or set dataset.on_error=skip.",
        )
    return [ClassFolder(printable(sub.name), own, subset) for sub, own in held.items()]


def _expect_level(folder: Path, held: Mapping[Path, list[Path]]) -> None:
    """Refuse folders whose images all lie deeper than right in the class folders.

    ``<class>/images/<image>``, the same sub-folder in every class, leaves no doubt.
    """
    if any(file.parent == sub for sub, own in held.items() for file in own):
        return
    below = {sub: {file.relative_to(sub).parts[0] for file in own} for sub, own in held.items()}
    (first, parts), *others = below.items()
    if not others:
        raise FewshotError(
            ROOT,
            f"{str(folder)!r} has images in one sub-folder only, {first.name!r}, whose sub-folders "
            "seem to be the classes",
            f"Did you mean dataset.root={_meant(first)}?",
        )
    if len(parts) == 1 and all(one == parts for _, one in others):
        return
    raise FewshotError(
        ROOT,
        f"every class folder of {str(folder)!r} has only sub-folders, as in "
        f"{first.name}/{min(parts)}/<image>; expected {folder.name}/<class>/<image>",
        f"Did you mean dataset.root={first}? If not, move the images up, or list them with their "
        "classes in a CSV file (dataset=listed).",
    )


def _meant(folder: Path) -> Path:
    """The first folder, going down, that has more than one sub-folder with images."""
    holding = [sub for sub in sub_folders(folder) if image_files(sub)]
    if len(holding) == 1 and not direct_images(folder) and not direct_images(holding[0]):
        return _meant(holding[0])
    return folder


def _nothing(folder: Path) -> FewshotError:
    if not direct_images(folder):
        problem, remedy = "has no class folders with images", ""
    else:
        problem, remedy = "has images but no class folders", _is_class(folder)
    return FewshotError(
        ROOT,
        f"{str(folder)!r} {problem}; expected {folder.name}/<class>/<image>",
        remedy or "Put the images of every class in a sub-folder named after it.",
    )


def _is_class(folder: Path) -> str:
    """A remedy if folders beside this one have images, too."""
    above = folder.parent if folder.name else folder.absolute().parent
    try:
        beside = [sub for sub in sub_folders(above) if sub.name != folder.absolute().name]
        alike = any(direct_images(sub) for sub in beside)
    except FewshotError:  # the folder above is none of ours
        return ""
    return f"It seems to be one class: did you mean its parent, dataset.root={above}?" * alike
