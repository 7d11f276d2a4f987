"""Episodes shown as points: the first ones of every set of episodes, encoded compactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fewshot.report.cell_rows import CellRows
from fewshot.report.comparison.paired import EvaluatedCell
from fewshot.report.payload.names import NameBook
from fewshot.report.payload.packing import file_numbers, shares, small_numbers
from fewshot.report.payload.run_files import RunFolder, RunFolders
from fewshot.report.wording import estimator_names
from fewshot.tasks.base import EPISODIC_KEYS, dataset_label, identity_of
from fewshot.tasks.classification.schema import ClassificationSummary
from fewshot.units import is_number

# Bytes of base64 for all points of a page, including classes and file numbers of episodes.
POINT_BYTES = 7_000_000
# Bytes of the names of files, of which large data sets have more than a page can hold.
NAME_BYTES = 3_000_000
# With more shots than this an episode is shown without its files.
LARGEST_SUPPORT = 512
BASE64 = 4 / 3


@dataclass(eq=False)
class EpisodeGroup:
    """Cells that were evaluated on the same episodes."""

    dataset: str
    cells: list[tuple[ClassificationSummary, CellRows]] = field(default_factory=list)
    size: int = 0

    @property
    def first(self) -> ClassificationSummary:
        """The first cell, which has data set, ways and shots of all."""
        return self.cells[0][0]

    @property
    def rows(self) -> CellRows:
        """Rows of the first cell."""
        return self.cells[0][1]

    @property
    def images(self) -> int:
        """Number of shots of an episode that the page names; 0 for too many."""
        images = int(self.first["ways"]) * int(self.first["shots"])
        return images if images <= LARGEST_SUPPORT else 0

    def bytes_each(self) -> float:
        """Bytes of one more episode."""
        numbers = sum(1 + _columns(cell) for cell, _ in self.cells) + int(self.first["ways"])
        return BASE64 * (2 * numbers + 4 * self.images) + 6


def _columns(cell: ClassificationSummary) -> int:
    """Number of predicted errors and bounds per episode."""
    rows = cell["estimators"].values()
    return sum(3 if is_number(row.get("coverage")) else 1 for row in rows if row.get("defined"))


def group_by_episodes(cells: Iterable[EvaluatedCell]) -> list[EpisodeGroup]:
    """Groups of cells with the same hash of episodes; a cell without one is a group."""
    groups: dict[Any, EpisodeGroup] = {}
    for cell, rows in cells:
        if rows is None or not len(rows):
            continue
        drawn = (cell.get("hashes") or {}).get("episodes")
        key: Any = (cell["dataset"], cell["part"], cell["ways"], cell["shots"], drawn)
        if drawn is None:
            key = identity_of(cell, EPISODIC_KEYS)
        group = groups.setdefault(key, EpisodeGroup(dataset_label(cell)))
        # Only classification has rows of episodes on the page.
        group.cells.append((cast("ClassificationSummary", cell), rows))
    return list(groups.values())


def share_budget(sizes: Sequence[int], costs: Sequence[float], budget: float) -> int:
    """The largest number of episodes per group that fits into the budget, at least 1.

    Parameters
    ----------
    sizes : sequence of int
        Number of episodes of each group; of a smaller group all are taken.
    costs : sequence of float
        Bytes of one episode of each group.
    budget : float
        Bytes of all groups.
    """
    low, high = 1, max(sizes, default=1)
    while low < high:
        middle = (low + high + 1) // 2
        spent = sum(min(size, middle) * cost for size, cost in zip(sizes, costs, strict=True))
        low, high = (middle, high) if spent <= budget else (low, middle - 1)
    return low


def pack_points(
    cells: Iterable[EvaluatedCell],
    folders: RunFolders,
    names: NameBook,
    budget: float = POINT_BYTES,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[int, int]]:
    """``points`` and ``sets`` of the page, and the index of a cell's points by ``id(cell)``.

    The first episodes of a set are a random sample, as episodes are drawn independently of each
    other; all cells of a set show the same ones.
    """
    groups = group_by_episodes(cells)
    for group in groups:
        group.size = len(group.rows)
    most = share_budget([g.size for g in groups], [g.bytes_each() for g in groups], budget)
    points: list[dict[str, Any]] = []
    sets: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    for group in groups:
        episodes = group.rows.episode[:most]
        # Every set has an equal share, and the unused rest of the sets before.
        names.bytes_left += NAME_BYTES / len(groups)
        sets.append(_set(group, episodes, folders, names))
        for cell, rows in group.cells:
            places[id(cell)] = len(points)
            points.append({"set": len(sets) - 1, **_points(cell, rows, episodes)})
    return points, sets, places


def _points(cell: ClassificationSummary, rows: CellRows, episodes: NDArray) -> dict[str, Any]:
    """Actual and predicted errors of one cell in `episodes`, encoded."""
    take = _places(rows.episode, episodes)

    def packed(values: NDArray) -> str:
        return shares(np.where(take < 0, np.nan, values[take]))

    estimators = []
    for name in estimator_names([cell]):
        predictions = rows.predictions(name)
        if not np.isfinite(predictions.predicted).any():
            continue
        bounded = bool(np.isfinite(predictions.lower).any())
        entry: dict[str, str | None] = {"name": name, "predicted": packed(predictions.predicted)}
        entry["lower"] = packed(predictions.lower) if bounded else None
        entry["upper"] = packed(predictions.upper) if bounded else None
        estimators.append(entry)
    return {"actual": packed(rows.actual), "estimators": estimators}


def _places(episode: NDArray, chosen: NDArray) -> NDArray:
    """Positions in `episode` of each of `chosen`, -1 if it is missing."""
    if np.array_equal(episode[: len(chosen)], chosen):
        return np.arange(len(chosen))
    order = np.argsort(episode, kind="stable")
    positions = np.minimum(np.searchsorted(episode[order], chosen), len(order) - 1)
    return np.where(episode[order][positions] == chosen, order[positions], -1)


def _set(
    group: EpisodeGroup, episodes: NDArray, folders: RunFolders, names: NameBook
) -> dict[str, Any]:
    """Classes and support files of the episodes of a group, encoded."""
    drawn = group.rows.classes(slice(0, len(episodes)))
    ways = max(map(len, drawn))
    # All episodes of a set have equally many classes; a damaged row must not shift the others.
    classes = [
        names.classes(group.dataset, (names_of_episode + [""] * ways)[:ways])
        for names_of_episode in drawn
    ]
    support = _support(group, episodes, folders, names)
    return {
        "dataset": group.dataset,
        "episodes": episodes.tolist(),
        "of": group.size,
        "ways": ways,
        "shots": int(group.first["shots"]),
        "classes": small_numbers(classes),
        "support": None if support is None else file_numbers(support),
    }


def _support(
    group: EpisodeGroup, episodes: NDArray, folders: RunFolders, names: NameBook
) -> NDArray | None:
    """File numbers (E, N, K) of the shots, from the first run folder with them; None if none."""
    if not group.images:
        return None
    tried: set[RunFolder] = set()
    for cell, _ in group.cells:
        run = folders.of(cell)
        if run in tried:
            continue
        tried.add(run)
        rows = run.support(cell, int(episodes.max()) + 1) if run.files else None
        if rows is not None and len(rows) > episodes.max():
            return names.files(group.dataset, rows[episodes], run)
    return None
