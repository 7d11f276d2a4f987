"""Torch modules as ONNX graphs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fewshot.models.onnx.graph import OPSET

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

BATCH = "batch"  # name of the axis of any length


def model_of(module: nn.Module, example: Tensor, name: str, outputs: Sequence[str]) -> ModelProto:
    """A module of one tensor as an ONNX model, for any number of rows.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    example : Tensor
        Of at least two rows, as 1 would be taken for an axis that is broadcast.
    name : str
        Of the input.
    outputs : sequence of str
        Names of the outputs.

    Raises
    ------
    Exception
        Whatever torch raises about operations that it cannot trace or ONNX does not have.
    """
    rows = {0: torch.export.Dim(BATCH)}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module, (example,), dynamo=True, verbose=False, opset_version=OPSET,
            input_names=[name], output_names=list(outputs), dynamic_shapes=(rows,),
        )  # fmt: skip
    assert program is not None
    model: ModelProto = program.model_proto
    return model


def put_before(model: ModelProto, first: GraphProto) -> None:
    """Let the output of another graph be the input of a model of the same name."""
    graph = model.graph
    nodes = [*first.node, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(first.initializer)
    del graph.input[:]
    graph.input.extend(first.input)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of its own deprecations and of other versions of ONNX."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
