"""Half precision: makes the network of a gradient graph compute in float16, all else in float32.

The pass works on a graph as the exporter writes it, before an objective is linked to it. Layers and
gradient are output in float32 and cotangents are taken in float32, so the objective, the views and
the updates never see a float16 value. The two convolutions of the preprocessing, on the image and
before the gradient, stay in float32 as well.

Float16 ends at 65504 and has no number between 0 and 6e-8, so the values of both passes through
the network are scaled:

* Forward: a network of convolutions, ReLUs and poolings is positively homogeneous once its biases
  are scaled as well: f(s x; s b) = s f(x; b). So all activations are multiplied by ``scale``, one
  number for the whole network (:mod:`nstbatch.runtime.engine.activation_scale`), and each layer is
  divided by it before it is output.
* Backward: the pass is linear in the cotangents. In every step the graph multiplies the cotangents
  of each picture by the factor that makes the largest of them :data:`LARGEST_COTANGENT`, and
  divides the gradient by the same factor. So each picture of a batch behaves as if it were alone.
  On a GPU, :mod:`.half_style_products` replaces the largest cotangents of style losses by a bound.

docs/decisions/0014-half-precision.md has the numbers. **Tested through casts on a processor, not
on a GPU yet.**
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.graphs.relu_steps import is_step
from nstbatch.runtime.names import COTANGENT, GRADIENT

# In the backward pass cotangents were seen to grow 113-fold (decision 0014). This value leaves room
# for growth by 8188, and for values 2^17 times smaller before a float16 loses digits. Gradients
# were the same with any value from 1/8 to 256.
LARGEST_COTANGENT = 2.0**3
# Replaces a largest cotangent of zero, so that a division by it stays finite.
TINY = 1e-30

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# f(k x, k y, ...) = k f(x, y, ...) for every k > 0.
HOMOGENEOUS = frozenset(
    {
        "Add", "AveragePool", "Clip", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather",
        "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "Max", "MaxPool", "Min",
        "Neg", "Pad", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Slice",
        "SpaceToDepth", "Squeeze", "Sub", "Sum", "Transpose", "Unsqueeze", "Where",
    }
)  # fmt: skip
# f(k x, k y) = f(x, y) for every k > 0.
COMPARISONS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sign"})
LOGICAL = frozenset({"And", "Not", "Or", "Xor"})
FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16})
ASKS_FOR_SHAPE = frozenset({"Shape", "Size"})


class Scaled(Enum):
    """The factor that a float16 value is scaled by."""

    BY_NOTHING = "nothing"  # masks and other values that do not depend on the scale of their input
    AS_ACTIVATIONS = "the scale of the activations"
    AS_COTANGENTS = "the scale of its picture's cotangents"


def half_precision(
    gradient_graph: onnx.ModelProto, layers: Collection[str], scale: float = 1.0
) -> onnx.ModelProto:
    """Gradient graph in float32 -> the same graph, computing its network in float16.

    Args:
        gradient_graph: As the exporter writes it; it is not changed. Deconv and guided graphs are
            accepted as well.
        layers: Layers whose cotangents are not zero. Without any, the network computes nothing and
            the graph is returned unconverted.
        scale: Factor of the activations.

    Returns:
        A graph with the same inputs and outputs, all of them float32.

    Raises:
        UsageError: The network has an operator between its convolutions that is not positively
            homogeneous, such as a sigmoid.
    """
    model = ir.from_proto(gradient_graph)
    passes.ShapeInferencePass()(model)  # for the types
    _Halver(model.graph, scale).run({COTANGENT + layer for layer in layers})
    passes.RemoveUnusedNodesPass()(model)
    return ir.to_proto(model)


class _Halver:
    """Converts one graph to float16 and keeps track of the type and scale of its values."""

    def __init__(self, graph: ir.Graph, scale: float) -> None:
        self.graph, self.scale = graph, scale
        self.nodes = list(graph)
        self.varying = reached_from(graph.inputs, self.nodes)
        self.scaled: dict[ir.Value, Scaled] = {}  # has every varying value in float16
        self.halves: dict[tuple[ir.Value, float], ir.Value] = {}
        self.fulls: dict[ir.Value, ir.Value] = {}

    def run(self, used: Collection[str]) -> None:
        """Convert the graph; ``used`` names the cotangents that are not zero."""
        cotangents = [value for value in self.graph.inputs if _is_cotangent(value)]
        if not any(value.name in used for value in cotangents):
            return
        inside = self._inside(cotangents)
        self._scale_cotangents(cotangents, used)
        for node in self.nodes:
            if node in inside:
                self._convert(node)
            elif node.op_type not in ASKS_FOR_SHAPE:
                self._keep(node)
        self._put_out()
        self.graph.sort()

    def _inside(self, cotangents: Iterable[ir.Value]) -> set[ir.Node]:
        """The nodes to convert: products, and nodes between two of them or a cotangent and one."""
        products = [
            node
            for node in self.nodes
            if node.op_type in PRODUCTS
            and not self.varying.isdisjoint(node.inputs)
            and not _is_preprocessing(node)
        ]
        made = [value for node in products for value in node.outputs]
        after = reached_from([*made, *cotangents], self.nodes)
        inside: set[ir.Node] = set(products)
        for node in reversed(self.nodes):
            readers = {user for value in node.outputs for user, _ in value.uses()}
            if not (after.isdisjoint(node.outputs) or inside.isdisjoint(readers)):
                inside.add(node)
        return inside

    # --- Nodes ------------------------------------------------------------------------------------

    def _convert(self, node: ir.Node) -> None:
        """Make a node compute in float16."""
        if node.op_type in LOGICAL:
            return
        if node.op_type == "Cast":  # its input is a mask
            node.attributes["to"] = ir.AttrInt64("to", int(ir.DataType.FLOAT16))
            self._now_half(node.outputs, Scaled.BY_NOTHING)
            return
        if is_step(node):
            node = self._as_sign(node)
        inputs = [
            (index, value)
            for index, value in enumerate(node.inputs)
            if value is not None and value.dtype in FLOATS
        ]
        if node.op_type == "Resize":  # its scales are always float32
            inputs = inputs[:1]
        kind = self._kind(node, [value for _, value in inputs])
        for index, value in inputs:
            is_factor = node.op_type in (*PRODUCTS, "Mul", "Div") and index < 2
            node.replace_input_with(
                index, self._to_half(value, Scaled.BY_NOTHING if is_factor else kind)
            )
        if node.op_type == "Sign" or node.op_type not in COMPARISONS:
            is_mask = node.op_type == "Sign"
            self._now_half(node.outputs, Scaled.BY_NOTHING if is_mask else kind)

    def _kind(self, node: ir.Node, values: Sequence[ir.Value]) -> Scaled:
        """The scale of a node's inputs: the same for all, or that of the one scaled factor."""
        operator, varies = node.op_type, [value in self.varying for value in values]
        kinds = [self._kind_of(value) for value in values if value in self.varying]
        scales = [kind for kind in kinds if kind is not Scaled.BY_NOTHING]
        if (
            (operator in HOMOGENEOUS | COMPARISONS and len(set(kinds)) == 1)
            or (operator in PRODUCTS | {"Mul"} and len(scales) <= 1 and not any(varies[2:]))
            or (operator == "Div" and not varies[1])
        ):
            return scales[0] if scales else Scaled.BY_NOTHING
        raise UsageError(
            f"This network cannot compute in fp16: {operator} lies between its convolutions and "
            "does not scale with its input. Use fp32."
        )

    def _kind_of(self, value: ir.Value) -> Scaled:
        # A value that is not in float16 yet is a cotangent, or is computed from the image.
        if _is_cotangent(value):
            return Scaled.AS_COTANGENTS
        return self.scaled.get(value, Scaled.AS_ACTIVATIONS)

    def _as_sign(self, node: ir.Node) -> ir.Node:
        """Replace the step function, 0 up to zero and 1 above it, with Sign(Relu(x))."""
        value = node.inputs[0]
        assert value is not None
        maker = value.producer()
        if maker is None or maker.op_type != "Relu":
            value = self._add("Relu", self._to_half(value, Scaled.BY_NOTHING))
            self._now_half([value], Scaled.AS_ACTIVATIONS)
        sign = self._add("Sign", value)
        node.outputs[0].replace_all_uses_with(sign)
        made = sign.producer()
        assert made is not None
        return made

    def _now_half(self, values: Iterable[ir.Value], kind: Scaled) -> None:
        for value in values:
            value.dtype = ir.DataType.FLOAT16
            self.scaled[value] = kind
            self.varying.add(value)

    def _keep(self, node: ir.Node) -> None:
        """Give a node that stays in float32 its inputs in float32."""
        for index, value in enumerate(node.inputs):
            if value in self.scaled:
                node.replace_input_with(index, self._to_full(value))

    def _put_out(self) -> None:
        """Cast the outputs to float32 and keep their names."""
        for index, value in enumerate(self.graph.outputs):
            if value in self.scaled:
                full, name = self._to_full(value), value.name
                value.name, full.name = f"{name}/half", name
                full.shape = value.shape
                self.graph.outputs[index] = full

    # --- Values -----------------------------------------------------------------------------------

    def _to_half(self, value: ir.Value, kind: Scaled) -> ir.Value:
        """A value in float16; a constant gets the scale of the node's other inputs."""
        if value in self.scaled:
            return value
        factor = self.scale
        if value not in self.varying:
            if kind is Scaled.AS_COTANGENTS and not _is_zero(value):
                raise UsageError(
                    "This network cannot compute in fp16: its gradient has a bias. Use fp32."
                )
            factor = self.scale if kind is Scaled.AS_ACTIVATIONS else 1.0
        if (value, factor) not in self.halves:
            self.halves[value, factor] = self._halved(value, factor)
        return self.halves[value, factor]

    def _halved(self, value: ir.Value, factor: float) -> ir.Value:
        number = ir.convenience.get_const_tensor(value)
        if number is not None and number.size == 1:  # so that linking still recognises a zero
            return self._constant(np.asarray(factor * number.numpy(), np.float16))
        maker = value.producer()
        if factor == 1 and maker is not None and maker.op_type == "Cast":
            source = maker.inputs[0]
            if source is not None and source.dtype is ir.DataType.FLOAT16:  # a bundle's weight
                return source
        half = self._cast(self._times(value, factor), ir.DataType.FLOAT16)
        if value in self.varying:
            self._now_half([half], Scaled.AS_ACTIVATIONS)
        return half

    def _to_full(self, value: ir.Value) -> ir.Value:
        """A value in float32 and without its scale."""
        if value not in self.fulls:
            full = self._cast(value, ir.DataType.FLOAT)
            if self.scaled[value] is Scaled.AS_ACTIVATIONS:
                full = self._times(full, 1 / self.scale)
            elif self.scaled[value] is Scaled.AS_COTANGENTS:
                full = self._add("Mul", full, self._column(self.down, 4))
            full.dtype = ir.DataType.FLOAT
            self.fulls[value] = full
        return self.fulls[value]

    def _scale_cotangents(self, cotangents: Iterable[ir.Value], used: Collection[str]) -> None:
        """Cast the cotangents to float16, those of each picture multiplied by one factor."""
        maxima = [self._largest(value) for value in cotangents if value.name in used]
        largest = self._add("Max", *maxima, self._constant(np.asarray(TINY, np.float32)))
        aim = self._constant(np.asarray(LARGEST_COTANGENT, np.float32))
        up, self.down = self._add("Div", aim, largest), self._add("Div", largest, aim)
        for value in cotangents:
            scaled = self._add("Mul", value, self._column(up, _rank(value)))
            half = self._cast(scaled, ir.DataType.FLOAT16)
            self._now_half([half], Scaled.AS_COTANGENTS)
            self.halves[value, self.scale] = half

    def _largest(self, value: ir.Value) -> ir.Value:
        """The largest absolute value of each picture, (N,)."""
        axes = self._constant(np.arange(1, _rank(value)))
        return self._add("ReduceMax", self._add("Abs", value), axes, keepdims=0)

    def _column(self, per_picture: ir.Value, rank: int) -> ir.Value:
        """(N,) -> (N, 1, ...)."""
        return self._add("Unsqueeze", per_picture, self._constant(np.arange(1, rank)))

    def _times(self, value: ir.Value, factor: float) -> ir.Value:
        if factor == 1:
            return value
        return self._add("Mul", value, self._constant(np.asarray(factor, np.float32)))

    def _cast(self, value: ir.Value, to: ir.DataType) -> ir.Value:
        cast = self._add("Cast", value, to=int(to))
        cast.dtype = to
        return cast

    def _constant(self, array: np.ndarray[Any, Any]) -> ir.Value:
        name = f"half/constant_{len(self.graph.initializers)}"
        value = ir.Value(
            name=name,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
            const_value=ir.tensor(array, name=name),
        )
        self.graph.register_initializer(value)
        return value

    def _add(self, operator: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        """Append a node and return its output; the graph is sorted at the end."""
        node = ir.node(operator, inputs, attributes)
        self.graph.append(node)
        return node.outputs[0]


def reached_from(values: Iterable[ir.Value], nodes: Iterable[ir.Node]) -> set[ir.Value]:
    """The values and everything that is computed from them; shapes do not count."""
    reached = set(values)
    for node in nodes:
        if node.op_type not in ASKS_FOR_SHAPE and not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
    return reached


def _is_cotangent(value: ir.Value) -> bool:
    return str(value.name).startswith(COTANGENT)


def _is_preprocessing(node: ir.Node) -> bool:
    """True if a product reads the image itself, or computes the gradient in it."""
    value, made = node.inputs[0], node.outputs[0]
    reads_image = value is not None and value.is_graph_input() and not _is_cotangent(value)
    return reads_image or (made.is_graph_output() and made.name == GRADIENT)


def _is_zero(value: ir.Value) -> bool:
    tensor = ir.convenience.get_const_tensor(value)
    return tensor is not None and not np.any(tensor.numpy())


def _rank(value: ir.Value) -> int:
    assert value.shape is not None
    return len(value.shape)
