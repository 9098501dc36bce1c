"""Linking: an open gradient graph and an objective become the step graph.

The gradient graph's activations come out of its first half and its cotangents go into the second.
Each term is put between the two: it takes a layer's activation and gives its loss and cotangent.
A layer without a term has a cotangent of zero, and zeros are followed through the graph until they
meet something that is not, so an absent layer costs nothing and all that lies deeper than the
deepest layer in use disappears. Views, if there are any, are put between the image and the network,
and the gradient goes back through them.

========================= ============ =======================================================
step graph                shape        meaning
========================= ============ =======================================================
input image               (N, 3, H, W) the pictures, RGB in [0, 1]
input target/<term>       by the term  what the reference picture left behind
input weight/<term>       (N,)         the weight of the term for every picture
input view/<view>/<input> by the view  how the network sees the pictures
output losses             (N, T)       the weighted loss of every picture and term, in order
output gradient           (N, 3, H, W) d(sum of losses)/d(image)
========================= ============ =======================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from nstbatch.runtime.names import COTANGENT, GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.formula import Formula
from nstbatch.runtime.objectives.terms import Term
from nstbatch.runtime.objectives.views import View

from .zero_cotangents import propagate_zeros


def link(
    gradient_graph: onnx.ModelProto,
    terms: Sequence[Term],
    pictures: int = 1,
    views: Sequence[View] = (),
) -> onnx.ModelProto:
    """Gradient graph and terms -> step graph, for batches of ``pictures`` pictures.

    Args:
        gradient_graph: As the exporter writes it, with every layer that a term names among its
            outputs. It is left as it is.
        terms: One or more, of different names.
        pictures: N.
        views: What lies between the image and the network, in the order of the way there.

    Raises:
        KeyError: A term names a layer that the graph has no output for.
    """
    editor = _Editor(gradient_graph)
    way = editor.add_views(views)
    losses, cotangents = [], dict[str | None, list[ir.Value]]()
    for term in terms:
        activation = editor.values[term.layer or IMAGE]
        loss, cotangent = editor.add_loss(term, activation, pictures)
        losses.append(editor.add("Unsqueeze", loss, editor.constant([1])))
        cotangents.setdefault(term.layer, []).append(cotangent)

    parts = cotangents.pop(None, [])
    for layer, summands in cotangents.items():
        editor.values[f"{COTANGENT}{layer}"].replace_all_uses_with(editor.add_sum(summands))
    unused = [value for name, value in editor.values.items() if name.startswith(COTANGENT)]
    zeros = propagate_zeros(editor.graph, [value for value in unused if value.uses()])
    for value in unused:  # what still reads it wants zeros of the shape of its activation
        activation = editor.values[str(value.name).removeprefix(COTANGENT)]
        value.replace_all_uses_with(editor.zeros_like(activation))
    gradient = editor.graph.outputs[-1]
    if gradient not in zeros:
        parts.append(gradient)
    outputs = {
        LOSSES: editor.add("Concat", *losses, axis=1),
        GRADIENT: editor.pull_back(editor.add_sum(parts), way),
    }
    return editor.finish(outputs)


def link_targets(forward_graph: onnx.ModelProto, terms: Sequence[Term]) -> onnx.ModelProto:
    """Forward graph and terms -> a graph from a reference picture to every ``target/<term>``.

    Its input is ``image`` (N, 3, H, W), RGB in [0, 1]; terms without a target are left out.

    Raises:
        KeyError: A term names a layer that the graph has no output for.
    """
    editor = _Editor(forward_graph)
    return editor.finish(
        {
            TARGET + term.name: editor.call(term.target, editor.values[term.layer])[0]
            for term in terms
            if term.target is not None and term.layer is not None
        }
    )


@dataclass(frozen=True)
class _Seen:
    """A view in a graph: the image that it was given, and its further inputs."""

    view: View
    image: ir.Value
    inputs: Sequence[ir.Value]


class _Editor:
    """A graph under construction: a copy of an exported one, its named values, and new nodes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model: ir.Model = ir.from_proto(model)
        self.graph = self.model.graph
        self.values = {str(value.name): value for value in self.graph.inputs}
        self.values |= {str(value.name): value for value in self.graph.outputs}

    def add(self, operator: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        """Append a node and return its first output."""
        node = ir.node(operator, inputs, attributes)
        self.graph.append(node)
        return node.outputs[0]

    def constant(self, values: list[int]) -> ir.Value:
        """A constant of int64, as axes and shapes are."""
        return self.add("Constant", value_ints=values)

    def zeros_like(self, value: ir.Value) -> ir.Value:
        """Zeros of a value's shape."""
        return self.add("ConstantOfShape", self.add("Shape", value))

    def add_sum(self, summands: Sequence[ir.Value]) -> ir.Value:
        """The sum of one or more values of one shape."""
        return summands[0] if len(summands) == 1 else self.add("Sum", *summands)

    def add_views(self, views: Sequence[View]) -> list[_Seen]:
        """Put views in front of the network; ``values[IMAGE]`` is then what it sees."""
        image = self.values[IMAGE]
        uses = list(image.uses())
        way = []
        for view in views:
            inputs = [self.add_input(name) for name in view.graph_inputs]
            way.append(_Seen(view, self.values[IMAGE], inputs))
            (self.values[IMAGE],) = self.call(
                view.see, self.values[IMAGE], *inputs, **dict(view.attributes)
            )
        for node, index in uses:
            node.replace_input_with(index, self.values[IMAGE])
        return way

    def pull_back(self, gradient: ir.Value, way: Sequence[_Seen]) -> ir.Value:
        """The gradient in what the network sees as a gradient in the image."""
        for step in reversed(way):
            (gradient,) = self.call(
                step.view.pull_back,
                step.image,
                gradient,
                *step.inputs,
                **dict(step.view.attributes),
            )
        return gradient

    def add_loss(
        self, term: Term, activation: ir.Value, pictures: int
    ) -> tuple[ir.Value, ir.Value]:
        """A term's loss (N,) and cotangent, with its target and weight as new inputs."""
        inputs = [activation]
        if term.has_target:
            inputs.append(self.add_input(TARGET + term.name))
        inputs.append(self.add_input(WEIGHT + term.name))
        attributes = dict(term.attributes)
        if "pictures" in term.loss.load().function_ir.attributes:
            attributes["pictures"] = pictures
        loss, cotangent = self.call(term.loss, *inputs, **attributes)
        return loss, cotangent

    def add_input(self, name: str) -> ir.Value:
        """A new float32 input; its shape is known when a session is opened."""
        value = ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT))
        self.graph.inputs.append(value)
        return value

    def call(self, formula: Formula, *inputs: ir.Value, **attributes: Any) -> Sequence[ir.Value]:
        """Append a call of a formula and return its outputs."""
        function = formula.load()
        proto = function.to_function_proto()
        self.model.functions.update(_functions(function))
        node = ir.node(
            proto.name, inputs, attributes, domain=proto.domain, num_outputs=len(proto.output)
        )
        self.graph.append(node)
        return node.outputs

    def finish(self, outputs: Mapping[str, ir.Value]) -> onnx.ModelProto:
        """Keep what leads to the outputs, as plain ONNX in order."""
        for value in self.graph.outputs:
            value.name = None  # a layer's name is free for what is an output now
        self.graph.outputs[:] = list(outputs.values())
        for name, value in outputs.items():
            value.name = name
        passes.InlinePass()(self.model)
        passes.NameFixPass()(self.model)
        self.graph.sort()
        passes.RemoveUnusedNodesPass()(self.model)
        for value in list(self.graph.inputs):
            if not value.uses() and str(value.name).startswith(COTANGENT):
                self.graph.inputs.remove(value)
        return ir.to_proto(self.model)


def _functions(function: Any) -> dict[ir.OperatorIdentifier, ir.Function]:
    """An onnxscript function and all that it calls."""
    called = [function.function_ir, *function.function_ir.get_called_functions().values()]
    functions = [ir.from_proto(f.to_function_proto()) for f in called]
    return {f.identifier(): f for f in functions}
