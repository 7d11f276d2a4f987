"""Files in a folder of images that are not read: counted by extension, and what is said of them."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fewshot.datasets.image_kinds import KINDS, extension_of, kind_by_phrase, remedies
from fewshot.datasets.walk import printable
from fewshot.file_kinds import kind_of
from fewshot.units import joined

LOOKED_INTO = 5  # files of an unknown extension whose first bytes are read
NAMED = 5  # extensions in a message


@dataclass(frozen=True)
class UnreadFiles:
    """Files with one extension that are images but are not read.

    Attributes
    ----------
    extension : str
        In lower case, with the dot; "" for files without one.
    files : int
    first : str
        Path of the first of them.
    content : str or None
        What a file with an unknown extension is by its content: "a JPEG image".
    """

    extension: str
    files: int
    first: str
    content: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As ``data.unread_files`` of ``summary.json`` has it."""
        return asdict(self)


@dataclass
class OtherFiles:
    """Files that are not read as images, counted by extension while folders are searched.

    Attributes
    ----------
    counts : dict of str to int
    samples : dict of str to list of Path
        The first files of every extension in the order of their names, `LOOKED_INTO` at most.
    """

    counts: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, path: Path) -> None:
        """Count a file."""
        extension = extension_of(path)
        self.counts[extension] = self.counts.get(extension, 0) + 1
        samples = self.samples.setdefault(extension, [])
        if len(samples) < LOOKED_INTO or path < samples[-1]:
            insort(samples, path)
            del samples[LOOKED_INTO:]

    def update(self, more: OtherFiles) -> None:
        """Count the files of another folder as well."""
        for extension, count in more.counts.items():
            self.counts[extension] = self.counts.get(extension, 0) + count
            samples = self.samples.get(extension, []) + more.samples[extension]
            self.samples[extension] = sorted(samples)[:LOOKED_INTO]

    def unread(self, root: Path | None = None) -> tuple[UnreadFiles, ...]:
        """Those that are images, most frequent first; paths are relative to `root`."""
        order = sorted(self.counts, key=lambda extension: (-self.counts[extension], extension))
        return tuple(entry for extension in order for entry in self._unread(extension, root))

    def _unread(self, extension: str, root: Path | None) -> Iterator[UnreadFiles]:
        samples, content = self.samples[extension], None
        first = samples[0]
        if extension not in KINDS:
            # A name as "photo" or "photo.jpg_large": its content says what it is.
            contents = ((path, kind_of(path)) for path in samples)
            images = ((path, phrase) for path, phrase in contents if kind_by_phrase(phrase))
            first, content = next(images, (first, None))
            if content is None:
                return
        shown = first if root is None else first.relative_to(root)
        text = printable(extension)
        yield UnreadFiles(
            text if text.isprintable() else ascii(text)[1:-1],  # a line break, for one
            self.counts[extension], printable(str(shown)), content,
        )  # fmt: skip


def unread_amounts(unread: Sequence[UnreadFiles]) -> str:
    """``30 .heic and 2 .cr2 files (first 'cat/1.HEIC')``."""
    amounts = [f"{entry.files:,} {entry.extension or 'extensionless'}" for entry in unread[:NAMED]]
    if len(unread) > NAMED:
        amounts.append(f"{_count(unread[NAMED:]):,} other image")
    first = unread[0].first
    if _count(unread) == 1:
        return f"{joined(amounts)} file ({first!r})"
    return f"{joined(amounts)} files (first {first!r})"


def _count(unread: Sequence[UnreadFiles]) -> int:
    return sum(entry.files for entry in unread)


def unread_remedy(unread: Sequence[UnreadFiles]) -> str:
    """What to do about them: sentences."""
    texts = [remedies(entry.extension for entry in unread)]
    for entry in unread:
        if entry.content is not None:
            texts.append(
                f"{entry.first!r} is {entry.content}: give such files the extension of their kind."
            )
            break
    return " ".join(filter(None, texts))


def unread_warning(unread: Sequence[UnreadFiles | Mapping[str, Any]]) -> str | None:
    """A line about images that are not read; None if there are none.

    Parameters
    ----------
    unread : sequence of UnreadFiles
        Or as ``data.unread_files`` of ``summary.json`` has them.
    """
    entries = [e if isinstance(e, UnreadFiles) else UnreadFiles(**e) for e in unread]
    if not entries:
        return None
    what = "are not read" if _count(entries) > 1 else "is not read"
    return f"dataset: {unread_amounts(entries)} {what}. {unread_remedy(entries)}".rstrip(". ")
