"""What people give as images or features: a folder, a name, a data set, a file or a bank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fewshot.backbones.settings import backbone_settings
from fewshot.config.compose import settings_from
from fewshot.datasets import kinds as dataset_kinds
from fewshot.datasets import settings_of as dataset_named
from fewshot.datasets.base import ImageDataset
from fewshot.evaluation.sources import ConfiguredSource, GivenFeatures
from fewshot.exceptions import FewshotError, expect, expect_positive_int, suggestion
from fewshot.features.bank import FeatureBank
from fewshot.features.copies import with_copies
from fewshot.features.given import is_feature_file
from fewshot.features.paths import is_bank
from fewshot.importing import attribute_at, is_target
from fewshot.paths import option, options
from fewshot.tasks.base import Task

BACKBONE = "efficientnet_lite0"
EXPECTED = (
    "expected arrays with labels, a FeatureBank, a data set, a folder with a sub-folder of images "
    "per class, a name of `fewshot list datasets`, or a .npz or .safetensors file of features"
)


def source_of(
    data: Any,
    device: torch.device,
    *,
    argument: str = "features",
    task: Task | None = None,
    backbone: str = BACKBONE,
    size: int | None = None,
    threads: int | None = None,
    dataset: Mapping[str, Any] | None = None,
    **sections: Mapping[str, Any],
) -> Any:
    """Where features come from, or whatever a task takes in their place: its ``source``.

    Parameters
    ----------
    data : FeatureBank, ImageDataset, str or Path
        A path is a folder of images, a bank that was exported, or a file of features; another
        text is a name of ``fewshot list datasets``.
    device : torch.device
    argument : str
        For errors.
    task : Task, optional
        Whose source it is; by default one of features.
    backbone : str
        For images: a name of ``fewshot list backbones``, ``timm:MODEL`` ...
    size : int, optional
        Input of the network in pixels.
    threads : int, optional
        Cores of the extraction; all by default.
    dataset : mapping, optional
        Further settings of the data set.
    **sections
        Further settings by section of the configuration, as ``features`` and ``paths``.

    Raises
    ------
    FewshotError
        None of these, or nothing there.
    """
    of_features = task is None or task.takes_features
    if of_features and isinstance(data, FeatureBank):
        return GivenFeatures(data if "copies" in data.info else with_copies(data))
    words = [] if task is None else [f"task={task.name}"]
    settings = {**settings_from(words), "threads": threads}
    for name, values in sections.items():
        settings[name] = {**settings[name], **values}
    settings["backbone"] = backbone_settings(backbone)
    if size is not None:
        expect_positive_int("size", size)
        settings["backbone"] = {**settings["backbone"], "size": size}
    source = ConfiguredSource if task is None else attribute_at(task.source)
    at_hand = not isinstance(data, str | Path)
    if at_hand and (isinstance(data, ImageDataset) or not of_features):
        described = {"kind": "folder", "name": getattr(data, "name", None)}
        settings["dataset"] = {**described, **(dataset or {})}
        return source(settings, device, data)
    settings["dataset"] = {**_dataset_settings(data, argument), **(dataset or {})}
    return source(settings, device)


def _dataset_settings(data: Any, argument: str) -> dict[str, Any]:
    """Settings of the group ``dataset`` for a path or a name."""
    if not isinstance(data, str | Path):
        kind = type(data).__name__
        raise FewshotError(argument, f"{EXPECTED}, got {kind}", "With arrays, give labels, too.")
    path = Path(data).expanduser()
    if is_feature_file(path) or is_bank(path):
        expect(
            path.exists(), argument, f"expected a file of features, got nothing at {str(data)!r}"
        )
        return option("dataset", "features") | {"path": str(path)}
    if path.is_dir():
        return option("dataset", "folder") | {"root": str(path)}
    names = [*options("dataset"), *dataset_kinds.plugged()]
    if isinstance(data, str) and (data in names or is_target(data)):
        return dataset_named(data)
    raise FewshotError(
        argument, f"expected a folder, a file or a name, got {str(data)!r}",
        suggestion(str(data), names),
    )  # fmt: skip
