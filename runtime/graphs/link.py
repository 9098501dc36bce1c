"""Linking joins an open gradient graph and an objective to the step graph.

The first half of the gradient graph outputs the activations; its second half takes the cotangents.
Linking puts each term between the two: the term takes a layer's activation, or those of several
layers joined to one, and returns its loss and a cotangent for each of them. A layer without a term
has a cotangent of zero. Zeros are propagated until they are added to something else, so an unused
layer costs nothing, and everything deeper than the deepest layer in use disappears. Views, if any,
are put between the image and the network, and the gradient goes back through them. A view that
shows K pictures for one gives K rows of losses.

========================= ============ =======================================================
step graph                shape        meaning
========================= ============ =======================================================
input image               (N, 3, H, W) the pictures, RGB in [0, 1]
input target/<term>       by the term  what the term computed from the reference picture
input weight/<term>       (N,)         the weight of the term for every picture
input guide/<term>        (N, 1, h, w) of a guided term: what its activation is multiplied by
input view/<view>/<input> by the view  parameters of the view, such as the shift of a jitter
output losses             (N, T)       the weighted loss of every picture and term, in their order
output gradient           (N, 3, H, W) d(sum of losses)/d(image)
output slopes             (N, 1, H, W) of a watched view: sum over colours of |d(losses)/d(seen)|
========================= ============ =======================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.names import (
    COTANGENT,
    GRADIENT,
    GUIDE,
    IMAGE,
    LOSSES,
    SLOPES,
    TARGET,
    WEIGHT,
)
from nstbatch.runtime.objectives.joint import Joint
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
            outputs. It is not changed.
        terms: One or more, of different names.
        pictures: N.
        views: The maps between the image and the network, in order from the image on.

    Raises:
        KeyError: A term names a layer that is not an output of the graph.
    """
    editor = Editor(gradient_graph)
    steps = editor.add_views(views)
    losses, cotangents = [], dict[str | None, list[ir.Value]]()
    for term in terms:
        loss, *pulls = editor.add_loss(term, pictures)
        losses.append(editor.add("Unsqueeze", loss, editor.constant([1])))
        for layer, cotangent in zip(term.layers or (None,), pulls, strict=True):
            cotangents.setdefault(layer, []).append(cotangent)

    gradient = editor.add_gradient(cotangents)
    gradient, slopes = editor.pull_back(gradient, steps)
    outputs = {LOSSES: editor.add("Concat", *losses, axis=1), GRADIENT: gradient}
    return editor.finish(outputs | slopes)


def link_targets(forward_graph: onnx.ModelProto, terms: Sequence[Term]) -> onnx.ModelProto:
    """Forward graph and terms -> a graph from a reference picture to every ``target/<term>``.

    Its inputs are ``image`` (N, 3, H, W), RGB in [0, 1], and ``guide/<term>`` for each guided term;
    terms without a target are left out.

    Raises:
        KeyError: A term names a layer that is not an output of the graph.
    """
    editor = Editor(forward_graph)
    return editor.finish(
        {
            TARGET + term.name: editor.add_target(term, term.target)
            for term in terms
            if term.target is not None and term.layers
        }
    )


@dataclass(frozen=True)
class _LinkedView:
    """A view that was added to a graph, its input image and its further inputs."""

    view: View
    image: ir.Value
    inputs: Sequence[ir.Value]


