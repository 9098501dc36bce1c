"""Traces one network once, and fills its graphs with many sets of weights.

Tracing a network takes far longer than writing its bundle, and does not depend on the weights. So
it is traced with random weights, all different: a tensor of the graphs that equals one of them is
that parameter.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nstbatch.runtime.arrays import Array

from .export import Export, Graphs, Log, trace_graphs
from .trace import preprocessing_convolution

Content: TypeAlias = tuple[tuple[int, ...], bytes]

# Forms in which a graph may hold a parameter: as it is, or flipped, where the exporter folded a
# small filter. See LARGEST_FOLDED in .trace, and convolution_backward in .rules.
FORMS: tuple[Callable[[Array], Array], ...] = (
    lambda values: values,
    lambda values: values[..., ::-1, ::-1].swapaxes(0, 1) if values.ndim == 4 else values,
)


class Template:
    """Graphs of exports of one network with different weights; hand :meth:`graphs` to the export.

    A network is traced again each time if its graphs hold anything else that may depend on the
    weights, such as a batch norm's folded statistics.
    """

    def __init__(self) -> None:
        """Start empty: the first export does the tracing."""
        self._traced: list[tuple[str, onnx.ModelProto]] | None = None
        self._places: dict[Content, tuple[str, int]] = {}

    def graphs(self, export: Export, log: Log) -> Graphs:
        """The graphs of an export: pairs of file name and graph."""
        if self._traced is None:
            self._trace(export, log)
        state = _values(export.network)
        if not self._traced:
            return trace_graphs(export, log)
        filled = [(file, ir.from_proto(model)) for file, model in self._traced]
        for _, model in filled:
            self._fill(model, state)
        return filled

    def _trace(self, export: Export, log: Log) -> None:
        network = randomised(export.network)
        state = _values(network)
        self._places = {
            _content(form(values)): (name, number)
            for name, values in state.items()
            for number, form in reversed(list(enumerate(FORMS)))
        }
        traced = trace_graphs(replace(export, network=network), log)
        constants = _constants(export)
        known = all(
            _content(tensor.numpy()) in self._places.keys() | constants
            for _, model in traced
            for tensor in _tensors(model)
        )
        # A parameter of one element could be mistaken for any other number of the graph.
        is_fit = known and all(values.size > 1 for values in state.values())
        self._traced = [(file, ir.to_proto(model)) for file, model in traced] if is_fit else []

    def _fill(self, model: ir.Model, state: Mapping[str, Array]) -> None:
        for value in model.graph.initializers.values():
            tensor = value.const_value
            place = None if tensor is None else self._places.get(_content(tensor.numpy()))
            if place is not None:
                name, number = place
                values = np.ascontiguousarray(FORMS[number](state[name]))
                value.const_value = ir.tensor(values, name=value.name)


def randomised(network: nn.Module) -> nn.Module:
    """A copy of a network whose parameters and statistics are random, positive and different."""
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in _floats(network).values():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network


def _floats(network: nn.Module) -> dict[str, Tensor]:
    return {n: t for n, t in network.state_dict().items() if t.is_floating_point()}


def _values(network: nn.Module) -> dict[str, Array]:
    return {name: tensor.numpy() for name, tensor in _floats(network).items()}


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """All floating point tensors of a graph with more than one element."""
    tensors = [value.const_value for value in model.graph.initializers.values()]
    tensors += [
        attribute.as_tensor()
        for node in model.graph
        for attribute in node.attributes.values()
        if attribute.type == ir.AttributeType.TENSOR
    ]
    for tensor in tensors:
        if tensor is not None and tensor.dtype.is_floating_point() and tensor.size > 1:
            yield tensor


def _constants(export: Export) -> set[Content]:
    """Constants of the graphs beside the weights: preprocessing, forward and backward."""
    convolution = preprocessing_convolution(export.preprocessing)
    tensors = [tensor.numpy() for tensor in convolution.state_dict().values()]
    return {_content(form(values)) for values in tensors for form in FORMS}


def _content(array: NDArray[np.generic]) -> Content:
    return array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
