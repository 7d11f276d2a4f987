"""Text vectors of a data set's classes, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fewshot.backbones.base import Backbone
from fewshot.storage import atomic_path, plain_name, writing
from fewshot.text.prompts import (
    DEFAULT_TEMPLATES,
    check_classnames,
    check_templates,
    class_vectors,
    prompts,
)

FORMAT = 1


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """One vector per class and what turns cosines with it into logits.

    Attributes
    ----------
    vectors : Tensor of shape (C, D), float32
        Unit length, on the CPU.
    logit_scale, logit_bias : float
        Of the dual encoder: logits are ``logit_scale * cosine + logit_bias``.
    templates : tuple of str
    key : str
        SHA-256 of everything that decides the vectors.
    """

    vectors: Tensor
    logit_scale: float
    logit_bias: float
    templates: tuple[str, ...]
    key: str


def class_text_features(
    backbone: Backbone,
    classnames: Sequence[str],
    templates: Sequence[str] = DEFAULT_TEMPLATES,
    *,
    cache: Path,
    device: torch.device,
) -> TextFeatures:
    """Text vectors of `classnames` under `backbone`, from the cache if they are there.

    A hit loads no network. A file that cannot be read is computed again.

    Parameters
    ----------
    backbone : Backbone
    classnames : sequence of C str
    templates : sequence of str
        With ``{}`` where the name goes.
    cache : Path
        Folder of such files, made if it is missing.
    device : torch.device
        Where the text encoder runs.

    Raises
    ------
    FewshotError
        No text encoder, weights that are not there, names or templates that cannot be used.
    """
    check_templates(templates)
    check_classnames(classnames)
    if not backbone.has_text:
        backbone.load_dual(device)  # it says why, and what to take instead
    templates = tuple(templates)
    key = text_key(backbone, classnames, templates)
    path = cache / f"{plain_name(backbone.name, 60)}-{key[:16]}.safetensors"
    found = _read(path, key, len(classnames), templates)
    if found is None:
        dual = backbone.load_dual(device)
        vectors = class_vectors(dual, classnames, templates)
        found = TextFeatures(vectors, dual.logit_scale, dual.logit_bias, templates, key)
        _write(path, found)
    return found


def text_key(backbone: Backbone, classnames: Sequence[str], templates: Sequence[str]) -> str:
    """SHA-256 of the backbone's fingerprint and of the prompts, in their order."""
    causes = {
        "format": FORMAT,
        "backbone": backbone.fingerprint(),
        "prompts": [prompts(name, templates) for name in classnames],
    }
    return hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()


def _write(path: Path, features: TextFeatures) -> None:
    from safetensors.torch import save_file

    note = {
        "key": features.key,
        "logit_scale": features.logit_scale,
        "logit_bias": features.logit_bias,
    }
    with writing("paths.cache", path.parent), atomic_path(path) as partial:
        stored = {"vectors": features.vectors.contiguous()}
        save_file(stored, partial, metadata={"note": json.dumps(note)})


def _read(path: Path, key: str, classes: int, templates: tuple[str, ...]) -> TextFeatures | None:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {})["note"])
            vectors = file.get_tensor("vectors")
        scale, bias = float(note["logit_scale"]), float(note["logit_bias"])
        sound = note["key"] == key and len(vectors) == classes and bool(vectors.isfinite().all())
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return TextFeatures(vectors, scale, bias, templates, key) if sound else None
