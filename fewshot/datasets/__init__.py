"""Data sets: images with labels and names, or features that someone else extracted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.datasets.settings import DatasetSettings, MaskSettings
from fewshot.exceptions import FewshotError, expect_choice
from fewshot.importing import attribute_at, described, dotted
from fewshot.lazy import lazy
from fewshot.paths import card, option, option_names
from fewshot.registry import Entry, Registry

if TYPE_CHECKING:
    from fewshot.datasets.base import ImageDataset as ImageDataset
    from fewshot.datasets.folder import Folder as Folder
    from fewshot.datasets.splits import random_parts as random_parts
    from fewshot.features.bank import FeatureBank
    from fewshot.paths import Places

# An entry point of another package is a class or a function that makes an ImageDataset or a
# FeatureBank: `dataset=NAME` has its parameters as settings.
kinds = Registry("dataset.kind", "fewshot.datasets", reserved=lambda: option_names("dataset"))
kinds.add("digits", "fewshot.datasets.digits:load_digits", "scikit-learn's scans, no download")
kinds.add("folder", "fewshot.datasets.folder:load_folder", "one sub-folder of images per class")
kinds.add("torchvision", "fewshot.datasets.torchvision:load_torchvision", "a set of torchvision's")
kinds.add("cub", "fewshot.datasets.cub:load_cub", "CUB-200-2011 in its own layout")
kinds.add("huggingface", "fewshot.datasets.huggingface:load_huggingface", "a hub name or folder")
kinds.add("features", "fewshot.features.given:load_features", "an .npz or .safetensors file")
kinds.add("listed", "fewshot.datasets.listed:load_listed", "images that a CSV or JSON file lists")
# By name, as tasks are layers above.
kinds.add("scenes", "fewshot.tasks.segmentation.masks.scenes:load_scenes", "generated, with masks")

# Settings of masks are for the tasks that take masks: loaders of images with labels get them only
# if they have parameters of those names.
MASKS = frozenset(MaskSettings.__annotations__)
COMMON = frozenset(DatasetSettings.__annotations__) | MASKS
# Settings of every data set of another package, beside the parameters of its loader.
PLUGGED: dict[str, Any] = {
    "classnames": "auto",
    "split": "auto",
    "base_fraction": 0.5,
    "split_seed": 0,
    "subset": "all",
    "same_names": "raise",
    "on_error": "raise",
}
# By name, as features are a layer above.
PRODUCTS = ("fewshot.datasets.base:ImageDataset", "fewshot.features.bank:FeatureBank")
SUBSETS = ("all", "train", "validation", "test")


def load_dataset(
    settings: Mapping[str, Any], places: Places | None = None
) -> ImageDataset | FeatureBank:
    """Load the data set that the settings of the group ``dataset`` describe.

    Parameters
    ----------
    settings : mapping
        :class:`DatasetSettings`, and what the loader of that kind takes.
    places : Places, optional
        Where data sets lie and where content hashes of image files are remembered.
    """
    from fewshot.datasets.naming import with_names
    from fewshot.datasets.protocols import of_protocol
    from fewshot.datasets.splits import assign_parts

    facts = card(str(settings.get("card") or settings.get("name") or settings["kind"]))
    protocol = settings.get("protocol")
    settings, deviation = of_protocol(settings, facts, places.data if places else None)
    kind, name = settings["kind"], str(settings.get("name") or settings["kind"])
    on_error, subset = settings.get("on_error", "raise"), settings.get("subset") or "all"
    expect_choice("dataset.on_error", on_error, ("raise", "skip"))
    same_names = settings.get("same_names") or "raise"
    expect_choice("dataset.subset", subset, SUBSETS)
    expect_choice("dataset.same_names", same_names, ("raise", "keep"))
    entry = kinds[kind]
    loader = entry.load()
    takes = inspect.signature(loader).parameters
    taken = MASKS & takes.keys()
    options = {key: value for key, value in settings.items() if key not in COMMON or key in taken}
    options["name"] = name
    if "card" not in takes:
        options.pop("card", None)  # of other kinds it has class names only
    if entry.package is not None and "name" not in takes:
        del options["name"]  # it knows its name
    surroundings = {
        "on_error": on_error,
        "same_names": same_names,
        "cache": places and places.digests,
        "data": places and places.data,
    }
    options |= {key: value for key, value in surroundings.items() if key in takes}
    loaded = _loaded(entry, kind, options)
    if not facts and not (kind == "features" and Path(str(settings.get("path"))).is_dir()):
        # Names of cards are told apart already, those of a bank were when it was made.
        loaded = _told_apart(loaded, settings, same_names)
    if subset != "all":
        loaded = _only(loaded, subset)
    named = with_names(loaded, settings.get("classnames"), facts, same_names)
    if protocol:
        how = {"protocol": protocol} if deviation is None else {"not_of_protocol": deviation}
        named = replace(named, naming=named.naming | how)
    parts = assign_parts(
        settings.get("split", "auto"),
        named.classnames,
        loaded.parts,
        settings.get("base_fraction", 0.5),
        settings.get("split_seed", 0),
        ids=(named.ids or (), loaded.classnames),
    )
    return replace(named, parts=parts)


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings of a data set by its name, or by ``module:loader``.

    Raises
    ------
    UnknownNameError
        Neither ``conf/dataset/`` nor another package has it.
    """
    named = option_names("dataset")
    if name not in named and (":" in name or name in kinds.plugged()):
        return {"kind": name, **PLUGGED}
    return option("dataset", name, kinds.plugged())


