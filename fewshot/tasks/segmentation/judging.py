"""One pass over the queries: every image is read and encoded once, for all heads and draws."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fewshot.datasets.images import UnreadableImageError, unreadable_of
from fewshot.features.extraction.pipeline import ordered
from fewshot.files import atomic_path
from fewshot.hardware import freed_memory_kept, torch_threads
from fewshot.progress import stage
from fewshot.tasks.segmentation.annotated import as_draw_knows
from fewshot.tasks.segmentation.cells import Truth
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.draws import DrawSet
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.measures import counts_of
from fewshot.tasks.segmentation.stacking import HeadStack

IMAGES_PER_FILE = 32  # that are lost at most if a process is killed
KEPT_DAYS = 7  # that images of an interrupted pass are kept, as unfinished banks
MOST_CONFUSED = 64  # classes up to which the confusions of a draw are kept


@dataclass(frozen=True, eq=False)
class Judged:
    """How the queries of the draws of one cell were segmented.

    Attributes
    ----------
    counts : ndarray of shape (E, Q, 3, N), int64
        By draw and query, as `fewshot.tasks.segmentation.measures` takes them; zero in the padding.
    boundary : ndarray of shape (E, Q, 3, N), int64, or None
        The same of pixels near edges.
    confusions : ndarray of shape (E, N, N), int64, or None
        Pixels by true and predicted class, of all queries of a draw; None for many classes.
    """

    counts: NDArray[np.int64]
    boundary: NDArray[np.int64] | None
    confusions: NDArray[np.int64] | None


class FittedCell(NamedTuple):
    """The heads of a cell, fitted on its draws."""

    drawn: DrawSet
    heads: Sequence[DenseHead]


class _Place(NamedTuple):
    """Where the counts of a query go: number of the cell, draw, and place among its queries."""

    cell: int
    draw: int
    query: int


class _Group(NamedTuple):
    """Fitted heads that know the classes by the same numbers."""

    labels: NDArray[np.int64]
    stack: HeadStack


class _Counted(NamedTuple):
    """Output for one image, by place, with the seconds of heads; and those of its features."""

    counts: NDArray[np.int64]
    boundary: NDArray[np.int64]
    heads_seconds: NDArray[np.float64]
    features_seconds: NDArray[np.float64]


class QueryPass:
    """Segments the queries of all draws of several cells.

    Parameters
    ----------
    dataset : MaskDataset
    features : DenseFeatures
    cells : sequence of FittedCell
        Of the same number of classes.
    device : torch.device
    boundary : bool
        Whether pixels near edges are counted as well.
    kept : Path, optional
        Folder in which finished images are kept while the pass goes on, and found again.

    Attributes
    ----------
    features_seconds : float
        For the features of all queries, summed over threads.
    heads_seconds : ndarray of shape (cells,)
        For the heads of every cell on its queries, without the pixels near edges.
    """

    def __init__(
        self,
        dataset: MaskDataset,
        features: DenseFeatures,
        cells: Sequence[FittedCell],
        device: torch.device,
        boundary: bool = False,
        kept: Path | None = None,
    ) -> None:
        self.dataset, self.features, self.cells = dataset, features, cells
        self.device, self.boundary, self.kept = device, boundary, kept
        self._groups: list[_Group] = []
        self._group_of: dict[tuple[int, int], tuple[int, int]] = {}  # (cell, draw) to stack place
        self._places: dict[int, list[_Place]] = {}  # by row
        self._arrange()
        self.features_seconds, self.heads_seconds = 0.0, np.zeros(len(cells))

    def _arrange(self) -> None:
        by_labels: dict[bytes, list[tuple[int, int]]] = {}
        for c, (drawn, _) in enumerate(self.cells):
            for e in range(len(drawn)):
                by_labels.setdefault(drawn.labels[e].tobytes(), []).append((c, e))
                for q, row in enumerate(drawn.queries[e].tolist()):
                    if row >= 0:
                        self._places.setdefault(row, []).append(_Place(c, e, q))
        for number, members in enumerate(by_labels.values()):
            heads = [self.cells[c].heads[e] for c, e in members]
            first, draw = self.cells[members[0][0]].drawn, members[0][1]
            stack = HeadStack(heads, first.ways, self.device)
            self._groups.append(_Group(first.labels[draw], stack))
            for place, member in enumerate(members):
                self._group_of[member] = number, place

    @property
    def rows(self) -> list[int]:
        """Rows of all queries."""
        return sorted(self._places)

    def run(self, threads: int) -> list[Judged]:
        """Counts by cell.

        Parameters
        ----------
        threads : int
            Each takes an image at a time, on a CPU with one core: rows do not depend on it.
        """
        results = [self._empty(cell.drawn) for cell in self.cells]
        for row, counted in self._counted(threads):
            ways = counted.counts.shape[-1]
            for at, (c, e, q) in enumerate(self._places[row]):
                confusion, result = counted.counts[at], results[c]
                if result.confusions is not None:
                    result.confusions[e] += confusion
                    result.counts[e, q] = counts_of(confusion)
                else:
                    result.counts[e, q] = confusion[:3, :ways]
                if result.boundary is not None:
                    result.boundary[e, q] = counted.boundary[at]
                self.heads_seconds[c] += counted.heads_seconds[at]
            self.features_seconds += float(counted.features_seconds)
        return results

    def _empty(self, drawn: DrawSet) -> Judged:
        shape = (*drawn.queries.shape, 3, drawn.ways)
        few = drawn.ways <= MOST_CONFUSED
        return Judged(
            np.zeros(shape, dtype=np.int64),
            np.zeros(shape, dtype=np.int64) if self.boundary else None,
            np.zeros((len(drawn), drawn.ways, drawn.ways), dtype=np.int64) if few else None,
        )

    def _counted(self, threads: int) -> Iterator[tuple[int, _Counted]]:
        """Row and counts of every query, those of an interrupted pass from its files."""
        rows = self.rows
        blocks = [rows[i : i + IMAGES_PER_FILE] for i in range(0, len(rows), IMAGES_PER_FILE)]
        # Read again when it is their turn: all of them at once would fill the memory.
        ready = [bool(self._recalled(number, block)) for number, block in enumerate(blocks)]
        missing = [
            row for block, done in zip(blocks, ready, strict=True) if not done for row in block
        ]
        with (
            torch_threads(1),
            freed_memory_kept(),
            stage(f"queries of {self.dataset.name}", len(rows), "images") as work,
        ):
            work.start_from(len(rows) - len(missing))
            computed = ordered(self.count, missing, threads, ahead=1)
            for number, block in enumerate(blocks):
                if ready[number]:  # unless another process has removed it since
                    done = self._recalled(number, block) or [self.count(row) for row in block]
                else:
                    done = []
                    for _ in block:
                        done.append(next(computed))
                        work.update()
                    self._keep(number, done)
                yield from zip(block, done, strict=True)

    def count(self, row: int) -> _Counted:
        """Segment one query by all heads that are asked of it.

        Raises
        ------
        FewshotError
            The image or its mask cannot be read.
        """
        begun = time.perf_counter()
        places = self._places[row]
        mask = self.dataset.read_mask(row)
        tokens = self.features.tokens(read(self.dataset, row))
        encoded = time.perf_counter() - begun
        ways = self._groups[0].stack.ways
        width = ways if ways <= MOST_CONFUSED else 3
        counts = np.zeros((len(places), width, ways), dtype=np.int64)
        seconds = np.zeros(len(places))
        near = np.zeros((len(places), 3, ways) if self.boundary else 0, dtype=np.int64)
        group_of = [self._group_of[c, e] for c, e, _ in places]
        for number in sorted({group for group, _ in group_of}):
            group = self._groups[number]
            at = np.array([i for i, (g, _) in enumerate(group_of) if g == number])
            chosen = np.array([group_of[i][1] for i in at])
            known = as_draw_knows(mask, group.labels)
            truth = Truth.of(torch.from_numpy(known).to(self.device), ways, tokens.placement)
            of_heads = np.zeros(len(at))
            confusion = group.stack.confusions(tokens, truth, chosen, of_heads)
            seconds[at] = of_heads
            counts[at] = confusion if width == ways else counts_of(confusion)
            if self.boundary:
                near[at] = group.stack.boundary_counts(tokens, known, chosen)
        return _Counted(counts, near, seconds, np.array(encoded))

    def _recalled(self, number: int, block: list[int]) -> list[_Counted]:
        """The images of a file of an interrupted pass; none if there is no such file."""
        if self.kept is None:
            return []
        try:
            with np.load(self.kept / f"{number:05d}.npz", allow_pickle=False) as stored:
                if stored["rows"].tolist() != block:
                    return []
                pieces = [
                    stored[f"{name}_{i}"] for i in range(len(block)) for name in _Counted._fields
                ]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return []
        width = len(_Counted._fields)
        return [_Counted(*pieces[i : i + width]) for i in range(0, len(pieces), width)]

    def _keep(self, number: int, done: list[_Counted]) -> None:
        """Write a file of finished images, which only saves time: it may fail."""
        if self.kept is None:
            return
        arrays = {f"{name}_{i}": value for i, counted in enumerate(done)
                  for name, value in counted._asdict().items()}  # fmt: skip
        block = self.rows[number * IMAGES_PER_FILE : (number + 1) * IMAGES_PER_FILE]
        path = self.kept / f"{number:05d}.npz"
        with suppress(OSError), atomic_path(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, rows=np.array(block), **arrays)


def forget_abandoned(folder: Path) -> None:
    """Remove what passes have kept in sub-folders of `folder` that nobody has gone on with."""
    with suppress(OSError):
        for kept in folder.iterdir():
            if time.time() - kept.stat().st_mtime > KEPT_DAYS * 24 * 3600:
                rmtree(kept, ignore_errors=True)


def read(dataset: MaskDataset, row: int) -> Image.Image:
    """The image of a row.

    Raises
    ------
    FewshotError
        It cannot be read.
    """
    try:
        return dataset.images.read(row)
    except UnreadableImageError as error:
        failure = {"path": dataset.images.paths[row], "reason": str(error), "remedy": error.remedy}
        raise unreadable_of([failure]) from None
