"""Data sets: images with labels and names, or features that someone else extracted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.exceptions import FewshotError, expect_choice, suggestion
from fewshot.registry import Registry

if TYPE_CHECKING:
    from fewshot.datasets.base import ImageDataset
    from fewshot.features.bank import FeatureBank

kinds = Registry("dataset.kind")
kinds.add("digits", "fewshot.datasets.digits:load_digits", "scikit-learn's scans, no download")
kinds.add("folder", "fewshot.datasets.folder:load_folder", "one sub-folder of images per class")
kinds.add("features", "fewshot.datasets.features:load_features", "an .npz or .safetensors file")

SETTINGS = (
    "summary", "kind", "name", "root", "path", "split", "base_fraction", "split_seed", "on_error",
)  # fmt: skip


def load_dataset(
    settings: Mapping[str, Any], cache: Path | None = None
) -> ImageDataset | FeatureBank:
    """Load what the settings of the group ``dataset`` describe.

    Parameters
    ----------
    settings : mapping
        ``kind``, ``name``, ``root`` or ``path`` as the kind needs, ``split``,
        ``base_fraction``, ``split_seed``, ``on_error``.
    cache : Path, optional
        Folder where content hashes of image files are remembered.
    """
    from fewshot.datasets.splits import assign_parts

    kind, name = settings["kind"], str(settings.get("name") or settings["kind"])
    for given in sorted(settings.keys() - set(SETTINGS)):
        raise FewshotError("dataset", f"there is no setting {given!r}", suggestion(given, SETTINGS))
    on_error = settings.get("on_error", "raise")
    expect_choice("dataset.on_error", on_error, ("raise", "skip"))
    parameters: dict[str, Any] = {"name": name}
    if kind == "folder":
        parameters |= {"root": settings.get("root"), "on_error": on_error, "cache": cache}
    elif kind == "features":
        parameters["path"] = settings.get("path")
    loaded = kinds.create(kind, **parameters)
    parts = assign_parts(
        settings.get("split", "auto"),
        loaded.classnames,
        loaded.parts,
        settings.get("base_fraction", 0.5),
        settings.get("split_seed", 0),
    )
    return replace(loaded, parts=parts)


__all__ = ["kinds", "load_dataset"]
