"""What a tracker is told of finished cells: numbers by shots, parameters and tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fewshot.results.schema import (
    CELL_COLUMNS,
    MEASURES,
    ONE_CLASS_KEYS,
    ONE_CLASS_MEASURES,
)

# Settings that are not about what was computed, or could name a server.
UNTOLD = ("llm", "logger", "paths", "report")
OF_ESTIMATORS = ("predicted_error", "mae", "coverage")
# What names a series of numbers. Heads always do; the others where cells differ in them.
NAMES = [name for name in (*CELL_COLUMNS, *ONE_CLASS_KEYS) if name not in ("head", "shots")]
WORDS = {"ways": "{}-way", "seed": "seed {}"}


class Metric(NamedTuple):
    """A number of a curve: `step` is the number of shots; for one-class tasks, prevalence in %."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Record:
    """Finished cells, as a tracker gets them.

    Attributes
    ----------
    name : str
        Of the run folder.
    metrics : list of Metric
    parameters : dict of str to str
    tags : dict of str to str
        Versions, hashes, and which kind of record it is: "run" or "sweep".
    page : Path or None
        The report.
    """

    name: str
    metrics: list[Metric]
    parameters: dict[str, str]
    tags: dict[str, str]
    page: Path | None

    @classmethod
    def of(
        cls, folder: Path, summary: Mapping[str, Any], settings: Mapping[str, Any], kind: str
    ) -> Record:
        """The record of a run, or of all cells of a sweep."""
        page = folder / "report.html"
        return cls(
            folder.name,
            metrics_of(summary["cells"]),
            parameters_of(settings),
            {"fewshot.kind": kind, "fewshot.folder": str(folder.resolve())} | tags_of(summary),
            page if page.is_file() else None,
        )


def metrics_of(cells: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """Numbers of all cells, ordered by step.

    What all cells have in common is in no name, so that curves of several runs lie on each other.
    """
    differing = [name for name in NAMES if len({str(cell.get(name, "")) for cell in cells}) > 1]
    found = []
    for cell in cells:
        places = [WORDS.get(name, "{}").format(cell.get(name, "")) for name in differing]
        prefix = "/".join([*places, str(cell["head"])])
        found += [one._replace(name=f"{prefix}/{one.name}") for one in _numbers(cell)]
    return sorted(found, key=lambda one: (one.step, one.name))


def _numbers(cell: Mapping[str, Any]) -> Iterator[Metric]:
    shots = int(cell["shots"])
    if "accuracy" in cell:
        yield Metric("accuracy", shots, float(cell["accuracy"]["mean"]))
        yield Metric("error", shots, float(cell["actual_error"]["mean"]))
    for name in MEASURES:
        yield from _mean(name, shots, cell.get(name, {}))
    for entry in cell.get("prevalences", ()):
        for name in ONE_CLASS_MEASURES:
            yield from _mean(name, round(100 * entry["prevalence"]), entry[name])
    for estimator, found in cell.get("estimators", {}).items():
        for name in OF_ESTIMATORS:
            if found.get(name) is not None:
                yield Metric(f"{estimator}/{name}", shots, float(found[name]))


def _mean(name: str, step: int, found: Mapping[str, Any]) -> Iterator[Metric]:
    """The mean of a measure, which its intervals share."""
    intervals = [found, *(one for one in found.values() if isinstance(one, Mapping))]
    means = [one["mean"] for one in intervals if one.get("mean") is not None]
    if means and means[0] == means[0]:
        yield Metric(name, step, float(means[0]))


def parameters_of(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings by their full names, as text; without those that say nothing of the numbers."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        if not prefix and key in UNTOLD:
            continue
        if isinstance(value, Mapping) and value:
            found |= parameters_of(value, f"{prefix}{key}.")
        elif value is not None and value != {}:
            found[f"{prefix}{key}"] = str(value)
    return found


def tags_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Versions, device and hashes of a run; where cells differ in a hash, all its values."""
    found = dict(summary.get("environment", {}))
    found["schema_version"] = summary.get("schema_version")
    for kind in ("features", "episodes"):
        hashes = {str(cell.get("hashes", {}).get(kind, ""))[:16] for cell in summary["cells"]}
        found[f"hash.{kind}"] = " ".join(sorted(hashes - {""}))
    return {f"fewshot.{key}": str(value) for key, value in found.items() if value}
