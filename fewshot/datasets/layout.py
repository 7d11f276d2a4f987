"""Detection of the layout of a folder: class folders, or train, validation and test folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot.datasets.images import EXTENSIONS
from fewshot.datasets.parts import SUBSET_NAMES, SUBSETS
from fewshot.datasets.walk import (
    direct_images,
    has_images,
    image_files,
    printable,
    sub_folders,
)
from fewshot.exceptions import FewshotError

SUBSET_ORDER = SUBSETS
# Words beside such a name, as in training_set, TestImages or val2017.
FILLER = "set|data|dataset|images?|imgs?|split"
# Names of splits that are not read as subsets; users choose one of them as the root.
OTHER_SPLITS = frozenset({
    "query", "queries", "support", "gallery", "probe", "eval", "evaluation", "holdout",
    "base", "novel",
})  # fmt: skip
# Names of folders whose images have no class.
UNLABELLED = frozenset({"unlabeled", "unlabelled"})
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


@dataclass(frozen=True)
class Layout:
    """Class folders of a data set.

    Attributes
    ----------
    classes : list of ClassFolder
    left_out : tuple of str
        Other folders that have images, relative to the data set's.
    """

    classes: list[ClassFolder]
    left_out: tuple[str, ...] = ()


def subset_named(name: str) -> str | None:
    """Subset that a folder name stands for: "train" for ``Train`` and ``training_set``."""
    return SUBSET_NAMES.get(_bare(name))


def _bare(name: str) -> str:
    """A folder's name in lower case without numbers and words that go with any split."""
    words = re.split(r"[\W\d_]+", name.casefold())
    kept = [word for word in words if word and not re.fullmatch(FILLER, word)]
    return re.sub(rf"(?<=.)({FILLER})$", "", kept[0]) if len(kept) == 1 else name


def class_folders(root: Path, on_error: str) -> Layout:
    """The class folders of ``root/<class>`` or of ``root/<train, val, test>/<class>``.

    Folders for subsets make a split if there are classes in two of them, or several in one; other
    folders beside two or three of them are left out. Folders called "unlabeled" are always left
    out. An empty class folder is an error, or passed over with ``on_error="skip"``.

    Raises
    ------
    FewshotError
        No images, or the classes seem to be on another level than right below `root`.
    """
    subs, unlabelled = _labelled(root)
    subsets = _subset_folders(root, subs)
    if not subsets:
        return Layout(_classes_in(root, subs, None, on_error), _names(root, unlabelled))
    classes_of: dict[str, list[ClassFolder]] = {}
    for subset, folder in subsets.items():
        inside, more = _labelled(folder)
        unlabelled += more
        classes_of[subset] = _classes_in(folder, inside, subset, on_error)
    largest = max(classes_of.values(), key=len)
    for subset, classes in classes_of.items():
        if len(classes) == 1 < len(largest) and classes[0].name not in {c.name for c in largest}:
            raise _unsorted(subsets[subset], f"{classes[0].name!r} is the only folder there")
    others = [sub for sub in subs if sub not in subsets.values() and has_images(sub)]
    classes = [folder for folders in classes_of.values() for folder in folders]
    return Layout(classes, _names(root, [*others, *unlabelled]))


def _labelled(folder: Path) -> tuple[list[Path], list[Path]]:
    """Class or subset folders, and folders called "unlabeled" that have images."""
    subs = sub_folders(folder)
    without = [sub for sub in subs if _bare(sub.name) in UNLABELLED]
    return [sub for sub in subs if sub not in without], [sub for sub in without if has_images(sub)]


def _names(root: Path, folders: Sequence[Path]) -> tuple[str, ...]:
    return tuple(sorted(printable(folder.relative_to(root).as_posix()) for folder in folders))


def _subset_folders(root: Path, subs: Sequence[Path]) -> dict[str, Path]:
    """The folders for subsets that have class folders, by subset; none if all are classes."""
    named = [sub for sub in subs if subset_named(sub.name)]
    others = [sub for sub in subs if sub not in named and has_images(sub)] if named else []
    loose = [sub for sub in named if direct_images(sub)]
    inside = {sub: [folder for folder in sub_folders(sub) if has_images(folder)] for sub in named}
    split = [sub for sub in named if inside[sub] and sub not in loose]
    several = [sub for sub in named if len(inside[sub]) > 1]
    if others and len(split) < 2 and len(several) < 2 and not set(split) & set(several):
        return {}  # a class may be called "train"
    if loose and len(named) > 1:
        good = {sub for sub in named if inside[sub]} - set(loose)
        raise _unsorted(loose[0], "images lie right in it", good)
    if loose:
        return {}
    if others and len(split) == 1:
        raise _ambiguous(root, split[0], others)
    folders: dict[str, Path] = {}
    for sub in split:
        other = folders.setdefault(str(subset_named(sub.name)), sub)
        if other != sub:
            raise FewshotError(
                ROOT, f"{other.name!r} and {sub.name!r} of {str(root)!r} are the same subset"
            )
    return {subset: folders[subset] for subset in SUBSET_ORDER if subset in folders}


