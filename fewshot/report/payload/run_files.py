"""Files of run folders: configuration, episodes, and names of the images."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from fewshot.files import regular_file
from fewshot.report.wording import Cell
from fewshot.results.folders import episodes_file
from fewshot.results.schema import JoinedCell, JoinedSummary, Made, RunSummary

# Hydra's settings from conf/config.yaml, which are not in the configuration of a run.
AS_USUAL = ("hydra.output_subdir=null", "hydra.run.dir=${paths.runs}")
ABOUT = ("created", "duration_s", "environment", "data")


class RunFolder:
    """A run and its folder, if any; missing or damaged files count as absent.

    Parameters
    ----------
    path : Path or None
        The run folder.
    name : str
        Name of the run.
    about : mapping
        ``created``, ``duration_s``, ``environment`` and ``data`` of its summary.
    """

    def __init__(
        self, path: Path | None, name: str, about: RunSummary | JoinedSummary | Made
    ) -> None:
        self.path, self.name, self.about = path, name, about

    @cached_property
    def files(self) -> dict[int, str]:
        """Names of the support images by row of the features."""
        if self.path is None:
            return {}
        try:
            path = regular_file("report", self.path / "images.parquet", largest=None)
            table = pq.read_table(path, partitioning=None)
            rows, files = (table.column(name).to_pylist() for name in ("row", "file"))
        except (OSError, KeyError, ValueError, pa.ArrowException):
            return {}
        return dict(zip(rows, files, strict=True))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The run's configuration; empty if missing or damaged."""
        if self.path is None:
            return {}
        try:
            text = _text(self.path / "config.yaml")
            settings = yaml.safe_load(text)
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        return settings if isinstance(settings, dict) else {}

    @cached_property
    def location(self) -> str:
        """Kind and location of the run's data set; empty if the configuration has none.

        Read as lines, as parsing a thousand YAML files would take longer than writing the page.
        """
        if self.path is None:
            return ""
        try:
            text = _text(self.path / "config.yaml")
        except (OSError, ValueError):
            return ""
        block = re.search(r"^dataset:\n((?:[ ].*\n)+)", text, re.MULTILINE)
        return "\n".join(re.findall(r"^  (?:kind|root|path): .*", block[1], re.M)) if block else ""

    @property
    def folder(self) -> str | None:
        """Its path; None of results that are in no folder."""
        return None if self.path is None else str(final_path(self.path.resolve()))

    @property
    def command(self) -> str | None:
        """Command that repeats the run from its saved configuration; None without one."""
        if self.path is None or not (self.path / "config.yaml").is_file():
            return None
        options = ["--config-path", str(final_path(self.path.resolve())), "--config-name", "config"]
        return shlex.join(["fewshot", *options, *AS_USUAL])

    def support(self, cell: Cell, count: int) -> NDArray | None:
        """Rows (E, N, K) of the shots of a cell's first `count` episodes, padded with -1."""
        from safetensors import SafetensorError, safe_open

        if self.path is None:
            return None
        path = episodes_file(self.path, cell)
        try:
            regular_file("report", path, largest=None)
            with safe_open(str(path), framework="numpy") as file:
                if (file.metadata() or {}).get("hash") != (cell.get("hashes") or {})["episodes"]:
                    return None  # of another seed
                rows: NDArray = np.asarray(file.get_slice("support")[:count])
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        return rows


def _text(path: Path) -> str:
    return regular_file("report", path).read_text(encoding="utf-8")


def final_path(folder: Path) -> Path:
    """Final path of a run folder that may still have its temporary name."""
    name = re.sub(r"^\.(.+)\.\d+\.[0-9a-f]+\.partial$", r"\1", folder.resolve().name)
    return folder.with_name(name) if folder.name else folder.resolve()


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the parts between commas that all of them have, if they still differ.

    Examples
    --------
    >>> short_names(["0_head=ncm,runs=a", "1_head=lda,runs=a"])
    ['0_head=ncm', '1_head=lda']
    """
    parts = [name.split(",") for name in names]
    shared = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    short = [",".join(part for part in own if part not in shared) for own in parts]
    return short if all(short) and len(set(short)) == len(set(names)) else list(names)


class RunFolders:
    """The run folders of a page, with access by cell.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``, or joined by `fewshot.results.store.read_runs`, which lists the
        folders in ``made`` and gives every cell the number of its folder.
    paths : sequence of Path
        The run folder, if the summary is that of one run.
    """

    def __init__(self, summary: JoinedSummary, paths: Sequence[Path]) -> None:
        made = summary.get("made")
        self._joined = made is not None
        if made is not None:
            self.runs = [RunFolder(Path(run["folder"]), run["name"], run) for run in made]
        else:
            folder = Path(paths[0]) if len(paths) == 1 else None
            name = final_path(folder).name if folder else ""
            self.runs = [RunFolder(folder, name, summary)]

    def number(self, cell: Cell) -> int:
        """Number of the run that a cell is from."""
        return int(cast("JoinedCell", cell)["run"]) if self._joined else 0

    def of(self, cell: Cell) -> RunFolder:
        """The run that a cell is from."""
        return self.runs[self.number(cell)]

    def descriptions(self) -> list[dict[str, Any]]:
        """Name, time, environment and data of every run."""
        short = short_names([run.name for run in self.runs])
        return [
            {"name": run.name, "short": name, "folder": run.folder}
            | {key: run.about.get(key) for key in ABOUT}
            for run, name in zip(self.runs, short, strict=True)
        ]
