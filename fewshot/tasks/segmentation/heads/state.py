"""Fitted heads as numbers and tensors, and back: what is kept of them in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError
from fewshot.importing import survives_json
from fewshot.tasks.segmentation.heads import heads
from fewshot.tasks.segmentation.heads.base import (
    DenseHead,
    DenseSupport,
    LinearDenseHead,
    LinearMap,
)

LINEAR, ATTRIBUTES = "linear", "attributes"
LEARNED = re.compile(r"[a-z][a-z0-9_]*_")  # names of what `fit` learns; no name of Python's own
PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, eq=False)
class HeadState:
    """What a head has learnt.

    Attributes
    ----------
    form : {"linear", "attributes"}
        Weights and biases, which need no code of the head; or what its ``fit`` sets.
    values : dict
        Numbers and strings by name.
    tensors : dict of str to Tensor
        By name, on the CPU.
    """

    form: str
    values: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


class FittedMap(LinearDenseHead):
    """Scores ``weights . x + biases`` of a head that was fitted before.

    Parameters
    ----------
    map_ : LinearMap
    """

    def __init__(self, map_: LinearMap) -> None:
        self.map_ = map_

    def fit(self, support: DenseSupport, seed: int = 0) -> FittedMap:
        """It is fitted: another support does not change it."""
        raise NotImplementedError("a fitted linear head is not fitted again")


class FittedUnitMap(FittedMap):
    """The same for tokens at unit length."""

    unit_length = True


def state_of(head: DenseHead) -> HeadState:
    """What a fitted head has learnt; of one that chooses, what the chosen one has.

    Raises
    ------
    FewshotError
        A head that is not linear and has something else than numbers and tensors.
    """
    chosen = head.delegate()
    if isinstance(chosen, LinearDenseHead):
        tensors = {"weights": chosen.map_.weights, "biases": chosen.map_.biases}
        return HeadState(LINEAR, {"unit_length": chosen.unit_length}, _on_cpu(tensors))
    name = type(chosen).__name__
    learned = {key: value for key, value in vars(chosen).items() if LEARNED.fullmatch(key)}
    values = {key: value for key, value in learned.items() if isinstance(value, PLAIN)}
    tensors = {key: value for key, value in learned.items() if isinstance(value, Tensor)}
    others = [*(learned.keys() - values.keys() - tensors.keys())]
    others += [key for key, value in chosen.get_params().items() if not survives_json(value)]
    if others:
        raise FewshotError(
            "head",
            f"{name} cannot be saved: it is not linear, and its {sorted(others)[0]!r} is neither "
            "number, text nor tensor",
            "Take another head: all of `fewshot list heads --task segmentation` can be saved.",
        )
    return HeadState(ATTRIBUTES, values, _on_cpu(tensors))


def restored(
    kind: type[DenseHead] | None,
    parameters: Mapping[str, Any],
    state: HeadState,
    classes: int,
    dim: int,
) -> DenseHead:
    """The fitted head of a state.

    Parameters
    ----------
    kind : type
        Its class; None for the linear form, which needs none.
    parameters : mapping
        Of the constructor.
    state : HeadState
    classes, dim : int
        N scores of tokens of D features.

    Raises
    ------
    ValueError
        A state that does not fit the head, the classes or the features: says why.
    """
    try:
        if kind is None:
            linear = FittedUnitMap if state.values["unit_length"] else FittedMap
            weights, biases = state.tensors["weights"], state.tensors["biases"]
            if surplus := sorted(state.tensors.keys() - {"weights", "biases"}):
                raise ValueError(f"the head has a tensor too many, {surplus[0]!r}")
            if tuple(biases.shape) != weights.shape[:1]:  # which would be one for all classes
                raise ValueError(
                    f"the head: biases {tuple(biases.shape)} for {len(weights)} classes"
                )
            head: DenseHead = linear(LinearMap(weights, biases))
        else:
            head = _with_attributes(kind, parameters, state)
        with torch.inference_mode():
            scores = head.scores(torch.zeros(1, dim), (1, 1))
    except KeyError as error:
        raise ValueError(f"the head lacks {error}") from None
    except (AttributeError, TypeError, RuntimeError, IndexError) as error:
        raise ValueError(" ".join(f"the head: {error}".split())) from None
    if tuple(scores.shape) != (1, classes):
        raise ValueError(f"the head scores {scores.shape[-1]} classes, and {classes} are named")
    return head


def on_device(head: DenseHead, device: torch.device) -> DenseHead:
    """The head with its tensors on a device, in place."""
    for key, value in vars(head).items():
        if isinstance(value, LinearMap):
            setattr(head, key, LinearMap(*(tensor.to(device) for tensor in value)))
        elif isinstance(value, Tensor):
            setattr(head, key, value.to(device))
    return head


def class_of(name: str, target: str) -> type[DenseHead] | None:
    """The class of a registered head by its name; None if it is another than `target`."""
    # Never a module that a file names: what is registered belongs to an installed package.
    if name not in heads.registered() or heads[name].origin != target:
        return None
    kind: type[DenseHead] = heads[name].load()
    return kind


def plain_parameters(head: DenseHead) -> dict[str, Any]:
    """Constructor arguments by name, in types of JSON; others as text."""
    parameters = head.get_params()
    return {
        key: value if survives_json(value) else repr(value) for key, value in parameters.items()
    }


def _with_attributes(
    kind: type[DenseHead], parameters: Mapping[str, Any], state: HeadState
) -> DenseHead:
    head = kind(**parameters)
    for key, value in {**state.values, **state.tensors}.items():
        if not LEARNED.fullmatch(key):
            raise ValueError(f"no head learns {key!r}")
        setattr(head, key, value)
    return head


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous, as they are after loading: products of other layouts have other last bits."""
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
