"""Record of finished cells that is logged: metrics by shots, parameters and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from fewshot.results.schema import CellSummary, JoinedSummary, RunSummary
from fewshot.tasks import task_named
from fewshot.tasks.base import WHERE_EMPTY

# Settings that do not change the results, or could contain the name of a server.
OMITTED = ("llm", "logger", "paths", "report")
FORMATS = {"ways": "{}-way", "seed": "seed {}", "unlabelled_images": "unlabelled {}"}


class Metric(NamedTuple):
    """A value at a step: the number of shots, or what the task says."""

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
        cls,
        folder: Path,
        summary: RunSummary | JoinedSummary,
        settings: Mapping[str, Any],
        kind: str,
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


def metrics_of(cells: Sequence[CellSummary]) -> list[Metric]:
    """Metrics of all cells, ordered by step.

    Keys that all cells share are left out of the names, so that curves of several runs overlay.
    """
    keys = dict.fromkeys(name for cell in cells for name in task_named(cell["task"]).identity)
    differing = [
        name
        for name in keys
        if name not in ("head", "shots")  # the head is in every name, shots are the steps
        and len({str(cell.get(name, "")) for cell in cells}) > 1
    ]
    metrics = []
    for cell in cells:
        parts = [FORMATS.get(name, "{}").format(_value(cell, name)) for name in differing]
        prefix = "/".join([*parts, str(cell["head"])])
        metrics += [
            Metric(f"{prefix}/{name}", step, value)
            for name, step, value in task_named(cell["task"]).metrics(cell)
        ]
    return sorted(metrics, key=lambda metric: (metric.step, metric.name))


def _value(cell: CellSummary, name: str) -> object:
    """A value of a cell for the name of a metric, which has no empty parts."""
    value = cast("Mapping[str, object]", cell).get(name, "")
    return WHERE_EMPTY[name] if name in WHERE_EMPTY and not value else value


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


def tags_of(summary: RunSummary | JoinedSummary) -> dict[str, str]:
    """Versions, device and hashes of a run; all values of a hash in which cells differ."""
    tags = dict(summary.get("environment") or {})
    tags["schema_version"] = summary.get("schema_version")
    for kind in ("features", "episodes"):
        hashes = {str(cell.get("hashes", {}).get(kind, ""))[:16] for cell in summary["cells"]}
        tags[f"hash.{kind}"] = " ".join(sorted(hashes - {""}))
    return {f"fewshot.{key}": str(value) for key, value in tags.items() if value}
