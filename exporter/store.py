"""Stores the weights once, in ``weights.safetensors``, for all graphs of a bundle.

An initialiser that equals a stored tensor becomes ONNX external data: a file, an offset and a
length. A float16 tensor gets a ``Cast`` to float32 behind it. Flips and transposes of the backward
pass stay in the graph as nodes, which the runtime folds when it loads the graph.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from safetensors.numpy import save_file

from nstbatch.runtime.bundles.bundle import WEIGHTS

# Initialisers below this size stay in the graph: preprocessing, pooling windows, scalars. A guess.
SMALLEST_SHARED_BYTES = 256


@dataclass(frozen=True)
class StoredTensor:
    """Name, shape, type and place of a tensor in the weights file; offset and length in bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: ir.DataType
    offset: int
    length: int


class WeightStore:
    """The tensors of a weights file, looked up by their float32 values."""

    def __init__(self, folder: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Write ``tensors`` (float16 or float32) to ``folder / WEIGHTS``."""
        path = folder / WEIGHTS
        save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, path)
        path.chmod(0o644)  # safetensors lets only the owner read it
        self._by_content = {
            _content(tensors[stored.name].astype(np.float32)): stored
            for stored in _read_layout(path)
        }

    def share(self, model: ir.Model) -> None:
        """Replace the graph's copies of stored tensors with references to the weights file."""
        graph = model.graph
        for name, value in list(graph.initializers.items()):
            tensor = value.const_value
            if tensor is None or tensor.nbytes < SMALLEST_SHARED_BYTES:
                continue
            stored = self._by_content.get(_content(tensor.numpy()))
            if stored is not None:
                del graph.initializers[name]
                value.replace_all_uses_with(_external(graph, stored))


def _external(graph: ir.Graph, stored: StoredTensor) -> ir.Value:
    """The stored tensor as a float32 value of the graph; made once, then found again."""
    float32_name = f"{stored.name}/float32"
    if stored.name in graph.initializers:
        value = graph.initializers[stored.name]
        casts = [node for node in value.consumers() if node.outputs[0].name == float32_name]
        return casts[0].outputs[0] if casts else value
    tensor = ir.ExternalTensor(
        WEIGHTS,
        stored.offset,
        stored.length,
        stored.dtype,
        shape=ir.Shape(stored.shape),
        name=stored.name,
    )
    value = ir.Value(
        name=stored.name,
        shape=ir.Shape(stored.shape),
        type=ir.TensorType(stored.dtype),
        const_value=tensor,
    )
    graph.register_initializer(value)
    if stored.dtype == ir.DataType.FLOAT:
        return value
    cast = ir.node("Cast", [value], {"to": ir.DataType.FLOAT})
    cast.outputs[0].name = float32_name
    cast.outputs[0].shape = value.shape
    cast.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph.insert_before(graph[0], cast)
    return cast.outputs[0]


def _content(array: NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return array.shape, hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()


def _read_layout(path: Path) -> list[StoredTensor]:
    """Read a safetensors header: 8 bytes of length, then JSON, then the tensors."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    types = {"F16": ir.DataType.FLOAT16, "F32": ir.DataType.FLOAT}
    return [
        StoredTensor(
            name=name,
            shape=tuple(entry["shape"]),
            dtype=types[entry["dtype"]],
            offset=8 + size + entry["data_offsets"][0],
            length=entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    ]
