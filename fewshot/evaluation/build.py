"""Data set, backbone and extraction as the configuration describes them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, Folders
from fewshot.datasets import load_dataset
from fewshot.datasets.base import ImageDataset
from fewshot.exceptions import FewshotError, expect, expect_positive_int
from fewshot.features.bank import OF_IMAGES, FeatureBank
from fewshot.features.copies import with_copies
from fewshot.features.extraction.settings import Extraction
from fewshot.features.ranges import check_range
from fewshot.heads.texts import no_text
from fewshot.paths import option, places_of

if TYPE_CHECKING:
    from fewshot.datasets.base import ImageDataset
    from fewshot.features.bank import FeatureBank

if TYPE_CHECKING:  # only runs with texts need them
    from fewshot.text.class_texts import ClassTexts
    from fewshot.text.features import TextFeatures
    from fewshot.text.gaussians.fitted import TextGaussians
    from fewshot.text.gaussians.predictors.base import TextPredictor


def load_images(settings: dict[str, Any]) -> ImageDataset | FeatureBank:
    """The data set of a configuration; a folder without a name takes its own."""
    described = dict(settings["dataset"])
    if described["kind"] == "folder" and not described.get("name") and described.get("root"):
        described["name"] = Path(str(described["root"])).expanduser().resolve().name
    loaded = load_dataset(described, places_of(settings["paths"]))
    if unlike := loaded.naming.get("not_of_protocol"):
        name = described.get("name") or described["kind"]
        print(f"fewshot: dataset.protocol: {name}: {unlike}", file=sys.stderr)
    return loaded


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


def features_of(
    settings: dict[str, Any],
    device: torch.device,
    uses: frozenset[str],
    check: Callable[[ImageDataset], object] = lambda _: None,
) -> FeatureBank:
    """The features that a configuration describes, found or extracted.

    With text vectors of the classes, if heads that use them are among those to come.

    Parameters
    ----------
    settings : dict
    device : torch.device
    uses : frozenset of str
        What the heads use.
    check : callable, optional
        Called with a data set of images before anything is extracted.
    """
    how = extraction_settings(settings, device)
    loaded = load_images(settings)
    predictor = predictor_of(settings, device, uses)
    wish = settings["features"]["normalize"]
    if isinstance(loaded, FeatureBank):
        if "text" in uses:
            _expect_templates(settings)
        bank = loaded if wish == "auto" else replace(loaded, normalize=wish)
        check_range(bank)
        return replace(with_copies(bank), predictor=predictor)
    check(loaded)
    from fewshot.features.store import is_extracted, open_or_extract

    backbone = described_backbone(settings, loaded)
    banks = places_of(settings["paths"]).banks
    if settings["results"]["policy"] == "never" and not is_extracted(loaded, backbone, banks, how):
        raise FewshotError(
            "results.policy",
            f"never to compute, but the features of {loaded.name} under {backbone.name} are not "
            f"in {banks}",
            "Set results.policy=only-missing to extract them.",
        )
    text = class_text(settings, loaded, backbone, device) if "text" in uses else None
    bank = with_copies(open_or_extract(loaded, backbone, banks, how))
    bank = bank if text is None else with_text(bank, text)
    bank = replace(bank, normalize=OF_IMAGES if wish == "auto" else wish, predictor=predictor)
    check_range(bank)
    return bank


def _expect_templates(settings: dict[str, Any]) -> None:
    """Raise if other texts are wanted than those that features of a file bring along."""
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
    """Text vectors of the classes, with the record of their texts; kept in the cache."""
    from fewshot.text.features import text_features

    say_unnamed(dataset)
    texts = texts_of_classes(settings, dataset.name, dataset.classnames, dataset.ids)
    cache = places_of(settings["paths"]).cache / "text"
    return text_features(backbone, texts, cache=cache, device=device)


def say_unnamed(dataset: ImageDataset | FeatureBank) -> None:
    """One line if texts are to be made of class names that look like identifiers."""
    from fewshot.datasets.identifiers import in_words
    from fewshot.datasets.naming import unnamed

    if names := unnamed(dataset):
        print(
            f"fewshot: {in_words(names, len(dataset.classnames))}, which says nothing to a text "
            "encoder; give names with dataset.classnames=FILE",
            file=sys.stderr,
        )


def with_text(bank: FeatureBank, found: TextFeatures) -> FeatureBank:
    """The bank with text vectors, and the record of their texts in ``info["text"]``."""
    return replace(
        bank,
        text=found.vectors.numpy(),
        logit_scale=found.logit_scale,
        info=bank.info | {"text": found.record},
    )


def texts_of_classes(
    settings: dict[str, Any],
    dataset: str,
    classnames: Sequence[str],
    ids: Sequence[str] | None = None,
) -> ClassTexts:
    """The texts that the settings ``text`` want for the classes of a data set."""
    from fewshot.text.class_texts import class_texts
    from fewshot.text.descriptions import load_descriptions, usual_file
    from fewshot.text.template_sets import template_set

    wanted, described = settings["text"], None
    templates = template_set(wanted["templates"], dataset)
    if wanted["source"] in ("descriptions", "both"):
        folder = places_of(settings["paths"]).cache / "descriptions"
        given = wanted["descriptions"]
        model = settings["llm"]["model"]
        file = Path(str(given)).expanduser() if given else usual_file(folder, dataset, model)
        described = load_descriptions(file)
    source, missing = wanted["source"], wanted["missing"]
    return class_texts(classnames, templates, described, source, missing, ids)


def named_predictor(wanted: Any, rank: Any = None) -> TextPredictor | TextGaussians:
    """A predictor by its name, or what a file of ``fewshot text fit`` holds."""
    from fewshot.text.gaussians.fitted import load_text_gaussians
    from fewshot.text.gaussians.predictors import predictors

    expect(isinstance(wanted, str), "text.predictor", f"expected a name or a file, got {wanted!r}")
    if Path(wanted).suffix == ".safetensors":
        return load_text_gaussians(Path(wanted).expanduser())
    if rank is not None:
        expect_positive_int("text.rank", rank)
        expect(wanted == "ridge", "text.rank", f"expected null for text.predictor={wanted}")
    made: TextPredictor = predictors.create(wanted, **({} if rank is None else {"rank": rank}))
    return made


def predictor_of(
    settings: dict[str, Any], device: torch.device, uses: frozenset[str]
) -> TextPredictor | TextGaussians:
    """What predicts class Gaussians from text: a name, a file, or one learned from other data."""
    wanted, source = settings["text"]["predictor"], settings["text"]["learn_from"]
    predictor = named_predictor(wanted, settings["text"]["rank"])
    if source is None or "text_gaussians" not in uses:
        return predictor
    expect(
        Path(wanted).suffix != ".safetensors",
        "text.learn_from",
        f"expected text.predictor to be a name with it, got the file {wanted}",
        "Give one of the two.",
    )
    return learned_from(settings, str(source), device)


def learned_from(settings: dict[str, Any], source: str, device: torch.device) -> TextGaussians:
    """A predictor fitted on another data set under the same backbone."""
    from fewshot.tasks.engine.class_gaussians import fit_text_gaussians

    dataset = other_dataset(settings, source)
    text = settings["text"] | {"learn_from": None}
    if dataset["kind"] == "features":
        text["source"] = "templates"  # that of the data set at hand; a file has its own vectors
    bank = features_of(settings | {"dataset": dataset, "text": text}, device, frozenset({"text"}))
    return fit_text_gaussians(as_base(bank))


def other_dataset(settings: dict[str, Any], source: str) -> dict[str, Any]:
    """The settings ``dataset`` of another data set, by its name or a file of features."""
    from fewshot.paths import option

    if Path(source).suffix in (".npz", ".safetensors"):
        dataset = option("dataset", "features") | {"path": source}
    else:
        dataset = option("dataset", source)
    return dataset | {"on_error": settings["dataset"].get("on_error", "raise")}


def as_base(bank: FeatureBank) -> FeatureBank:
    """The bank with all classes as base classes, unless it comes with a split."""
    if bank.text is None:
        raise no_text("text_gaussian")
    return replace(bank, parts=bank.parts or ("base",) * len(bank.classnames))


def labels_only(dataset: ImageDataset) -> FeatureBank:
    """A bank with a row per image and no columns."""
    empty = np.empty((len(dataset), 0), dtype=np.float32)
    return FeatureBank(
        empty,
        dataset.labels,
        dataset.classnames,
        parts=dataset.parts,
        subset=dataset.subset,
        info={"dataset": dataset.name},
        ids=dataset.ids,
        naming=dataset.naming,
    )


def tell_left_out(dataset: ImageDataset) -> None:
    """Say on standard error which folders of a data set are no classes."""
    from fewshot.features.data_warnings import left_out_warning

    if warning := left_out_warning(dataset.left_out):
        print(f"fewshot: {warning}", file=sys.stderr)


def backbone_settings(text: str) -> dict[str, Any]:
    """The settings of the group ``backbone`` for a name of ``fewshot list backbones``.

    Or for ``timm:MODEL``, ``torchvision:MODEL/PRETRAINED``, ``open_clip:MODEL/PRETRAINED``,
    ``resnet12:FILE`` or ``callable:MODULE:FUNCTION``.
    """
    kind, _, rest = text.partition(":")
    settings = option("backbone", kind)
    if not rest:
        return settings
    if kind == "timm":
        return settings | {"model": rest}
    if kind == "resnet12":
        return settings | {"weights": rest}
    if kind in ("open_clip", "torchvision"):
        model, _, pretrained = rest.partition("/")
        return settings | {"model": model, "pretrained": pretrained or None}
    if kind == "callable":
        return settings | {"target": rest}
    raise FewshotError(
        "--backbone",
        f"expected timm:, torchvision:, open_clip:, resnet12: or callable:..., got {text!r}",
        "Others go by their name alone.",
    )
