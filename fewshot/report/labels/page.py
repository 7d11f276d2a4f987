"""Labels of images as one self-contained HTML page, without a script."""

from __future__ import annotations

import platform
from typing import Any

from fewshot.datasets.base import ImageDataset
from fewshot.report.labels.groups import class_tiles, count_rows, look_cards, none_cards
from fewshot.report.labels.summary import combination, error_text, headline, others_text
from fewshot.report.payload.thumbnails import THUMBNAIL_BYTES
from fewshot.report.static.page import render_page
from fewshot.report.static.pictures import Pictures, common_folder
from fewshot.tasks.classification.labelling.labels import LabelledImages
from fewshot.units import counted, short_percent

SECTIONS = {
    "counts": "Labels",
    "look": "Look at these",
    "none": "None of the classes",
    "others": "All others",
    "skipped": "Not read",
    "model": "The classifier",
}
NOTED = 50  # most unreadable images by name


def labels_page(
    labels: LabelledImages,
    images: ImageDataset | None = None,
    *,
    created: str = "",
    thumbnail_bytes: int = THUMBNAIL_BYTES,
) -> str:
    """The page, which makes no request; identical for identical inputs.

    Parameters
    ----------
    labels : LabelledImages
    images : ImageDataset, optional
        For thumbnails; without, files are named alone.
    created : str
        Date and time, as text.
    thumbnail_bytes : int
        Size of all thumbnails at most; 0 for none. Images to look at come first.
    """
    pictures = Pictures(None, [] if images is None else [images], thumbnail_bytes)
    folder = common_folder([row.file for row in labels.rows])
    look = look_cards(labels, pictures, folder)
    none = none_cards(labels, pictures, folder)
    others, more_classes = class_tiles(labels, pictures, folder)
    skipped = labels.skipped
    contents: dict[str, Any] = {
        "counts": count_rows(labels),
        "look": look if look.cards else None,
        "none": none if none.cards else None,
        "others": others,
        "skipped": [(str(image["path"]), str(image["reason"])) for image in skipped[:NOTED]],
        "model": _model(labels, created),
    }
    name = labels.model.name
    return render_page(
        "labels",
        title=f"Labels of {counted(len(labels), 'image')}" + (f" by {name}" if name else ""),
        name=name,
        headline=headline(labels),
        others_text=others_text(labels),
        created=created,
        folder=folder,
        more_classes=more_classes,
        more_skipped=len(skipped) - len(contents["skipped"]),
        unreadable=counted(len(skipped), "image"),
        labelled=counted(len(labels), "image"),
        accepted=counted(len(labels.accepted), "image"),
        budget=short_percent(labels.budget),
        sections={key: SECTIONS[key] for key, value in contents.items() if value},
        **{f"{key}_": value for key, value in contents.items()},
    )


def _model(labels: LabelledImages, created: str) -> list[tuple[str, str]]:
    """What the labels rest on, as terms and texts."""
    import torch

    import fewshot

    model = labels.model
    sizes = model.images
    support = f"{counted(sum(sizes.values()), 'image')} of {len(sizes):,} classes"
    rows = [("Classifier", combination(model))]
    if sizes:
        rows.append(("Fitted on", f"{support}, {model.name}" if model.name else support))
    if (error := error_text(model)) is not None:
        rows.append(("Predicted error", error))
    if model.note:
        rows.append(("Note", model.note))
    level = short_percent(labels.level)
    rows.append(("Sets of classes", f"have the true class for {level} of new images"))
    if model.created:
        rows.append(("Model of", f"{model.created[:16].replace('T', ' ')} UTC"))
    versions = (
        f"fewshot {fewshot.__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
    return [*rows, *([("Labelled", created)] if created else []), ("Versions", versions)]
