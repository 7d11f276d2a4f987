"""Heads in model files: weights and biases, or parameters and the shots to fit them to again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

import fewshot.heads as public
from fewshot.evaluation.named import named_head
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.heads.base import Head, Support
from fewshot.heads.fitted_linear import FittedLinear
from fewshot.heads.semi_supervised import SemiSupervised, learning_from
from fewshot.importing import origin_of, survives_json
from fewshot.models.header import LINEAR, SUPPORT, Header, HeadNote
from fewshot.tasks.classification.labelling.fitted import FittedClassifier

WEIGHTS, BIASES, SHOTS = "head.weights", "head.biases", "head.shots"
UNLABELLED = "head.unlabelled"


class FittedHead(NamedTuple):
    """A head that is fitted, and the shots that it was fitted to unless it is linear."""

    head: Head
    support: Support | None


def head_note(name: str, head: Head, fitted: FittedClassifier) -> HeadNote:
    """What a header says of a head."""
    parameters = {key: value for key, value in head.get_params().items() if survives_json(value)}
    form = LINEAR if isinstance(fitted.head, FittedLinear) else SUPPORT
    note: HeadNote = {
        "name": name, "parameters": parameters, "form": form, "target": origin_of(type(head)),
    }  # fmt: skip
    if isinstance(fitted.head, SemiSupervised):
        note["unlabelled"] = len(fitted.head.unlabelled)
    return note


def head_tensors(fitted: FittedClassifier) -> dict[str, Tensor]:
    """Weights and biases of a linear head; the shots (M, D) of any other, class by class.

    Of a head that learned from unlabelled images these (U, D) as well.

    Raises
    ------
    FewshotError
        A parameter of a head that is not linear is no value of JSON.
    """
    head = fitted.head
    if isinstance(head, FittedLinear):
        return {WEIGHTS: head.weights_, BIASES: head.biases_}
    further: dict[str, Tensor] = {}
    if isinstance(head, SemiSupervised):
        further = {UNLABELLED: head.unlabelled}
        head = head.head
    for name, value in head.get_params().items():
        if not survives_json(value):
            kind = type(head).__name__
            raise FewshotError(
                "head",
                f"{kind} cannot be saved: its parameter {name!r} is an object of "
                f"{type(value).__name__}, and a model file holds numbers and texts",
                "Take a head that is linear, or one with other parameters.",
            )
    assert fitted.support is not None
    return {SHOTS: fitted.support.features[0][fitted.support.mask[0]], **further}


def fitted_head(
    header: Header, tensors: Mapping[str, Tensor], named: str | Head | None = None
) -> FittedHead:
    """The head of a model file.

    No class is imported because a file says so: only of heads that are registered here, or that
    installed packages register, or that the caller names.

    Parameters
    ----------
    header : Header
    tensors : mapping of str to Tensor
    named : str or Head, optional
        A head as the caller names it.

    Raises
    ------
    FewshotError
        The head is none of these, or another than the one of the file.
    ValueError
        Tensors that do not fit the header.
    """
    form = header.head.get("form", LINEAR)
    if form == LINEAR:
        _check_named(header.head, named)
        return FittedHead(_linear(header, tensors), None)
    if form != SUPPORT:
        raise ValueError(f"heads of the form {form!r} do not classify")
    head, support = _unfitted(header.head, named), _support(header, tensors[SHOTS])
    head = learning_from(head, _unlabelled(header, tensors))
    with torch.inference_mode():
        return FittedHead(head.fit(support), support)


def _check_named(note: HeadNote, named: str | Head | None) -> None:
    """Raise for another head than that of a model whose weights are all that it needs of it."""
    if named is None or named in (note["name"], note.get("target")):
        return
    target = origin_of(type(named_head(named)[1]))
    if target != note.get("target"):
        raise _other_head(note, target)


def _other_head(note: HeadNote, got: str) -> FewshotError:
    expected = note.get("target") or note["name"]
    problem = f"expected {expected}, on which the model was fitted, got {got}"
    return FewshotError("head", problem)


def _linear(header: Header, tensors: Mapping[str, Tensor]) -> FittedLinear:
    weights, biases, ways = tensors[WEIGHTS], tensors[BIASES], len(header.classes)
    dim = weights.shape[-1] if header.backbone is None else header.backbone.dim
    for name, values, shape in ((WEIGHTS, weights, (1, ways, dim)), (BIASES, biases, (1, ways))):
        if tuple(values.shape) != shape or not values.is_floating_point():
            got = f"{values.dtype} {tuple(values.shape)}"
            raise ValueError(f"{name} is {got}, where {ways} classes need {shape}")
    if weights.dtype != biases.dtype:
        raise ValueError(f"{WEIGHTS} is {weights.dtype}, and {BIASES} {biases.dtype}")
    return FittedLinear(weights, biases)


FITTED_TO = (torch.float32, torch.float64)  # features of half precision were converted before


def _support(header: Header, shots: Tensor) -> Support:
    """The shots as they were fitted to: (1, N, K, D), zeros where a class has fewer than K."""
    counts = [header.images[name] for name in header.classes]
    dim = shots.shape[-1] if header.backbone is None else header.backbone.dim
    if tuple(shots.shape) != (sum(counts), dim) or shots.dtype not in FITTED_TO:
        got = f"{shots.dtype} {tuple(shots.shape)}"
        raise ValueError(f"{SHOTS} is {got}, where {sum(counts)} images need {(sum(counts), dim)}")
    mask = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    features = shots.new_zeros((*mask.shape, dim))
    features[mask] = shots
    return Support.of(features[None], mask[None])


def _unlabelled(header: Header, tensors: Mapping[str, Tensor]) -> Tensor | None:
    """Features (U, D) of unlabelled images that the head learned from, if it did."""
    number = header.head.get("unlabelled", 0)
    if not number:
        return None
    images = tensors[UNLABELLED]
    if images.ndim != 2 or len(images) != number or not images.is_floating_point():
        got = f"{images.dtype} {tuple(images.shape)}"
        raise ValueError(f"{UNLABELLED} is {got}, where {number} images are said to be")
    return images


def _unfitted(note: HeadNote, named: str | Head | None) -> Head:
    target = note["target"]
    kind = _public(target) if named is None else type(named_head(named)[1])
    if kind is None and ":" not in note["name"] and note["name"] in heads:
        kind = type(heads.create(note["name"]))
    if kind is None:
        raise head_of_others(note["name"], target)
    if origin_of(kind) != target:
        raise _other_head(note, origin_of(kind))
    return kind(**note["parameters"])


def _public(target: str) -> type[Head] | None:
    """The class of a head that this package names, by its ``module:class``."""
    module, _, name = target.partition(":")
    if not module.startswith(f"{public.__name__}.") or name not in public.__all__:
        return None
    kind = getattr(public, name)
    fine = isinstance(kind, type) and issubclass(kind, Head) and origin_of(kind) == target
    return kind if fine else None


def head_of_others(name: str, target: str) -> FewshotError:
    """The error for a head whose code would be run because a file says so."""
    return FewshotError(
        "head",
        f"the model has the head {name!r}, which no installed package registers, and a file does "
        "not make code run",
        f"Install its package; or, where you trust it, load with head={target!r}.",
    )
