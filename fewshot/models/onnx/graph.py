"""Nodes of an ONNX graph, written as arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

OPSET = 18


@dataclass
class Graph:
    """A graph that grows by a node per operation; names in it begin with `prefix`.

    Attributes
    ----------
    prefix : str
    nodes : list of NodeProto
    """

    prefix: str
    nodes: list[NodeProto] = field(default_factory=list)
    numbers: Any = field(default_factory=count)

    def value(self, name: str, dtype: DTypeLike) -> Value:
        """A value that is made elsewhere: an input of the graph."""
        return Value(self, name, np.dtype(dtype))

    def constant(self, array: ArrayLike, dtype: DTypeLike) -> Value:
        """A constant tensor, or a scalar."""
        from onnx import numpy_helper

        tensor = numpy_helper.from_array(np.asarray(array, dtype))
        return self.node("Constant", dtype=dtype, value=tensor)

    def node(
        self, operator: str, *inputs: Value | None, dtype: DTypeLike, **attributes: Any
    ) -> Value:
        """The only output of a node of ONNX; None stands for an input that is left out."""
        from onnx import helper

        name = f"{self.prefix}{next(self.numbers)}"
        names = ["" if value is None else value.name for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], name, **attributes))
        return self.value(name, dtype)

    def branches(
        self, condition: Value, then: Callable[[Graph], Value], otherwise: Callable[[Graph], Value]
    ) -> Value:
        """What one of two functions makes of a graph of its own; both see the values of this."""
        graphs, dtype = {}, np.dtype(np.uint8)
        for attribute, build in (("then_branch", then), ("else_branch", otherwise)):
            inner = Graph(self.prefix, numbers=self.numbers)
            value = build(inner)
            graphs[attribute] = inner.proto(attribute, [], [value.described(None)])
            dtype = value.dtype
        return self.node("If", condition, dtype=dtype, **graphs)

    def proto(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> GraphProto:
        """The graph with its inputs and outputs."""
        from onnx import helper

        return helper.make_graph(self.nodes, self.prefix + name, inputs, outputs)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor in a graph; Python numbers beside it in arithmetic get its dtype.

    Attributes
    ----------
    graph : Graph
    name : str
    dtype : numpy.dtype
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def __add__(self, other: Any) -> Value:
        return self._with("Add", other)

    def __radd__(self, other: Any) -> Value:
        return self._like(other)._with("Add", self)

    def __sub__(self, other: Any) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: Any) -> Value:
        return self._like(other)._with("Sub", self)

    def __mul__(self, other: Any) -> Value:
        return self._with("Mul", other)

    def __rmul__(self, other: Any) -> Value:
        return self._like(other)._with("Mul", self)

    def __truediv__(self, other: Any) -> Value:
        """Division; of integers, towards zero."""
        return self._with("Div", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._like(other)._with("Div", self)

    def __lt__(self, other: Any) -> Value:
        return self._with("Less", other, np.bool_)

    def __le__(self, other: Any) -> Value:
        return self._with("LessOrEqual", other, np.bool_)

    def __gt__(self, other: Any) -> Value:
        return self._with("Greater", other, np.bool_)

    def __ge__(self, other: Any) -> Value:
        return self._with("GreaterOrEqual", other, np.bool_)

    def __and__(self, other: Any) -> Value:
        return self._with("And", other)

    def apply(self, operator: str, *others: Value, **attributes: Any) -> Value:
        """A node with this as its first input, whose output has the dtype of it."""
        return self.graph.node(operator, self, *others, dtype=self.dtype, **attributes)

    def minimum(self, other: Any) -> Value:
        """Elementwise."""
        return self._with("Min", other)

    def maximum(self, other: Any) -> Value:
        """Elementwise."""
        return self._with("Max", other)

    def to(self, dtype: DTypeLike) -> Value:
        """The same in another dtype; floats are cut off towards zero where it has none."""
        from onnx import helper

        code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.graph.node("Cast", self, dtype=dtype, to=code)

    def where(self, condition: Value, other: Any) -> Value:
        """This where the condition holds, else the other."""
        return self.graph.node("Where", condition, self, self._like(other), dtype=self.dtype)

    def shape(self) -> Value:
        """Lengths of the axes, int64."""
        return self.graph.node("Shape", self, dtype=np.int64)

    def at(self, index: int | Value, axis: int = 0) -> Value:
        """Entries of an axis; the axis is gone for an int."""
        place = index if isinstance(index, Value) else self.graph.constant(index, np.int64)
        return self.apply("Gather", place, axis=axis)

    def between(self, starts: Value, ends: Value, axes: Sequence[int]) -> Value:
        """Slices along axes; `starts` and `ends` have an entry for each."""
        return self.apply("Slice", starts, ends, self.graph.constant(axes, np.int64))

    def reshape(self, *shape: int) -> Value:
        """0 keeps an axis as it is, -1 is worked out."""
        return self.apply("Reshape", self.graph.constant(shape, np.int64))

    def permuted(self, *axes: int) -> Value:
        """With axes in this order."""
        return self.apply("Transpose", perm=axes)

    def within(self, graph: Graph) -> Value:
        """The same, for nodes of an inner graph."""
        return graph.value(self.name, self.dtype)

    def renamed(self, name: str) -> Value:
        """The same by another name."""
        from onnx import helper

        self.graph.nodes.append(helper.make_node("Identity", [self.name], [name]))
        return self.graph.value(name, self.dtype)

    def described(self, shape: Sequence[int | str] | None) -> Any:
        """As an input or output of a graph."""
        from onnx import helper

        code = helper.np_dtype_to_tensor_dtype(self.dtype)
        return helper.make_tensor_value_info(self.name, code, shape)

    def _like(self, other: Any) -> Value:
        return other if isinstance(other, Value) else self.graph.constant(other, self.dtype)

    def _with(self, operator: str, other: Any, dtype: DTypeLike | None = None) -> Value:
        kind = self.dtype if dtype is None else dtype
        return self.graph.node(operator, self, self._like(other), dtype=kind)


def integers(graph: Graph, stop: int | Value) -> Value:
    """0 to `stop` - 1, int64."""
    if not isinstance(stop, Value):
        return graph.constant(np.arange(stop), np.int64)
    start, step = (graph.constant(number, np.int64) for number in (0, 1))
    return graph.node("Range", start, stop, step, dtype=np.int64)
