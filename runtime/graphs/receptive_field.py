"""Receptive fields: the pixels that one position of a layer depends on.

They are found by walking the forward graph's windows from the layer back to the image. They also
tell how small a part of the image is enough to compute a position exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import onnx
import onnx_ir as ir

from .smallest_side import WINDOWED, ints

# Operators that compute each position from the values at that position alone.
POINTWISE = frozenset(
    {
        "Add", "BatchNormalization", "Cast", "Clip", "Concat", "Div", "Dropout", "Elu", "Erf",
        "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LRN", "LeakyRelu", "Log", "Max",
        "Min", "Mul", "Neg", "PRelu", "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Sub",
        "Tanh",
    }
)  # fmt: skip


class Box(NamedTuple):
    """A part of an image, in pixels from its upper left corner; bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Window:
    """A receptive field along one axis.

    Position i sees the pixels from ``i stride + first`` to ``i stride + last``, both included. They
    may lie outside the image, in the padding.
    """

    stride: int
    first: int
    last: int

    def through(self, kernel: int, stride: int, dilation: int, pad: int) -> Window:
        """The window in an operator's input, given this window in its output."""
        return Window(
            self.stride * stride,
            self.first * stride - pad,
            self.last * stride - pad + dilation * (kernel - 1),
        )

    def joined(self, other: Window) -> Window | None:
        """The window that covers both; None if their strides differ."""
        if self.stride != other.stride:
            return None
        return Window(self.stride, min(self.first, other.first), max(self.last, other.last))

    def seen(self, position: int, length: int) -> tuple[int, int]:
        """The pixels that a position sees of an image: the first, and the one after the last."""
        start = position * self.stride
        return max(0, start + self.first), min(length, start + self.last + 1)

    # A part of the image that begins at a multiple of the stride has the same grid of positions as
    # the whole image. Everything that a position depends on, padding included, is the same in the
    # part as in the whole if the part contains all pixels that the position sees, or ends at the
    # edge of the image.

    def enough(self, length: int) -> int:
        """Length of the parts of an image such that every position is exact in one of them.

        The rest of the image is a multiple of the stride, so the last part ends at the edge.
        """
        # One stride more than the window, since its first pixel may lie anywhere in a stride.
        needed = self.last - self.first + self.stride
        return length - max(0, length - needed) // self.stride * self.stride

    def start(self, position: int, length: int) -> int:
        """Start of the part, of length :meth:`enough`, in which a position is exact."""
        aligned = (position + self.first // self.stride) * self.stride
        return min(max(0, aligned), length - self.enough(length))


@dataclass(frozen=True)
class ReceptiveField:
    """The windows of a layer's positions, in both directions."""

    rows: Window
    columns: Window

    def box(self, row: int, column: int, size: int) -> Box:
        """The part of a square image of side ``size`` that a position sees."""
        top, bottom = self.rows.seen(row, size)
        left, right = self.columns.seen(column, size)
        return Box(top, left, bottom, right)

    def whole(self, size: int) -> tuple[int, int]:
        """Height and width of a box that no edge of a square image cuts; at most the image's."""
        rows, columns = self.rows, self.columns
        return min(size, rows.last - rows.first + 1), min(size, columns.last - columns.first + 1)

    def enough(self, size: int) -> tuple[int, int]:
        """Height and width of the parts of a square image; see :meth:`Window.enough`."""
        return self.rows.enough(size), self.columns.enough(size)

    def corner(self, row: int, column: int, size: int) -> tuple[int, int]:
        """Top and left of the part in which a position is exact."""
        return self.rows.start(row, size), self.columns.start(column, size)


def receptive_field(forward_graph: onnx.ModelProto, layer: str) -> ReceptiveField | None:
    """The receptive field of a layer; None if a position may see the whole image.

    A position sees the whole image behind a global pooling or a fully connected layer. Operators
    that this module does not know are treated like these.

    Args:
        forward_graph: As the exporter writes it, with the layer among its outputs.
        layer: Name of the layer.
    """
    graph = ir.from_proto(forward_graph).graph
    (output,) = (value for value in graph.outputs if value.name == layer)
    seen: dict[ir.Value, ReceptiveField | None] = {
        output: ReceptiveField(Window(1, 0, 0), Window(1, 0, 0))
    }
    for node in reversed(graph):
        for value in node.outputs:
            if value in seen:
                _pass_on(node, seen[value], seen)
    return seen.get(graph.inputs[0])


def _pass_on(
    node: ir.Node, field: ReceptiveField | None, seen: dict[ir.Value, ReceptiveField | None]
) -> None:
    """Record the field of a node's inputs, joined with what other paths see of them."""
    before = None if field is None else _before(node, field)
    for value in node.inputs:
        if value is not None:
            seen[value] = _joined(seen[value], before) if value in seen else before


def _before(node: ir.Node, field: ReceptiveField) -> ReceptiveField | None:
    """The field in a node's inputs, given the field in its output; None for the whole image."""
    if node.op_type in WINDOWED:
        kernel = node.attributes["kernel_shape"].as_ints()
        if len(kernel) != 2:
            return None
        strides = ints(node, "strides", [1, 1])
        dilations = ints(node, "dilations", [1, 1])
        pads = ints(node, "pads", [0] * 4)
        return ReceptiveField(
            *(
                window.through(kernel[axis], strides[axis], dilations[axis], pads[axis])
                for axis, window in enumerate((field.rows, field.columns))
            )
        )
    joins_positions = node.op_type == "Concat" and node.attributes["axis"].as_int() != 1
    return field if node.op_type in POINTWISE and not joins_positions else None


def _joined(one: ReceptiveField | None, other: ReceptiveField | None) -> ReceptiveField | None:
    if one is None or other is None:
        return None
    rows, columns = one.rows.joined(other.rows), one.columns.joined(other.columns)
    return None if rows is None or columns is None else ReceptiveField(rows, columns)
