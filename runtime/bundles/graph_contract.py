"""Checks that a bundle's graph keeps the contract of docs/bundles.md, before linking uses it.

A bundle may come from a stranger. Without this check, a graph that breaks the contract would fail
somewhere inside a library, once for every photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nstbatch.runtime.errors import BundleError
from nstbatch.runtime.names import COTANGENT, GRADIENT, IMAGE

from .manifest import GraphKind

if TYPE_CHECKING:
    import onnx


def check_graph(model: onnx.ModelProto, kind: GraphKind, layers: Sequence[str], opset: int) -> None:
    """Refuse a graph that does not match its name and the manifest.

    Args:
        model: The graph.
        kind: The kind of graph that its file name promises.
        layers: Names of the bundle's layers.
        opset: The version of ONNX's operators that the manifest gives.

    Raises:
        BundleError: It has other inputs, outputs or operators, or reads a value that no node
            computes.
    """
    is_forward = kind == "forward"
    inputs = [IMAGE] if is_forward else [IMAGE, *(COTANGENT + layer for layer in layers)]
    outputs = list(layers) if is_forward else [*layers, GRADIENT]
    for role, values, wanted in (
        ("inputs", model.graph.input, inputs),
        ("outputs", model.graph.output, outputs),
    ):
        names = [value.name for value in values]
        if names != wanted:
            raise BundleError(
                f"Its {role} should be {_shown(wanted)}, but are {_shown(names) or 'none'}."
            )
    _check_operators(model, opset)
    _check_names(model.graph)


def _shown(names: Sequence[str]) -> str:
    """The first names, and the number of the others."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _check_operators(model: onnx.ModelProto, opset: int) -> None:
    import onnx

    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions != {"": opset}:
        raise BundleError(f"Its operator sets should be ONNX's in version {opset}, not {versions}.")
    for operator in sorted({node.op_type for node in model.graph.node}):
        try:
            onnx.defs.get_schema(operator, opset)
        except onnx.defs.SchemaError as error:
            raise BundleError(f"ONNX {opset} has no operator {operator!r}.") from error
    if any(
        attribute.HasField("g") or attribute.graphs
        for node in model.graph.node
        for attribute in node.attribute
    ):
        raise BundleError("It has graphs within nodes, such as a Loop's body; none are allowed.")


def _check_names(graph: onnx.GraphProto) -> None:
    # An omitted optional input has the name "".
    known = {value.name for value in (*graph.input, *graph.initializer)} | {""}
    for node in graph.node:
        missing = [name for name in node.input if name not in known]
        if missing:
            raise BundleError(f"A {node.op_type} reads {missing[0]!r}, which no node computes.")
        known.update(node.output)
    lacking = [value.name for value in graph.output if value.name not in known]
    if lacking:
        raise BundleError(f"No node computes its output {lacking[0]!r}.")