class Editor:
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
        """An int64 constant, the type of axes and shapes."""
        return self.add("Constant", value_ints=values)

    def zeros_like(self, value: ir.Value) -> ir.Value:
        """Zeros of the same shape as a value."""
        return self.add("ConstantOfShape", self.add("Shape", value))

    def add_sum(self, summands: Sequence[ir.Value]) -> ir.Value:
        """The sum of one or more values of one shape."""
        return summands[0] if len(summands) == 1 else self.add("Sum", *summands)

    def add_views(self, views: Sequence[View]) -> list[_LinkedView]:
        """Put views in front of the network; ``values[IMAGE]`` is then the network's input."""
        image = self.values[IMAGE]
        uses = list(image.uses())
        steps = []
        for view in views:
            inputs = [self.add_input(name) for name in view.graph_inputs]
            steps.append(_LinkedView(view, self.values[IMAGE], inputs))
            (self.values[IMAGE],) = self.call(
                view.see, self.values[IMAGE], *inputs, **dict(view.attributes)
            )
        for node, index in uses:
            node.replace_input_with(index, self.values[IMAGE])
        return steps

    def pull_back(
        self, gradient: ir.Value, steps: Sequence[_LinkedView]
    ) -> tuple[ir.Value, dict[str, ir.Value]]:
        """Turn the gradient in the network's input into the gradient in the image.

        Returns:
            The gradient, and the output of a watched view by its name.
        """
        slopes = {}
        for step in reversed(steps):
            if step.view.watched:
                sizes, colours = self.add("Abs", gradient), self.constant([1])
                slopes[SLOPES] = self.add("ReduceSum", sizes, colours, keepdims=1)
            (gradient,) = self.call(
                step.view.pull_back,
                step.image,
                gradient,
                *step.inputs,
                **dict(step.view.attributes),
            )
        return gradient, slopes

    def add_gradient(self, cotangents: dict[str | None, list[ir.Value]]) -> ir.Value:
        """Return the sum of the gradients in the network's input.

        Args:
            cotangents: The cotangents of each layer, and under None parts of the gradient itself.
        """
        parts = cotangents.pop(None, [])
        for layer, summands in cotangents.items():
            self.values[f"{COTANGENT}{layer}"].replace_all_uses_with(self.add_sum(summands))
        unused = [value for name, value in self.values.items() if name.startswith(COTANGENT)]
        zeros = propagate_zeros(self.graph, [value for value in unused if value.uses()])
        for value in unused:  # its remaining readers get zeros of the activation's shape
            activation = self.values[str(value.name).removeprefix(COTANGENT)]
            value.replace_all_uses_with(self.zeros_like(activation))
        gradient = self.graph.outputs[-1]
        if gradient not in zeros:
            parts.append(gradient)
        return self.add_sum(parts)

    def add_seen(self, term: Term) -> tuple[ir.Value, Sequence[ir.Value]]:
        """Return the activation that a term takes, or the image; and the parts that it joins."""
        if term.joint is None:
            return self.values[term.layer or IMAGE], ()
        image = self.values[IMAGE]
        parts = [
            self.call(term.joint.see, self.values[layer], image)[0] for layer in term.joint.layers
        ]
        return self.add("Concat", *parts, axis=1), parts

    def add_guide(self, term: Term, activation: ir.Value) -> tuple[ir.Value, ir.Value | None]:
        """Return an activation multiplied by the guide of its term, and the guide; None without."""
        if not term.guided:
            return activation, None
        guide = self.add_input(GUIDE + term.name)
        return self.add("Mul", activation, guide), guide

    def add_target(self, term: Term, target: Formula) -> ir.Value:
        """Append the target of a term, from the activation of a reference picture."""
        function = target.load().function_ir
        constants = {n: value for n, value in term.attributes if n in function.attributes}
        activation, guide = self.add_guide(term, self.add_seen(term)[0])
        return self.call(target, activation, *_taken(target, guide), **constants)[0]

    def add_loss(self, term: Term, pictures: int) -> Sequence[ir.Value]:
        """Append a term, with its target and weight as new inputs.

        Returns the loss (N,), and a cotangent for each layer of the term, or for the image.
        """
        activation, parts = self.add_seen(term)
        activation, guide = self.add_guide(term, activation)
        inputs = [activation]
        if term.has_target:
            inputs.append(self.add_input(TARGET + term.name))
        inputs.append(self.add_input(WEIGHT + term.name))
        attributes = dict(term.attributes)
        if "pictures" in term.loss.load().function_ir.attributes:
            attributes["pictures"] = pictures
        inputs += _taken(term.loss, guide)
        loss, cotangent = self.call(term.loss, *inputs, **attributes)
        if guide is not None:
            cotangent = self.add("Mul", cotangent, guide)
        if term.joint is None:
            return loss, cotangent
        return loss, *self.add_parting(term.joint, parts, cotangent)

    def add_parting(
        self, joint: Joint, parts: Sequence[ir.Value], cotangent: ir.Value
    ) -> Iterator[ir.Value]:
        """Append the way back from a joint cotangent to the layers, and yield their cotangents."""
        channels = [self.add("Shape", part, start=1, end=2) for part in parts]
        split = ir.node(
            "Split",
            [cotangent, self.add("Concat", *channels, axis=0)],
            {"axis": 1},
            num_outputs=len(parts),
        )
        self.graph.append(split)
        for layer, pull in zip(joint.layers, split.outputs, strict=True):
            activation, image = self.values[layer], self.values[IMAGE]
            yield self.call(joint.pull_back, activation, image, pull)[0]

    def add_input(self, name: str) -> ir.Value:
        """Add a float32 input; its shape is set when a session is opened."""
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
        """Set the outputs, inline all functions, sort, and remove what no output needs."""
        for value in self.graph.outputs:
            value.name = None  # frees the layers' names for the new outputs
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


def empty_editor() -> Editor:
    """Return an editor of a graph without a network."""
    empty = ir.Graph([], [], nodes=[], opset_imports={"": 20}, name="nstbatch")
    return Editor(ir.to_proto(ir.Model(empty, ir_version=10)))


def _taken(formula: Formula, guide: ir.Value | None) -> list[ir.Value]:
    """The guide, if a formula declares it: then a guided activation alone is not enough."""
    takes = any(value.name == "guide" for value in formula.load().function_ir.inputs)
    return [guide] if takes and guide is not None else []


def _functions(function: Any) -> dict[ir.OperatorIdentifier, ir.Function]:
    """An onnxscript function and every function that it calls."""
    called = [function.function_ir, *function.function_ir.get_called_functions().values()]
    functions = [ir.from_proto(f.to_function_proto()) for f in called]
    return {f.identifier(): f for f in functions}
