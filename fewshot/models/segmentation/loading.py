"""A segmentation model from the content of its file."""

from __future__ import annotations

from pathlib import Path

from fewshot.evaluation.named import named_head
from fewshot.exceptions import FewshotError, expect
from fewshot.hardware import device_named
from fewshot.importing import origin_of
from fewshot.models.file import ModelFile, damaged
from fewshot.models.header import BackboneNote, Header
from fewshot.models.heads import head_of_others
from fewshot.models.referenced import OURS, ReferencedBackbone, transform_of
from fewshot.models.segmentation.note import DenseNote, dense_note
from fewshot.models.segmentation.saving import PREFIX
from fewshot.models.segmentation.segmenter import Segmenter
from fewshot.paths import places_of_environment
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.heads import heads
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.heads.state import (
    LINEAR,
    HeadState,
    class_of,
    on_device,
    restored,
)


def segmenter_of(
    content: ModelFile,
    path: Path,
    device: str = "auto",
    weights: str | Path | None = None,
    backbone: str | None = None,
    head: str | DenseHead | None = None,
) -> Segmenter:
    """The model of a file; its network is loaded when the first image is segmented.

    Parameters
    ----------
    content : ModelFile
    path : Path
        The file.
    device, weights, backbone, head
        See `fewshot.load`.

    Raises
    ------
    FewshotError
        The content does not hold together; another backbone or head than those of the model.
    """
    header, chosen = content.header, device_named(device)
    places = places_of_environment(weights=weights)
    try:
        network, note = _backbone(header), dense_note(header)
        features = DenseFeatures(
            ReferencedBackbone(network, places, path, backbone),
            note.size,
            note.stride,
            note.layers if isinstance(note.layers, str) else list(note.layers),
            chosen,
        )
        fitted = _head(content, note, network.dim, head)
    except (ValueError, TypeError) as error:
        if isinstance(error, FewshotError) and error.argument in ("head", "backbone"):
            raise
        raise damaged("path", path, str(error)) from None
    said = note.prediction
    predict = (lambda: None) if said is None else said.prediction
    return Segmenter(on_device(fitted, chosen), header, note, features, predict)


def _backbone(header: Header) -> BackboneNote:
    note = header.backbone
    if note is None:
        raise ValueError("it names no backbone")
    if note.settings["kind"] in OURS:
        transform_of(note.transform)
    return note


def _head(
    content: ModelFile, note: DenseNote, dim: int, named: str | DenseHead | None
) -> DenseHead:
    """The fitted head; the caller names it where it is a class of their own."""
    header, tensors = content
    entry, kind = header.head, None
    name, form, target = entry["name"], entry.get("form", LINEAR), entry.get("target", "")
    if named is not None:
        called, made = named_head(named, heads)
        expect(
            called in (note.requested, name),
            "head",
            f"expected {note.requested!r}, which the model has, got {called!r}",
        )
        kind = type(made) if origin_of(type(made)) == target else None
    if form != LINEAR and kind is None:
        kind = class_of(name, target)
        if kind is None:
            raise head_of_others(name, target)
    learnt = {n.removeprefix(PREFIX): t for n, t in tensors.items() if n.startswith(PREFIX)}
    if surplus := sorted(n for n in tensors if not n.startswith(PREFIX)):
        raise ValueError(f"it has a tensor too many, {surplus[0]!r}")
    state = HeadState(form, note.state, learnt)
    classes = len(header.classes)
    return restored(kind if form != LINEAR else None, entry["parameters"], state, classes, dim)
