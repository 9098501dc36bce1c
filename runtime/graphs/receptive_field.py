"""What a position of a layer sees of the image, and how little of the image is enough for it.

Found by walking the forward graph's windows from the layer back to the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import onnx
import onnx_ir as ir

from .smallest_side import WINDOWED, ints

# Operators that compute every position from the values at that position alone.
POINTWISE = frozenset(
    {
        "Add", "BatchNormalization", "Cast", "Clip", "Concat", "Div", "Dropout", "Elu", "Erf",
        "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LRN", "LeakyRelu", "Log", "Max",
        "Min", "Mul", "Neg", "PRelu", "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Sub",
        "Tanh",
    }
)  # fmt: skip


class Box(NamedTuple):
    """A part of an image, in pixels from its upper left corner; bottom and right are outside."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Window:
    """Along one axis: position i sees the pixels from ``i stride + first`` to ``i stride + last``.

    They may lie beyond the image, in the padding.
    """

    stride: int
    first: int
    last: int

    def through(self, kernel: int, stride: int, dilation: int, pad: int) -> Window:
        """What is seen of the input of a sliding window, if this is seen of its output."""
        return Window(
            self.stride * stride,
            self.first * stride - pad,
            self.last * stride - pad + dilation * (kernel - 1),
        )

    def joined(self, other: Window) -> Window | None:
        """What is seen on either of two ways; None where they do not move along together."""
        if self.stride != other.stride:
            return None
        return Window(self.stride, min(self.first, other.first), max(self.last, other.last))

    def seen(self, position: int, length: int) -> tuple[int, int]:
        """The first pixel and the one behind the last that a position sees of an image."""
        start = position * self.stride
        return max(0, start + self.first), min(length, start + self.last + 1)

    # A part of the image that begins at a multiple of the stride has its positions where the whole
    # has them. All that a position depends on, padding included, is the same in such a part as in
    # the whole, if the part holds what the position sees, or ends where the image ends.

    def enough(self, length: int) -> int:
        """How long a part of an image has to be so that one of that length fits every position.

        The rest of the image is a multiple of the stride, so that the last part ends with it.
        """
        needed = self.last - self.first + self.stride  # wherever the first pixel lies in its stride
        return length - max(0, length - needed) // self.stride * self.stride

    def start(self, position: int, length: int) -> int:
        """Where the part that is :meth:`enough` for a position begins."""
        aligned = (position + self.first // self.stride) * self.stride
        return min(max(0, aligned), length - self.enough(length))


@dataclass(frozen=True)
class ReceptiveField:
    """What the positions of a layer see, down and to the right."""

    rows: Window
    columns: Window

    def box(self, row: int, column: int, size: int) -> Box:
        """What a position sees of a square image."""
        top, bottom = self.rows.seen(row, size)
        left, right = self.columns.seen(column, size)
        return Box(top, left, bottom, right)

    def enough(self, size: int) -> tuple[int, int]:
        """Height and width of the parts of a square image, one of which fits any position."""
        return self.rows.enough(size), self.columns.enough(size)

    def corner(self, row: int, column: int, size: int) -> tuple[int, int]:
        """The top and the left of the part that fits a position."""
        return self.rows.start(row, size), self.columns.start(column, size)


def receptive_field(forward_graph: onnx.ModelProto, layer: str) -> ReceptiveField | None:
    """The receptive field of a layer; None where a position may see the whole image.

    That is so behind a global pooling or a fully connected layer, and whatever operator is not
    known here is taken for one of that kind.

    Args:
        forward_graph: As the exporter writes it, with the layer among its outputs.
        layer: Its name.
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
    """Note what is seen of a node's inputs, beside what is seen of them on other ways."""
    before = None if field is None else _before(node, field)
    for value in node.inputs:
        if value is not None:
            seen[value] = _joined(seen[value], before) if value in seen else before


def _before(node: ir.Node, field: ReceptiveField) -> ReceptiveField | None:
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
    beside_each_other = node.op_type == "Concat" and node.attributes["axis"].as_int() != 1
    return field if node.op_type in POINTWISE and not beside_each_other else None


def _joined(one: ReceptiveField | None, other: ReceptiveField | None) -> ReceptiveField | None:
    if one is None or other is None:
        return None
    rows, columns = one.rows.joined(other.rows), one.columns.joined(other.columns)
    return None if rows is None or columns is None else ReceptiveField(rows, columns)
