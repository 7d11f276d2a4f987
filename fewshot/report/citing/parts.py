"""What runs were made of, and the papers of each part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from fewshot import __version__
from fewshot.exceptions import FewshotError
from fewshot.paths import card, option_names, options, read_yaml
from fewshot.references import Reference, parse_bibtex, resolve
from fewshot.references.methods import (
    CALIBRATION,
    DATASET_PROTOCOLS,
    LAYOUTS,
    SAMPLERS,
    STATISTICS,
)
from fewshot.report.citing.made import made_of
from fewshot.report.tasks import report_of
from fewshot.results.schema import CellSummary, RunFacts
from fewshot.tasks import task_named
from fewshot.units import joined

SOFTWARE, DATASET, BACKBONE, TASK, SAMPLER = "software", "data set", "backbone", "task", "sampler"
ESTIMATOR, CALIBRATED, STATISTIC = "estimator", "calibration", "statistic"
# Others come from the reports of tasks: heads, rules, scores.
FIRST, LAST = (SOFTWARE, DATASET, BACKBONE, TASK, SAMPLER), (ESTIMATOR, CALIBRATED, STATISTIC)
FEWSHOT = "fewshot"  # its name, and key
OWN_FILES = ("folder", "listed", "features", "huggingface")  # kinds: whose names say nothing
Given = Sequence[str] | None  # keys or BibTeX; None where nothing is said


@dataclass(frozen=True)
class CitedRun:
    """A run that is cited: its cells, and what it says beside them.

    Attributes
    ----------
    cells : sequence of CellSummary
    facts : RunFacts
        ``summary.json`` without the cells.
    config : mapping
        Settings of the run; empty where they are not known.
    """

    cells: Sequence[CellSummary]
    facts: RunFacts
    config: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, argument: str) -> CitedRun:
        """A run folder.

        Raises
        ------
        FewshotError
            It is none, damaged, or of a newer version.
        """
        from fewshot.results.reading import open_run

        summary = open_run(folder, argument).summary
        return cls(summary["cells"], summary, config_of(folder))

    @property
    def version(self) -> str:
        """Version of this software that made it; empty where it is not recorded."""
        return str((self.facts.get("environment") or {}).get("fewshot") or "")

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of the settings; empty without."""
        found = self.config.get(name)
        return found if isinstance(found, Mapping) else {}


def config_of(folder: Path) -> Mapping[str, Any]:
    """The settings that a run folder has; empty where they cannot be read."""
    import yaml

    try:
        config = read_yaml(folder / "config.yaml")
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return config if isinstance(config, Mapping) else {}


@dataclass(frozen=True)
class Part:
    """A part of runs.

    Attributes
    ----------
    role : str
        "software", "data set", "backbone", "task", "sampler", "head", "estimator", "calibration",
        "statistic", or what the report of a task says.
    name : str
    references : tuple of Reference, or None
        Empty where there is nothing to cite; None where the part does not say.
    """

    role: str
    name: str
    references: tuple[Reference, ...] | None

    @classmethod
    def of(cls, role: str, name: str, given: Given) -> Part:
        """A part by the keys of its papers.

        Raises
        ------
        FewshotError
            An unknown key, or what is no BibTeX.
        """
        found = None if given is None else tuple(resolve(given, f"{role} {name}"))
        return cls(role, name, found)


def versions_of(runs: Iterable[CitedRun]) -> str:
    """``0.2.0 and 0.3.0``: versions of this software; empty where none is recorded."""
    known = [run.version for run in runs if run.version]
    return joined(known) if known else ""


def software(version: str = __version__) -> Reference:
    """This software, as ``CITATION.cff`` has it; without a version where it is empty."""
    (entry,) = parse_bibtex(
        "@software{fewshot,\n  author = {{The fewshot authors}},\n"
        "  title = {fewshot: Few-shot vision evaluation},\n"
        + (f"  version = {{{version}}},\n" if version else "")
        + "  year = {2026},\n}"
    )
    return entry


def parts_of(runs: Iterable[CitedRun]) -> list[Part]:
    """All parts of runs, each once, in the order of roles.

    Raises
    ------
    FewshotError
        A part names a paper that there is not.
    """
    found: dict[tuple[str, str], Part] = {}
    runs = list(runs)
    found[SOFTWARE, FEWSHOT] = Part(SOFTWARE, FEWSHOT, (software(versions_of(runs)),))
    for run in runs:
        for role, name, given in _parts_of_run(run):
            if (role, name) not in found:
                found[role, name] = Part.of(role, name, given() if callable(given) else given)
    others = dict.fromkeys(part.role for part in found.values() if part.role not in FIRST + LAST)
    order = (*FIRST, *others, *LAST)
    return sorted(found.values(), key=lambda part: order.index(part.role))


