"""Data set, backbone, features and class texts from the configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, Folders
from fewshot.datasets import load_dataset
from fewshot.datasets import settings_of as dataset_named
from fewshot.datasets.base import ImageDataset
from fewshot.exceptions import FewshotError, expect, expect_positive_int
from fewshot.features.bank import OF_IMAGES, FeatureBank
from fewshot.features.copies import with_copies
from fewshot.features.extraction.settings import Extraction
from fewshot.features.given import is_feature_file
from fewshot.features.paths import is_bank
from fewshot.features.ranges import check_range
from fewshot.paths import places_of
from fewshot.tasks.engine.judged_part import as_base

if TYPE_CHECKING:  # only runs with texts need them
    from fewshot.text.class_texts import ClassTexts
    from fewshot.text.features import TextFeatures
    from fewshot.text.gaussians.fitted import TextGaussians
    from fewshot.text.gaussians.predictors.base import TextPredictor


def load_images(settings: dict[str, Any]) -> ImageDataset | FeatureBank:
    """Load the data set of a configuration; its name defaults to the name of its folder."""
    described = dict(settings["dataset"])
    if described["kind"] == "folder" and not described.get("name") and described.get("root"):
        described["name"] = Path(str(described["root"])).expanduser().resolve().name
    loaded = load_dataset(described, places_of(settings["paths"]))
    if deviation := loaded.naming.get("not_of_protocol"):
        name = described.get("name") or described["kind"]
        print(f"fewshot: dataset.protocol: {name}: {deviation}", file=sys.stderr)
    return loaded


def described_backbone(settings: dict[str, Any], dataset: ImageDataset) -> Backbone:
    """Describe the backbone of a configuration, for the kind of images of `dataset`."""
    return named_backbone(settings, **dataset.input)


def named_backbone(settings: dict[str, Any], **input_size: Any) -> Backbone:
    """Describe the backbone of a configuration; nothing is loaded yet."""
    places = places_of(settings["paths"])
    folders = Folders(places.weights, places.digests)
    return load_backbone(settings["backbone"], folders, **input_size)


def extraction_settings(
    settings: dict[str, Any], device: torch.device, shard: str | None = None
) -> Extraction:
    """Return the options of feature extraction from the configuration."""
    features = settings["features"]
    return Extraction(
        device=device,
        dtype=features["dtype"],
        precision=features["precision"],
        batch_size=features["batch_size"],
        compile=features["compile"],
        on_error=settings["dataset"].get("on_error", "raise"),
        threads=settings["threads"],
        shard=shard,
    )


def features_of(
    settings: dict[str, Any],
    device: torch.device,
    uses: frozenset[str],
    check: Callable[[ImageDataset], object] = lambda _: None,
    images: ImageDataset | None = None,
) -> FeatureBank:
    """Return the features of a configuration, from the cache or extracted.

    The bank has text vectors of the classes if "text" is in `uses`.

    Parameters
    ----------
    settings : dict
    device : torch.device
    uses : frozenset of str
        The additional inputs that the heads use, as "text".
    check : callable, optional
        Called with a data set of images before anything is extracted.
    images : ImageDataset, optional
        In place of the data set of the configuration.
    """
    extraction = extraction_settings(settings, device)
    loaded = load_images(settings) if images is None else images
    predictor = predictor_of(settings, device, uses)
    normalize = settings["features"]["normalize"]
    if isinstance(loaded, FeatureBank):
        if "text" in uses:
            _expect_templates(settings)
        bank = loaded if normalize == "auto" else replace(loaded, normalize=normalize)
        check_range(bank)
        return replace(with_copies(bank), predictor=predictor)
    check(loaded)
    from fewshot.features.store import is_extracted, open_or_extract

    backbone = described_backbone(settings, loaded)
    banks = places_of(settings["paths"]).banks
    if settings["results"]["policy"] == "never" and not is_extracted(
        loaded, backbone, banks, extraction
    ):
        raise FewshotError(
            "results.policy",
            f"never to compute, but the features of {loaded.name} under {backbone.name} are not "
            f"in {banks}",
            "Set results.policy=only-missing to extract them.",
        )
    text = class_text(settings, loaded, backbone, device) if "text" in uses else None
    bank = with_copies(open_or_extract(loaded, backbone, banks, extraction))
    bank = bank if text is None else with_text(bank, text)
    bank = replace(
        bank, normalize=OF_IMAGES if normalize == "auto" else normalize, predictor=predictor
    )
    check_range(bank)
    return bank


def _expect_templates(settings: dict[str, Any]) -> None:
    """Raise unless ``text.source`` is "templates", as a file of features has its own vectors."""
    source = settings["text"]["source"]
    expect(
        source == "templates",
        "text.source",
        f"expected templates for features of a file, whose array `text` is what counts, got "
        f"{source!r}",
        "Leave it out, or give images and a dual encoder.",
    )


def class_text(
    settings: dict[str, Any], dataset: ImageDataset, backbone: Backbone, device: torch.device
) -> TextFeatures:
    """Return text vectors of the classes and the record of their texts, cached on disk."""
    from fewshot.text.features import text_features

    warn_identifiers(dataset)
    texts = texts_of_classes(settings, dataset.name, dataset.classnames, dataset.ids)
    cache = places_of(settings["paths"]).cache / "text"
    return text_features(backbone, texts, cache=cache, device=device)


def warn_identifiers(dataset: ImageDataset | FeatureBank) -> None:
    """Warn on standard error if class names, used for texts, look like identifiers."""
    from fewshot.datasets.identifiers import in_words
    from fewshot.datasets.naming import unnamed

    if names := unnamed(dataset):
        print(
            f"fewshot: {in_words(names, len(dataset.classnames))}, which says nothing to a text "
            "encoder; give names with dataset.classnames=FILE",
            file=sys.stderr,
        )


def with_text(bank: FeatureBank, features: TextFeatures) -> FeatureBank:
    """Return the bank with text vectors, and the record of their texts in ``info["text"]``."""
    return replace(
        bank,
        text=features.vectors.numpy(),
        logit_scale=features.logit_scale,
        info=bank.info | {"text": features.record},
    )


def texts_of_classes(
    settings: dict[str, Any],
    dataset: str,
    classnames: Sequence[str],
    ids: Sequence[str] | None = None,
) -> ClassTexts:
    """Return the texts of the classes of a data set, as the settings ``text`` define them."""
    from fewshot.text.class_texts import class_texts
    from fewshot.text.descriptions import load_descriptions, usual_file
    from fewshot.text.template_sets import template_set

    text, descriptions = settings["text"], None
    templates = template_set(text["templates"], dataset)
    if text["source"] in ("descriptions", "both"):
        folder = places_of(settings["paths"]).cache / "descriptions"
        path = text["descriptions"]
        model = settings["llm"]["model"]
        file = Path(str(path)).expanduser() if path else usual_file(folder, dataset, model)
        descriptions = load_descriptions(file)
    source, missing = text["source"], text["missing"]
    return class_texts(classnames, templates, descriptions, source, missing, ids)


def named_predictor(name: Any, rank: Any = None) -> TextPredictor | TextGaussians:
    """Create a predictor by its name, or load one from a file of ``fewshot text fit``."""
    from fewshot.text.gaussians.fitted import load_text_gaussians
    from fewshot.text.gaussians.predictors import predictors

    expect(isinstance(name, str), "text.predictor", f"expected a name or a file, got {name!r}")
    if Path(name).suffix == ".safetensors":
        return load_text_gaussians(Path(name).expanduser())
    if rank is not None:
        expect_positive_int("text.rank", rank)
        expect(name == "ridge", "text.rank", f"expected null for text.predictor={name}")
    predictor: TextPredictor = predictors.create(name, **({} if rank is None else {"rank": rank}))
    return predictor


def predictor_of(
    settings: dict[str, Any], device: torch.device, uses: frozenset[str]
) -> TextPredictor | TextGaussians:
    """Return the predictor of class Gaussians from text.

    By its name, from a file, or fitted on another data set (``text.learn_from``).
    """
    name, source = settings["text"]["predictor"], settings["text"]["learn_from"]
    predictor = named_predictor(name, settings["text"]["rank"])
    if source is None or "text_gaussians" not in uses:
        return predictor
    expect(
        Path(name).suffix != ".safetensors",
        "text.learn_from",
        f"expected text.predictor to be a name with it, got the file {name}",
        "Give one of the two.",
    )
    return learned_from(settings, str(source), device)


def learned_from(settings: dict[str, Any], source: str, device: torch.device) -> TextGaussians:
    """Fit a predictor on another data set with the same backbone."""
    from fewshot.tasks.engine.class_gaussians import fit_text_gaussians

    dataset = other_dataset(settings, source)
    text = settings["text"] | {"learn_from": None}
    if dataset["kind"] == "features":
        text["source"] = "templates"  # the setting is for the judged data set; a file has vectors
    bank = features_of(settings | {"dataset": dataset, "text": text}, device, frozenset({"text"}))
    return fit_text_gaussians(as_base(bank))


def other_dataset(settings: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the settings ``dataset`` of another data set: a name, a folder or a file of features.

    A folder of images is meant where there is one and it is no exported bank.
    """
    if is_feature_file(source) or is_bank(Path(source).expanduser()):
        dataset = dataset_named("features") | {"path": source}
    elif Path(source).expanduser().is_dir():
        dataset = dataset_named("folder") | {"root": source}
    else:
        dataset = dataset_named(source)
    return dataset | {"on_error": settings["dataset"].get("on_error", "raise")}


def warn_left_out(dataset: ImageDataset) -> None:
    """Warn on standard error of folders that are not used as classes, and of files not read."""
    from fewshot.datasets.unread import unread_warning
    from fewshot.features.data_warnings import left_out_warning

    for warning in (left_out_warning(dataset.left_out), unread_warning(dataset.unread)):
        if warning:
            print(f"fewshot: {warning}", file=sys.stderr)
