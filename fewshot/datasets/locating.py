"""Where listed images lie: the folder and the layout that fit a list best."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np

from fewshot.datasets.classnames import composed
from fewshot.datasets.split_files import ImageList
from fewshot.datasets.split_files.tables import names_image
from fewshot.datasets.walk import is_file, is_folder, printable, sub_folders
from fewshot.exceptions import FewshotError

TRIED = 32  # images, spread over the list, by which the folder of images is found
DEEPEST = 24  # folders that are taken from the front of a path

Rule = Callable[[int], str]  # row number to a path relative to a folder


def located(listed: ImageList, root: Path, beside: Path, place: Path, argument: str) -> list[Path]:
    """A file (or folder, where the list has such) for every row, existing or not.

    Paths may be relative to `root`, to its folder ``images``, to another sub-folder of it or to
    `beside`, flat or in folders named after classes or lists; or absolute below `root`. Of
    absolute paths elsewhere, and of those relative to another place, as other machines have them,
    the ends are looked for below `root`, and nowhere else. A path without an image's extension has
    the one of the file on the disk.

    Parameters
    ----------
    listed : ImageList
    root : Path
        Folder of the data set.
    beside : Path
        Folder of the list.
    place : Path
        The list, for errors.
    argument : str
        The setting named in errors.

    Raises
    ------
    FewshotError
        Several files fit.
    """
    disk = _Disk(listed.folders)
    paths = _below(listed.paths, root)
    count = len(paths)
    rows = np.unique(np.linspace(0, count - 1, TRIED).round().astype(int)).tolist()
    if not any(path.startswith("/") for path in paths):
        folders = (root, root / "images", beside, beside / "images", *sub_folders(root))
        rules = _rules(paths, listed)
        best, folder, rule = _best(disk, dict.fromkeys(folders), rules, rows)
        if best == len(rows):
            return _all(disk, folder, rule, count, place, argument)
    else:
        best, folder, rule = 0, root, partial(_end, paths, 0)
    for tail_folder, tail in _ends(disk, paths, root, rows, best, place, argument):
        folder, rule = tail_folder, tail
    return _all(disk, folder, rule, count, place, argument)


def _all(
    disk: _Disk, folder: Path, rule: Rule, count: int, place: Path, argument: str
) -> list[Path]:
    files = [disk.find(folder, rule(row)) for row in range(count)]
    if disk.several:
        path, names = next(iter(disk.several.items()))
        raise FewshotError(
            argument,
            f"{len(disk.several)} of {count} images of {place} could be several files, the first "
            f"is {path!r}: {' or '.join(names)}",
            "Write the extension in the list.",
        )
    return files


def _below(paths: Sequence[str], root: Path) -> Sequence[str]:
    """Paths, of which absolute ones below the root are relative to it."""
    tops = {f"{os.path.abspath(root)}/", f"{os.path.realpath(root)}/"}  # noqa: PTH100
    tops = {top.replace(os.sep, "/").replace("//", "/") for top in tops}

    def relative(path: str) -> str:
        return next((path[len(top) :] for top in tops if path.startswith(top)), path)

    return [relative(path) if path.startswith("/") else path for path in paths]


def _rules(paths: Sequence[str], listed: ImageList) -> list[Rule]:
    """Ways to lay out listed images in a folder."""
    labels, lists = listed.labels, listed.lists
    return [
        lambda row: paths[row],
        lambda row: f"{listed.classnames[labels[row]]}/{paths[row]}",
        lambda row: f"{lists[row]}/{paths[row]}",
        lambda row: f"{lists[row]}/{listed.classnames[labels[row]]}/{paths[row]}",
    ]


def _best(
    disk: _Disk, folders: Sequence[Path] | dict[Path, None], rules: Sequence[Rule], rows: list[int]
) -> tuple[int, Path, Rule]:
    """Number of the rows that are there, folder and rule, of the first that has most of them."""
    best, choice = -1, (next(iter(folders)), rules[0])
    for folder in folders:
        for rule in rules:
            hits = sum(disk.has(folder, rule(row)) for row in rows)
            if hits > best:
                best, choice = hits, (folder, rule)
            if best == len(rows):
                return best, *choice
    return best, *choice


def _end(paths: Sequence[str], dropped: int, row: int) -> str:
    """An absolute path without `dropped` folders in front; a relative one as it is."""
    path = paths[row]
    return path.lstrip("/").split("/", dropped)[-1] if path.startswith("/") else path


def _relative_end(paths: Sequence[str], dropped: int, row: int) -> str:
    return paths[row].split("/", dropped)[-1]


def _ends(
    disk: _Disk,
    paths: Sequence[str],
    root: Path,
    rows: list[int],
    best: int,
    place: Path,
    argument: str,
) -> Iterator[tuple[Path, Rule]]:
    """The folder below the root and the ends of paths of which more than `best` are there.

    The ends must tell all images apart, and lead to the same files wherever they fit.
    """
    rooted = any(path.startswith("/") for path in paths)
    cut = _end if rooted else _relative_end
    shortest = min(paths[row].count("/") for row in rows if rooted == paths[row].startswith("/"))
    fitting: list[tuple[int, tuple[str, ...], Path, Rule]] = []
    for folder in dict.fromkeys((root, root / "images", *sub_folders(root))):
        for dropped in range(0 if rooted else 1, min(shortest, DEEPEST) + 1):
            rule: Rule = partial(cut, paths, dropped)
            if len({rule(row) for row in rows}) < len(rows):
                break  # shorter ends tell them apart even less
            there = [row for row in rows if disk.has(folder, rule(row))]
            if len(there) > best:
                best, fitting = len(there), []
            elif len(there) < best or not fitting:
                continue
            if there:
                files = [disk.find(folder, rule(row)) for row in there]
                alike = min(_common_end(file, paths[row]) for file, row in
                            zip(files, there, strict=True))  # fmt: skip
                fitting.append((alike, tuple(map(os.path.realpath, files)), folder, rule))
    disk.several.clear()
    distinct = [
        entry for entry in fitting
        if len({entry[3](row) for row in range(len(paths))}) == len(paths)
    ]  # fmt: skip
    longest = max((entry[0] for entry in distinct), default=0)
    meant = {files: (folder, rule) for alike, files, folder, rule in reversed(distinct)
             if alike == longest}  # fmt: skip
    if len(meant) > 1:
        shown = [printable(str(folder / rule(rows[0]))) for folder, rule in meant.values()]
        raise FewshotError(
            argument,
            f"{place} has the paths of another place, such as {paths[rows[0]]!r:.200}, which "
            f"could be {' or '.join(map(repr, sorted(shown)[:3]))}",
            "Set dataset.root to the folder that is meant.",
        )
    yield from meant.values()


def _common_end(file: Path, path: str) -> int:
    """Number of folders and names in which a file's absolute path ends as a listed path does."""
    pairs = zip(reversed(file.absolute().parts), reversed(path.split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class _Disk:
    """What there is on the disk, by path or, without the extension, by stem.

    Attributes
    ----------
    several : dict
        Names of the files that fit, by paths that fit several.
    """

    def __init__(self, folders: bool) -> None:
        self._folders = folders
        self._stems: dict[str, dict[str, list[str]]] = {}
        self.several: dict[str, list[str]] = {}

    def has(self, folder: Path, path: str) -> bool:
        file = self.find(folder, path)
        return is_folder(file) if self._folders else is_file(file)

    def find(self, folder: Path, path: str) -> Path:
        """The file, also where the disk has another Unicode form of its name."""
        file = folder / path
        if self._folders or names_image(path):
            return file if path.isascii() else self._other_form(folder, path)
        if is_file(file) or not path:
            return file
        names = self._in(file.parent).get(composed(file.name), ())
        if len(names) > 1:
            self.several[path] = names
        return file.parent / names[0] if names else file

    def _other_form(self, folder: Path, path: str) -> Path:
        exists = is_folder if self._folders else is_file
        forms = (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
        return next((folder / form for form in forms if exists(folder / form)), folder / path)

    def _in(self, folder: Path) -> dict[str, list[str]]:
        """Names of the image files in a folder, by stem."""
        key = str(folder)
        if key not in self._stems:
            stems: dict[str, list[str]] = {}
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208
            except (OSError, ValueError):  # no such folder, or no such name
                names = []
            for name in names:
                if names_image(name):
                    stems.setdefault(composed(Path(name).stem), []).append(name)
            self._stems[key] = stems
        return self._stems[key]
