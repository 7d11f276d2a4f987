"""Published figures with their sources, and what was measured of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fewshot.exceptions import FewshotError
from fewshot.paths import option_names, read_yaml, resource_dir

# Data sets of CoOp's protocol, of which papers give the mean.
ELEVEN = (
    "imagenet", "caltech101", "oxford_pets", "stanford_cars", "flowers102", "food101",
    "fgvc_aircraft", "sun397", "dtd", "eurosat", "ucf101",
)  # fmt: skip
MEAN = "mean of eleven"
BALANCED = "balanced"
# Files beside the sources: measurements, and papers whose figures could not be checked.
MEASURED, UNVERIFIED = "measured", "unverified"

ByShots = dict[str, dict[int, float]]  # data set, shots, per cent


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Conditions(_Strict):
    """How figures were made; what is None was not said, or does not apply.

    Attributes
    ----------
    prompts : str or None
        Name of a set of prompts as of ``text.templates``; "coop" is that of the data set.
    draws : int or None
        Of the shots, or episodes.
    queries : int, str or None
        Of a class in an episode, as in the summary of a cell: 15, or "75 in all".
    remarks : str
        What else is not as here.
    """

    prompts: str | None = None
    draws: int | None = None
    queries: int | str | None = None
    remarks: str = ""


class Group(Conditions):
    """Figures of a head on a backbone: accuracy and half widths by data set and shots, per cent."""

    head: str
    backbone: str
    settings: dict[str, str | float] = {}
    accuracy: ByShots
    half: ByShots = {}


class Source(Conditions):
    """A publication, and how what it says is run here.

    Attributes
    ----------
    paper, address, where : str
        Which table or figure of it, or who quotes it.
    checked : str
        Where the numbers were read for this file.
    protocol : str
        As in the column ``protocol`` of rows; "balanced" for the plain episodes.
    ways : int or None
        Of episodes; None for all classes.
    sweep : str
        Ready sweep with the protocol; `overrides` come after it.
    digits : int
        Decimals that are published.
    """

    paper: str
    address: str
    where: str
    checked: str
    protocol: str
    ways: int | None = None
    sweep: str
    overrides: list[str] = []
    digits: int = 2
    figures: list[Group]


class Figure(_Strict):
    """One published number, under all its conditions.

    Attributes
    ----------
    name : str
        Of the source: that of its file.
    accuracy : float or None
        Per cent; None for a data set of which only the mean with others is published.
    half : float or None
        Half the width of the published 95 % interval, in points.
    parts : tuple of Figure
        Of a mean over data sets: one per data set.
    """

    name: str
    source: Source = Field(repr=False)
    conditions: Conditions
    head: str
    variant: str
    settings: dict[str, str | float]
    backbone: str
    dataset: str
    shots: int
    accuracy: float | None
    half: float | None = None
    parts: tuple[Figure, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """Source, head with variant, data set, backbone and shots: what identifies a figure."""
        return (self.name, self.head, self.variant, self.dataset, self.backbone, self.shots)

    @property
    def has_backbone(self) -> bool:
        """Whether the suite has the network; else its features have to be given."""
        return self.backbone in option_names("backbone")

    def arguments(self, shots: Sequence[int] = ()) -> list[str]:
        """Arguments of ``fewshot`` that measure it, or the like at all of `shots`.

        Those of a mean are of a multirun over the data sets of the sweep.
        """
        settings = {f"head.{self.head}.{key}": value for key, value in self.settings.items()}
        chosen = [f"sweep={self.source.sweep}", *self.source.overrides, *self._features()]
        listed = ",".join(map(str, shots or [self.shots]))
        chosen += [f"head=[{self.head}]", f"episodes.shots=[{listed}]"]
        chosen += [f"{key}={value}" for key, value in settings.items()]
        prompts = self.conditions.prompts
        if prompts is not None and not prompts.startswith("coop"):
            chosen.append(f"text.templates={prompts}")
        return chosen

    def _features(self) -> list[str]:
        if self.parts:
            return [f"backbone={self.backbone}"]  # the data sets are those of the sweep
        if not self.has_backbone:
            path = f"{self.dataset}_{self.backbone}.npz"
            return ["dataset=features", f"dataset.path={path}", f"dataset.name={self.dataset}"]
        weights = (
            [f"backbone.weights={self.dataset}_resnet12.pth"] if self.backbone == "resnet12" else []
        )
        return [f"dataset={self.dataset}", f"backbone={self.backbone}", *weights]

    def command(self, shots: Sequence[int] = ()) -> str:
        """`arguments` as a line for the shell."""
        return shlex.join(["fewshot", *(["-m"] if self.parts else []), *self.arguments(shots)])

    @property
    def needs(self) -> str:
        """What has to be there to measure it."""
        images = "the eleven data sets" if self.parts else self.dataset
        if not self.has_backbone:
            return f"features of {images} by that network"
        return f"images of {images}, weights"


class Measurement(_Strict):
    """A value that was measured beside a published one.

    Attributes
    ----------
    source, head, variant, dataset, backbone, shots
        The `key` of the figure.
    accuracy, half : float
        Per cent, and half the width of the 95 % interval; None without one.
    interval : str
        What the interval is over.
    date, version, command : str
        When, by which version, and how.
    differs : list of str
        Conditions that are not the published ones.
    """

    source: str
    head: str
    variant: str = ""
    dataset: str
    backbone: str
    shots: int
    accuracy: float = Field(ge=0, le=100)
    half: float | None = Field(default=None, ge=0)
    interval: str = ""
    date: str
    version: str
    command: str
    differs: list[str] = []

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """As `Figure.key`."""
        return (self.source, self.head, self.variant, self.dataset, self.backbone, self.shots)


class Unverified(_Strict):
    """A publication whose figures could not be read where anyone can, and are not given."""

    paper: str
    address: str
    heads: list[str]
    reason: str


class _Measured(_Strict):
    measurements: list[Measurement]


class _Unverified(_Strict):
    papers: list[Unverified]


def published_figures(folder: Path | None = None) -> list[Figure]:
    """All published figures, source by source.

    Parameters
    ----------
    folder : Path, optional
        With a YAML file per source; by default those of the suite, ``datasets/published``.

    Raises
    ------
    FewshotError
        No file, one that is no YAML, or whose content is not as `Source` has it.
    """
    paths = [p for p in _files(folder) if p.stem not in (MEASURED, UNVERIFIED)]
    return [figure for path in paths for figure in _figures(path.stem, _read(path, Source))]


def measurements(folder: Path | None = None) -> list[Measurement]:
    """What was measured beside published figures; none without a file ``measured.yaml``."""
    path = next((path for path in _files(folder) if path.stem == MEASURED), None)
    return [] if path is None else _read(path, _Measured).measurements


def unverified(folder: Path | None = None) -> list[Unverified]:
    """Publications without figures here; none without a file ``unverified.yaml``."""
    path = next((path for path in _files(folder) if path.stem == UNVERIFIED), None)
    return [] if path is None else _read(path, _Unverified).papers


def _files(folder: Path | None) -> list[Path]:
    folder = folder or resource_dir("datasets/published")
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not paths:
        raise FewshotError("--figures", f"expected a folder of YAML files, got {folder}")
    return paths


def _read(path: Path, form: type[Any]) -> Any:
    try:
        return form.model_validate(read_yaml(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise FewshotError("--figures", f"{path} is no YAML: {said}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise FewshotError("--figures", f"{path}: {place}: {first['msg']}") from None


def _figures(name: str, source: Source) -> list[Figure]:
    figures = [
        _figure(name, source, group, dataset, shots, accuracy)
        for group in source.figures
        for dataset, by_shots in group.accuracy.items()
        for shots, accuracy in by_shots.items()
    ]
    return [*figures, *_means(figures)]


def _figure(
    name: str, source: Source, group: Group, dataset: str, shots: int, accuracy: float | None
) -> Figure:
    said = group.model_fields_set
    conditions = {
        key: getattr(group if key in said else source, key) for key in Conditions.model_fields
    }
    if shots == 0:
        conditions["draws"] = None  # nothing is drawn
    parts = [] if dataset != MEAN else [
        _figure(name, source, group, each, shots, None) for each in ELEVEN
    ]  # fmt: skip
    return Figure(
        name=name, source=source, conditions=Conditions(**conditions), head=group.head,
        variant=", ".join(f"{key}={value}" for key, value in group.settings.items()),
        settings=group.settings, backbone=group.backbone, dataset=dataset, shots=shots,
        accuracy=accuracy, half=group.half.get(dataset, {}).get(shots), parts=tuple(parts),
    )  # fmt: skip


def _means(figures: Sequence[Figure]) -> list[Figure]:
    """Means of figures that a source has of all eleven data sets."""
    by_head: dict[tuple[str, str, str, int], dict[str, Figure]] = {}
    for figure in figures:
        where = (figure.head, figure.variant, figure.backbone, figure.shots)
        by_head.setdefault(where, {})[figure.dataset] = figure
    return [
        _mean([of[name] for name in ELEVEN]) for of in by_head.values() if of.keys() >= {*ELEVEN}
    ]


def _mean(parts: Sequence[Figure]) -> Figure:
    first = parts[1]  # of a data set whose prompts are those of most
    accuracies = [part.accuracy for part in parts if part.accuracy is not None]
    mean = sum(accuracies) / len(accuracies)
    changes = {"dataset": MEAN, "accuracy": mean, "half": None, "parts": tuple(parts)}
    return first.model_copy(update=changes)
