"""Published evaluation protocols with their lists of images and class names (CoOp)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewshot.datasets.naming import AUTO, DATA
from fewshot.datasets.walk import is_file, is_folder
from fewshot.exceptions import expect_choice

COOP = "coop"
# Settings that are passed on to the loader of listed images.
KEPT = (
    "summary", "name", "split", "base_fraction", "split_seed", "subset", "on_error", "classnames",
)  # fmt: skip


def of_protocol(
    settings: Mapping[str, Any], facts: Mapping[str, Any], data: Path | None
) -> tuple[dict[str, Any], str | None]:
    """Settings of a data set under ``dataset.protocol``, and deviations from the protocol.

    K. Zhou, J. Yang, C. C. Loy and Z. Liu, "Learning to Prompt for Vision-Language Models", IJCV
    2022: nine data sets have a list of train, validation and test images with class names,
    ``split_zhou_*.json``, which has to be brought along.

    Parameters
    ----------
    settings : mapping
        Of the group ``dataset``.
    facts : mapping
        The data set's card: ``coop`` has ``split_file`` (None where the data set's own split is
        CoOp's) and ``images``, the folder that its paths are relative to.
    data : Path, optional
        Folder of all data sets.

    Returns
    -------
    settings : dict
        Those of listed images if the list exists, else the input without ``protocol``.
    note : str or None
        How the data set deviates from CoOp; None if it does not.
    """
    protocol = settings.get("protocol")
    if protocol is None:
        return dict(settings), None
    expect_choice("dataset.protocol", protocol, (COOP,))
    rest = {key: value for key, value in settings.items() if key != "protocol"}
    plan = facts.get("coop")
    if settings["kind"] == "features":
        return rest, None  # rows and names are those of the file
    if plan is None:
        return rest, "CoOp has no such data set: its own split and names"
    if plan["split_file"] is None:
        return rest, None
    name = str(settings.get("name") or settings["kind"])
    root = Path(str(settings.get("root") or (data or Path()) / name)).expanduser()
    images = root / plan["images"] if is_folder(root / plan["images"]) else root
    places = dict.fromkeys((root, images, *images.parents[: len(Path(plan["images"]).parts)]))
    split_file = next(
        (folder / plan["split_file"] for folder in places if is_file(folder / plan["split_file"])),
        None,
    )
    if split_file is None:
        return rest, f"{plan['split_file']} is not in {root}: the data set's own split and names"
    kept = {key: settings[key] for key in KEPT if key in settings}
    if kept.get("classnames") in (None, AUTO):
        kept["classnames"] = DATA  # as the list has them
    return kept | {
        "kind": "listed",
        "name": name,
        "root": str(images),
        "split_file": str(split_file),
    }, None
