"""Data set, backbone and extraction as the configuration describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, Folders
from fewshot.datasets import load_dataset
from fewshot.datasets.base import ImageDataset
from fewshot.features.bank import FeatureBank
from fewshot.features.settings import Extraction
from fewshot.places import places_of


def load_images(settings: dict[str, Any]) -> ImageDataset | FeatureBank:
    """The data set of a configuration; a folder without a name takes its own."""
    described = dict(settings["dataset"])
    if described["kind"] == "folder" and not described.get("name") and described.get("root"):
        described["name"] = Path(str(described["root"])).expanduser().resolve().name
    return load_dataset(described, places_of(settings["paths"]))


def described_backbone(settings: dict[str, Any], dataset: ImageDataset) -> Backbone:
    """The backbone of a configuration, for images such as those of `dataset`."""
    places = places_of(settings["paths"])
    folders = Folders(places.weights, places.digests)
    return load_backbone(settings["backbone"], folders, **dataset.input)


def extraction_settings(
    settings: dict[str, Any], device: torch.device, shard: str | None = None
) -> Extraction:
    """How the configuration wants features extracted."""
    wanted = settings["features"]
    return Extraction(
        device=device,
        dtype=wanted["dtype"],
        precision=wanted["precision"],
        batch_size=wanted["batch_size"],
        compile=wanted["compile"],
        on_error=settings["dataset"].get("on_error", "raise"),
        threads=settings["threads"],
        shard=shard,
    )


def class_text(
    settings: dict[str, Any], dataset: ImageDataset, backbone: Backbone, device: torch.device
) -> dict[str, Any]:
    """Text vectors of the classes and their scale, as a bank takes them; kept in the cache."""
    from fewshot.text.features import class_text_features
    from fewshot.text.prompts import templates_of

    templates = settings["text"]["templates"] or templates_of(dataset.name)
    found = class_text_features(
        backbone,
        dataset.classnames,
        templates,
        cache=places_of(settings["paths"]).cache / "text",
        device=device,
    )
    return {"text": found.vectors.numpy(), "logit_scale": found.logit_scale}