def _ambiguous(root: Path, split: Path, others: Sequence[Path]) -> FewshotError:
    beside = ", ".join(repr(printable(folder.name)) for folder in others[:3])
    beside += f" and {len(others) - 3} more" if len(others) > 3 else ""
    return FewshotError(
        ROOT,
        f"{printable(str(root))!r} has class folders in {printable(split.name)!r} and images in "
        f"{beside} beside it",
        f"Did you mean dataset.root={printable(str(split))}? If {printable(split.name)!r} is a "
        "class, move its images up, right into it.",
    )


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


def _classes_in(
    folder: Path, subs: Sequence[Path], subset: str | None, on_error: str
) -> list[ClassFolder]:
    files = {sub: image_files(sub) for sub in subs}
    held = {sub: images for sub, images in files.items() if images}
    if not held:
        raise _nothing(folder)
    _expect_level(folder, held)
    _expect_no_split(folder, held)
    empty = [sub for sub, images in files.items() if not images]
    if empty and on_error != "skip":
        raise FewshotError(
            ROOT,
            f"class folder {printable(str(empty[0]))!r} has no image "
            f"({', '.join(sorted(EXTENSIONS))})",
            "Remove it or set dataset.on_error=skip.",
        )
    return [ClassFolder(printable(sub.name), images, subset) for sub, images in held.items()]


def _expect_level(folder: Path, held: Mapping[Path, list[Path]]) -> None:
    """Refuse folders whose images all lie deeper than right in the class folders.

    ``<class>/images/<image>``, the same sub-folder in every class, leaves no doubt.
    """
    if any(file.parent == sub for sub, images in held.items() for file in images):
        return
    below = {
        sub: {file.relative_to(sub).parts[0] for file in images} for sub, images in held.items()
    }
    (first, parts), *others = below.items()
    if not others:
        raise FewshotError(
            ROOT,
            f"{str(folder)!r} has images in one sub-folder only, {first.name!r}, whose sub-folders "
            "seem to be the classes",
            f"Did you mean dataset.root={_meant(first)}?",
        )
    if len(parts) == 1 and all(names == parts for _, names in others):
        return
    raise FewshotError(
        ROOT,
        f"every class folder of {str(folder)!r} has only sub-folders, as in "
        f"{first.name}/{min(parts)}/<image>; expected {folder.name}/<class>/<image>",
        f"Did you mean dataset.root={first}? If not, move the images up, or list them with their "
        "classes in a CSV file (dataset=listed).",
    )


def _expect_no_split(folder: Path, held: Mapping[Path, list[Path]]) -> None:
    """Refuse a folder that has a split below it, or is one, as a class.

    A split is a folder for a subset, or for queries and the like, without images right in it and
    with several folders of images: ``dataset/train/<class>``, ``gallery/<class>``.
    """
    for sub, files in held.items():
        folders = {file.parent for file in files}
        below: dict[Path, set[Path]] = {}
        for deep in folders:
            for inner in (deep, *deep.parents):
                if inner == sub:
                    break
                below.setdefault(inner.parent, set()).add(inner)
        for inner, classes in below.items():
            other = inner == sub and _bare(inner.name) in OTHER_SPLITS
            if len(classes) > 1 and inner not in folders and (other or subset_named(inner.name)):
                raise _has_split(folder, inner)


def _has_split(folder: Path, split: Path) -> FewshotError:
    shown = printable(split.relative_to(folder).as_posix())
    readable = subset_named(split.name) and split.parent != folder
    meant = split.parent if readable else split
    return FewshotError(
        ROOT,
        f"{printable(str(folder))!r} has class folders in {shown!r}, which seems to be a split; "
        f"expected {printable(folder.name)}/<class>/<image>",
        f"Did you mean dataset.root={printable(str(meant))}?",
    )


def _meant(folder: Path) -> Path:
    """The first folder, going down, that has more than one sub-folder with images."""
    holding = [sub for sub in sub_folders(folder) if has_images(sub)]
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
    except FewshotError:  # the folder above cannot be listed
        return ""
    return f"It seems to be one class: did you mean its parent, dataset.root={above}?" * alike
