"""Record of finished cells that is logged: metrics by shots, parameters and tags."""

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

# Settings that do not change the results, or could contain the name of a server.
OMITTED = ("llm", "logger", "paths", "report")
ESTIMATOR_MEASURES = ("predicted_error", "mae", "coverage")
# Keys in the name of a series, where cells differ in them; the head always is in it.
SERIES_KEYS = [name for name in (*CELL_COLUMNS, *ONE_CLASS_KEYS) if name not in ("head", "shots")]
FORMATS = {"ways": "{}-way", "seed": "seed {}"}


class Metric(NamedTuple):
    """A value at a step: the number of shots, or the prevalence in % for one-class tasks."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Record:
    """Metrics, parameters and tags of finished cells.

    Attributes
    ----------
    name : str
        Name of the run folder.
    metrics : list of Metric
    parameters : dict of str to str
    tags : dict of str to str
        Versions, hashes, and the kind of the record: "run" or "sweep".
    page : Path or None
        Path of the report, if there is one.
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
        """Record of a run (kind "run") or of all cells of a sweep (kind "sweep")."""
        page = folder / "report.html"
        return cls(
            folder.name,
            metrics_of(summary["cells"]),
            parameters_of(settings),
            {"fewshot.kind": kind, "fewshot.folder": str(folder.resolve())} | tags_of(summary),
            page if page.is_file() else None,
        )


def metrics_of(cells: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """Metrics of all cells, ordered by step.

    Keys that all cells share are left out of the names, so that curves of several runs overlay.
    """
    differing = [
        name for name in SERIES_KEYS if len({str(cell.get(name, "")) for cell in cells}) > 1
    ]
    metrics = []
    for cell in cells:
        parts = [FORMATS.get(name, "{}").format(cell.get(name, "")) for name in differing]
        prefix = "/".join([*parts, str(cell["head"])])
        metrics += [metric._replace(name=f"{prefix}/{metric.name}") for metric in _numbers(cell)]
    return sorted(metrics, key=lambda metric: (metric.step, metric.name))


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
    for estimator, row in cell.get("estimators", {}).items():
        for name in ESTIMATOR_MEASURES:
            if row.get(name) is not None:
                yield Metric(f"{estimator}/{name}", shots, float(row[name]))


def _mean(name: str, step: int, measure: Mapping[str, Any]) -> Iterator[Metric]:
    """The mean of a measure, taken from the first of its intervals that has one."""
    intervals = [
        measure,
        *(interval for interval in measure.values() if isinstance(interval, Mapping)),
    ]
    means = [interval["mean"] for interval in intervals if interval.get("mean") is not None]
    if means and means[0] == means[0]:
        yield Metric(name, step, float(means[0]))


def parameters_of(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as text by dotted names, without the sections in `OMITTED`."""
    parameters: dict[str, str] = {}
    for key, value in settings.items():
        if not prefix and key in OMITTED:
            continue
        if isinstance(value, Mapping) and value:
            parameters |= parameters_of(value, f"{prefix}{key}.")
        elif value is not None and value != {}:
            parameters[f"{prefix}{key}"] = str(value)
    return parameters


def tags_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Versions, device and hashes of a run; all values of a hash in which cells differ."""
    tags = dict(summary.get("environment", {}))
    tags["schema_version"] = summary.get("schema_version")
    for kind in ("features", "episodes"):
        hashes = {str(cell.get("hashes", {}).get(kind, ""))[:16] for cell in summary["cells"]}
        tags[f"hash.{kind}"] = " ".join(sorted(hashes - {""}))
    return {f"fewshot.{key}": str(value) for key, value in tags.items() if value}
