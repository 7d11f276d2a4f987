"""What the card of a segmentation model says in other words than that of a classifier."""

from __future__ import annotations

from dataclasses import replace

from fewshot.models.card import model_card
from fewshot.models.header import Header
from fewshot.models.segmentation.note import DenseNote, PredictionNote
from fewshot.report.aligned import markdown
from fewshot.report.text.segmented import class_rows, prediction_text
from fewshot.report.wording import plain
from fewshot.units import counted

LISTED = 100  # classes in a card
NOT_FOR = (
    "Images of another kind, or of other places, than those that it was fitted on: the predicted "
    "mIoU holds for new images like them.",
    "Pixels of none of the classes: every pixel gets one of them.",
    "Decisions about people, or with consequences that nobody checks.",
)
USE = """\
```sh
fewshot segment model.fewshot images/ --out masks
```

```python
import fewshot

model = fewshot.load("model.fewshot")
model.segment("image.jpg")
model.segment_all("images", out="masks")
```

The file has {}, and no image."""


def mask_card(header: Header, note: DenseNote) -> str:
    """The card of a segmentation model as Markdown."""
    sections = {
        "": _summary(header, note),
        "Classes": _classes(header, note),
        "Error": _error(note.prediction, note.level),
        "Probabilities": "",
        "Images": _images(note),
        "Not for": "\n".join(f"- {line}" for line in NOT_FOR),
        "Use": USE.format(_kept(header)),
    }
    if header.backbone is not None:  # whose images have another size than for whole ones
        header = replace(header, backbone=replace(header.backbone, feature="dense", transform={}))
    return model_card(header, sections)


def _summary(header: Header, note: DenseNote) -> str:
    network = header.backbone
    on = f" on features of `{_code(network.name)}`" if network is not None else ""
    return (
        f"Says of every pixel of an image of which of {len(header.classes):,} classes it is "
        f"({header.task}), by the head `{_code(header.head['name'])}`{on}, fitted on "
        f"{counted(note.annotated, 'annotated image')}."
    )


def _classes(header: Header, note: DenseNote) -> str:
    names = header.classes[:LISTED]
    if note.prediction is None:
        rows = [["class", "images"], *([name, f"{header.images[name]:,}"] for name in names)]
    else:
        counts = [header.images[name] for name in header.classes]
        rows = class_rows(note.prediction.prediction(), header.classes, counts, note.level)
        rows = rows[: LISTED + 1]
    cells = [[markdown(plain(cell)) for cell in row] for row in rows]
    head, *body = [f"| {' | '.join(row)} |" for row in cells]
    rule = f"| --- |{' ---: |' * (len(rows[0]) - 1)}"
    more = len(header.classes) - len(names)
    return "\n".join([head, rule, *body, *(["", f"And {more:,} more."] if more else [])])


def _error(note: PredictionNote | None, level: float) -> str:
    if note is None:
        return "The mean IoU was not predicted."
    return markdown(prediction_text(note.prediction(), level))


def _images(note: DenseNote) -> str:
    layers = note.layers if isinstance(note.layers, str) else ", ".join(map(str, note.layers))
    return (
        f"Resized to {note.size}, a token every {note.stride} pixels, layers {layers}. Masks have "
        "the size of the image itself."
    )


def _kept(header: Header) -> str:
    linear = header.head.get("form") == "linear"
    return "the weights of the head" if linear else "features of the annotated images"


def _code(text: str) -> str:
    return plain(text).replace("`", "'")
