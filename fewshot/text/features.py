"""Text vectors of a data set's classes, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import Backbone
from fewshot.files import atomic_path, plain_name, writing
from fewshot.text.class_texts import ClassTexts, class_texts, text_vectors
from fewshot.text.template_sets import template_set
from fewshot.units import counted

# Increased when the computation of vectors from texts changes.
FORMAT = 2


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """One vector per class, with the scale and bias that turn cosines into logits.

    Attributes
    ----------
    vectors : Tensor of shape (C, D), float32
        Unit length, on the CPU.
    logit_scale, logit_bias : float
        Of the dual encoder: logits are ``logit_scale * cosine + logit_bias``.
    key : str
        SHA-256 of all inputs that determine the vectors.
    record : dict
        The texts, and which of them were truncated; JSON types only.
    """

    vectors: Tensor
    logit_scale: float
    logit_bias: float
    key: str
    record: dict[str, Any] = field(default_factory=dict)


def class_text_features(
    backbone: Backbone,
    classnames: Sequence[str],
    templates: str | Sequence[str] = "photo",
    *,
    cache: Path,
    device: torch.device,
) -> TextFeatures:
    """Text vectors of class names in prompts; see :func:`text_features` for other texts.

    Parameters
    ----------
    backbone : Backbone
    classnames : sequence of C str
    templates : str or sequence of str
        A set of templates by name, or templates with ``{}`` where the name goes.
    cache : Path
        Folder of text features, created if it is missing.
    device : torch.device
        Where the text encoder runs.

    Raises
    ------
    FewshotError
        No text encoder, weights that are not there, names or templates that cannot be used.
    """
    texts = class_texts(classnames, template_set(templates, ""))
    return text_features(backbone, texts, cache=cache, device=device)


def text_features(
    backbone: Backbone, texts: ClassTexts, *, cache: Path, device: torch.device
) -> TextFeatures:
    """Text vectors of classes under `backbone`, from the cache if possible.

    A hit loads no network. A file that cannot be read is computed again. Truncated texts are
    recorded and reported in one line on the standard error stream.

    Raises
    ------
    FewshotError
        No text encoder, or missing weights.
    """
    backbone.check_text()  # before weights are downloaded for the key
    key = text_key(backbone, texts)
    path = cache / f"{plain_name(backbone.name, 60)}-{key[:16]}.safetensors"
    features = _read(path, key, texts)
    if features is None:
        dual = backbone.load_dual(device)
        vectors, counts = text_vectors(dual, texts)
        record = texts.record | counts | {"key": key}
        features = TextFeatures(vectors, dual.logit_scale, dual.logit_bias, key, record)
        _write(path, features)
    cut = features.record["cut"]
    if cut:
        what = f"{counted(len(cut), 'text')}, for instance of {cut[0]['class']!r}"
        print(f"fewshot: the text encoder cuts off the end of {what}", file=sys.stderr)
    return features


def text_key(backbone: Backbone, texts: ClassTexts) -> str:
    """SHA-256 of the backbone's fingerprint and of all texts, in their order."""
    causes = {
        "format": FORMAT,
        "backbone": backbone.fingerprint(),
        "prompts": texts.prompts,
        "descriptions": texts.descriptions,
    }
    return hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()


def _write(path: Path, features: TextFeatures) -> None:
    from safetensors.torch import save

    note = {
        "key": features.key,
        "logit_scale": features.logit_scale,
        "logit_bias": features.logit_bias,
        "pieces": features.record["pieces"],
        "cut": features.record["cut"],
    }
    with writing("paths.cache", path.parent), atomic_path(path) as partial:
        stored = {"vectors": features.vectors.contiguous()}
        partial.write_bytes(save(stored, metadata={"note": json.dumps(note)}))


def _read(path: Path, key: str, texts: ClassTexts) -> TextFeatures | None:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {})["note"])
            vectors = file.get_tensor("vectors")
        scale, bias = float(note["logit_scale"]), float(note["logit_bias"])
        record = {"pieces": int(note["pieces"]), "cut": list(note["cut"]), "key": key}
        sound = note["key"] == key and len(vectors) == len(texts.classnames)
        sound = sound and bool(vectors.isfinite().all())
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return TextFeatures(vectors, scale, bias, key, texts.record | record) if sound else None