def _loaded(entry: Entry, kind: str, options: dict[str, Any]) -> ImageDataset | FeatureBank:
    """Data set from the loader of a kind; errors of missing files say how to obtain it."""
    if entry.package is not None:
        return _of_another_package(entry, kind, options)
    try:
        dataset: ImageDataset | FeatureBank = kinds.create(kind, **options)
    except FewshotError as error:
        instructions = card(options["name"]).get("obtain")
        if instructions and error.argument in ("dataset.root", "dataset.split_file"):
            raise FewshotError(error.argument, error.problem, str(instructions)) from None
        raise
    if not isinstance(dataset, tuple(map(attribute_at, PRODUCTS))):
        raise FewshotError(
            "dataset",
            f"{kind!r} has masks, and no class of a whole image",
            "Set task=segmentation.",
        )
    return dataset


def _of_another_package(
    entry: Entry, kind: str, options: dict[str, Any]
) -> ImageDataset | FeatureBank:
    try:
        loaded: object = kinds.create(kind, **options)
    except TypeError as error:
        raise FewshotError("dataset", f"{entry.name}: {error}") from None
    if not isinstance(loaded, tuple(map(attribute_at, PRODUCTS))):
        raise FewshotError(
            "dataset",
            f"{entry.origin}: expected it to make a {' or a '.join(map(dotted, PRODUCTS))}, got "
            f"{described(loaded)}",
        )
    dataset: ImageDataset | FeatureBank = loaded  # type: ignore[assignment]
    return dataset


def _told_apart(
    loaded: ImageDataset | FeatureBank, settings: Mapping[str, Any], same_names: str
) -> ImageDataset | FeatureBank:
    """The data set with distinct class names, or an error about two that are the same."""
    from fewshot.datasets.classnames import distinct_names

    setting = next(
        (key for key in ("path", "split_file", "root", "source") if settings.get(key)), ""
    )
    where = str(settings[setting] if setting else settings["kind"])
    argument = f"dataset.{setting}" if setting else "dataset"
    names = distinct_names(argument, loaded.classnames, where, same_names, loaded.ids)
    return loaded if names == loaded.classnames else replace(loaded, classnames=names)


def _only(loaded: ImageDataset | FeatureBank, subset: str) -> ImageDataset | FeatureBank:
    """The images of one subset."""
    import numpy as np

    subsets = () if loaded.subset is None else sorted(set(loaded.subset.tolist()))
    if subset not in subsets:
        available = f"has {', '.join(subsets)}" if subsets else "does not come split by image"
        raise FewshotError(
            "dataset.subset", f"expected one that the data set has, got {subset!r}; it {available}"
        )
    return loaded.take_rows(np.flatnonzero(loaded.subset == subset))


# Names by the module that has them.
_HOMES = {"Folder": "folder", "ImageDataset": "base", "random_parts": "splits"}
__all__ = ["DatasetSettings", "kinds", "load_dataset", "settings_of", *_HOMES]  # noqa: PLE0604
__getattr__, __dir__ = lazy(__name__, _HOMES)