Named = tuple[str, str, Given | Callable[[], Given]]  # role, name, papers


def _parts_of_run(run: CitedRun) -> Iterator[Named]:
    for cell in run.cells:
        task = task_named(cell["task"])
        for name in datasets_of(cell):
            yield DATASET, name, partial(dataset_references, run, name)
        yield BACKBONE, cell["backbone"], partial(backbone_references, run, cell["backbone"])
        yield TASK, task.name, task.references
        if has_sampler(cell):
            sampler = sampler_of(run, cell)
            yield SAMPLER, sampler, SAMPLERS.get(sampler)
        yield from report_of(task.name).cited(cell, run.config)
        yield from _of_estimators(run, cell)
        yield from _of_statistics(cell)


def _of_estimators(run: CitedRun, cell: CellSummary) -> Iterator[Named]:
    rows = cast("Mapping[str, Mapping[str, Any]]", cell.get("estimators") or {})
    registry = task_named(cell["task"]).registry("estimator")
    settings = run.section("estimator")
    for name, row in rows.items():
        made = made_of(registry, name, {}, settings.get(name))
        yield ESTIMATOR, name, getattr(made, "references", None)
        method = str(row.get("calibration"))
        if method in CALIBRATION:
            yield CALIBRATED, method, CALIBRATION[method]


def _of_statistics(cell: CellSummary) -> Iterator[Named]:
    """Statistics of a cell that are from papers."""
    facts = cast("Mapping[str, Any]", cell)
    intervals = (facts.get("accuracy_intervals") or {}).values()
    used = {name for each in (*intervals, facts) for name in STATISTICS if each.get(name)}
    for name in STATISTICS:
        if name in used:
            yield STATISTIC, name, STATISTICS[name]


def has_sampler(cell: CellSummary) -> bool:
    """Whether ``episodes.sampler`` has a say in the task of a cell."""
    return not {"protocol", "sampler"}.isdisjoint(task_named(cell["task"]).keys)


def sampler_of(run: CitedRun, cell: CellSummary) -> str:
    """``episodes.sampler`` of a cell, from its settings or from the name of its protocol."""
    facts = cast("Mapping[str, Any]", cell)
    if (named := str(facts.get("sampler") or "").split(" ")[0]) in SAMPLERS:
        return named
    named = str(facts.get("protocol") or "").split("(")[0]
    return named or str(run.section("episodes").get("sampler") or "balanced")


def dataset_references(run: CitedRun, name: str) -> Given:
    """Papers of a data set: of its card, and of another split or protocol that was asked for."""
    settings = run.section("dataset")
    ours = settings.get("name") in (None, name)
    if ours and "references" in settings:  # a data set of another package may say so
        return cast("Given", settings["references"])
    own_files = settings.get("kind") in OWN_FILES and not settings.get("card")
    facts = {} if ours and own_files else card(str((ours and settings.get("card")) or name))
    if not facts:
        layout = str((run.facts.get("data") or {}).get("layout"))
        return LAYOUTS.get(layout)
    chosen = [settings.get(key) for key in ("protocol", "class_split")] if ours else []
    more = [key for word in chosen for key in DATASET_PROTOCOLS.get(str(word), ())]
    return tuple(dict.fromkeys([*facts["references"], *more]))


def backbone_references(run: CitedRun, name: str) -> Given:
    """Papers of a backbone: as the run has them, else of the backbone of that name."""
    settings = run.section("backbone")
    if settings.get("references") is not None and settings.get("name") in (None, name):
        return cast("Given", settings["references"])
    if name in option_names("backbone"):
        return cast("Given", options("backbone", name)[name].get("references"))
    kind = settings.get("kind")
    from fewshot.backbones import kinds

    if isinstance(kind, str) and kind in kinds.plugged():
        try:
            return cast("Given", getattr(kinds[kind].load(), "references", None))
        except FewshotError:
            return None
    return None


def datasets_of(cell: CellSummary) -> list[str]:
    """Names of the data sets of a cell: two where queries are from another one."""
    return cell["dataset"].split(" -> ")
