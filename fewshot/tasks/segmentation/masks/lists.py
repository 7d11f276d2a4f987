"""Lists beside images and masks: names of classes, and names of images by part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fewshot.datasets.classnames import composed, expect_distinct, folded
from fewshot.datasets.image_kinds import KINDS, extension_of
from fewshot.datasets.parts import SUBSET_NAMES
from fewshot.datasets.split_files.text import read_lines
from fewshot.datasets.walk import is_file
from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.text_files import read_text

ROOT = "dataset.root"
CLASSES = "classes.txt"
# First names of lists for masks whose 0 is of no class.
ZERO = frozenset({"background", "other", "others", "unlabeled", "unlabelled", "void", "ignore"})


def read_classnames(file: Path, argument: str = ROOT) -> tuple[str, ...]:
    """Names of classes, a line each: the first one is that of class 0.

    Lines may begin with the number of the class (``0 road``, ``0: road``), if all do.

    Raises
    ------
    FewshotError
        An empty file, a blank line within, two classes of one name.
    """
    lines = [line.strip() for line in read_text(file, argument).rstrip().split("\n")]
    expect(any(lines), argument, f"{file} is empty", "Name the classes, a line each, or remove it.")
    if "" in lines:
        raise FewshotError(
            argument,
            f"{file}, line {lines.index('') + 1} is blank, but the number of a line is that of its "
            "class",
            "Remove the line, or name the class.",
        )
    numbered = [re.fullmatch(r"(\d+)\s*[:,;\t ]\s*(\S.*)", line) for line in lines]
    if all(match and int(match[1]) == number for number, match in enumerate(numbered)):
        lines = [match[2] for match in numbered if match]
    names = tuple(map(composed, lines))
    expect_distinct(argument, names, str(file), "Rename one of them.")
    return names


def without_zero(names: Sequence[str]) -> tuple[str, ...]:
    """Names without a first one that stands for the value 0, where that is of no class."""
    return tuple(names[1:] if len(names) > 1 and folded(names[0]) in ZERO else names)


def part_lists(folder: Path) -> dict[str, Path]:
    """Files ``train.txt``, ``val.txt``, ``test.txt`` of a folder, by "train", "validation", "test".

    Raises
    ------
    FewshotError
        Two for one part.
    """
    lists: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        part = SUBSET_NAMES.get(file.stem.casefold())
        if part is None or file.suffix.casefold() != ".txt" or not is_file(file):
            continue
        other = lists.setdefault(part, file)
        if other != file and not other.samefile(file):
            raise FewshotError(
                ROOT,
                f"{other.name!r} and {file.name!r} in {folder} are lists of the same part",
                "Remove one of them.",
            )
    return lists


def read_names(file: Path, rows: Mapping[str, int], where: str, argument: str = ROOT) -> list[int]:
    """Rows of the images that a list names.

    Parameters
    ----------
    file : Path
        A name per line, with or without folders and extension.
    rows : mapping of str to int
        Row by the name of an image: its path in the folder of images, without extension.
    where : str
        What the names are looked for in, for messages.

    Raises
    ------
    FewshotError
        An empty list, a name without an image, a name that comes twice.
    """
    lines = read_lines(file, argument)
    expect(bool(lines), argument, f"{file} is empty", "Name an image per line, or remove it.")
    ends = _ends(rows)
    numbers: dict[int, str] = {}
    for line in lines:
        row = _row_of(line, rows, ends)
        if row is None:
            raise _no_image(line, lines, file, rows, ends, where, argument)
        if row in numbers:
            raise FewshotError(
                argument,
                f"{file} names the image {line!r} twice"
                + ("" if numbers[row] == line else f", as {numbers[row]!r} too"),
                "Name every image once.",
            )
        numbers[row] = line
    return list(numbers)


def _ends(rows: Mapping[str, int]) -> dict[str, int | None]:
    """Row by the last part of a name; None where several end so."""
    ends: dict[str, int | None] = {}
    for name, row in rows.items():
        last = name.rpartition("/")[2]
        ends[last] = None if last in ends else row
    return ends


def _row_of(line: str, rows: Mapping[str, int], ends: Mapping[str, int | None]) -> int | None:
    """The row that a line names; a line may name the mask as well, behind a blank."""
    for text in dict.fromkeys((line, line.split(maxsplit=1)[0])):
        plain = composed(text.replace("\\", "/"))
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        for start in range(len(parts)):
            name = "/".join(parts[start:])
            for tried in (name, without_extension(name)):
                if tried in rows:
                    return rows[tried]
        last = parts[-1] if parts else ""
        for tried in (last, without_extension(last)):
            if (row := ends.get(tried)) is not None:
                return row
    return None


def without_extension(name: str) -> str:
    """A name without the extension of an image; other dots stay."""
    extension = extension_of(name)
    return name[: -len(extension)] if extension in KINDS else name


def _no_image(
    line: str,
    lines: Sequence[str],
    file: Path,
    rows: Mapping[str, int],
    ends: Mapping[str, int | None],
    where: str,
    argument: str,
) -> FewshotError:
    count = sum(_row_of(other, rows, ends) is None for other in lines)
    problem = f"{count} of the {len(lines)} names in {file} are of no image in {where}, the first "
    problem += f"is {line!r}"
    plain = without_extension(line).casefold()
    same = next((name for name in rows if name.casefold() == plain), None)
    if same is not None:
        return FewshotError(
            argument, f"{problem}, where {same!r} differs in case", "Spell it as the file is."
        )
    return FewshotError(argument, problem, suggestion(line, rows) if len(rows) < 10_000 else "")
