"""Settings that every data set has, whatever its kind."""

from __future__ import annotations

from typing import TypedDict


class MaskSettings(TypedDict, total=False):
    """Settings of the masks of a data set, for tasks that take masks; others pass them over.

    Attributes
    ----------
    binary : bool
        Masks of 0 and 255, or of 0 and 1: background and foreground.
    ignore_index : int, list of int, or None
        Pixels of these values are of no class.
    reduce_zero_label : bool
        Pixels of value 0 are of no class, and the others are of the class before: 1 is class 0.
    palette : str or mapping, optional
        Colours of the classes in masks in colour: a file, or RGB by name.
    group : str, optional
        Regular expression that says of which group an image is, by its name: support and queries
        never share one.
    annotations : str, optional
        JSON file in the format of COCO; by default it is looked for.
    """

    binary: bool
    ignore_index: int | list[int] | None
    reduce_zero_label: bool
    palette: str | dict[str, list[int]] | None
    group: str | None
    annotations: str | None


class DatasetSettings(TypedDict, total=False):
    """Settings of every kind of data set; all others are arguments of the loader of its kind.

    Attributes
    ----------
    summary : str
        What it is, as ``fewshot list datasets`` shows it; changes nothing.
    kind : str
        Loader: "digits", "folder", "torchvision", "cub", "huggingface", "features", "listed" or
        "scenes".
    name : str, optional
        Goes into the rows; None: the name of the folder or file.
    split : str
        Classes that are base and novel: "auto" (those that the data set comes with), "none",
        "random", or a file that lists them.
    base_fraction : float in (0, 1)
        Share of the classes that are base with ``split=random``.
    split_seed : int
        Decides which classes are base with ``split=random``.
    subset : {"all", "train", "validation", "test"}
        Images to use, where the data set is split by image.
    on_error : {"raise", "skip"}
        An unreadable or missing image; skipped ones are recorded in ``summary.json``.
    classnames : str
        What prompts and reports call the classes: "auto", "clip", "card", "data", or a file of
        names.
    same_names : {"raise", "keep"}
        Classes whose names are equal, or differ only in case, Unicode form, ``_``, ``-`` and
        spaces: an error, or classes of their own.
    protocol : str, optional
        Split, class names and lists of images that a benchmark uses, for instance "coop".
    """

    summary: str
    kind: str
    name: str | None
    split: str
    base_fraction: float
    split_seed: int
    subset: str
    on_error: str
    classnames: str
    same_names: str
    protocol: str | None
