"""Graphs that are ready to run: linked, at one size, and where that is possible optimised.

Linking takes the imports of onnx, onnx_ir and onnxscript, and ONNX Runtime folds, transposes and
lays out the same weights anew for every session: together most of the time until the first step.
So what comes out of it is kept in the :mod:`.cache`. What runs on a processor has its weights as
blobs there, which are mapped into memory and shared by all sessions of all processes: linked
graphs for pictures of all sizes, and those at one size, for the CPU provider as ONNX Runtime has
optimised them, for OpenVINO, which compiles by itself, as they are. For GPUs it is the graph at one
size, which reads the weights of its bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from nstbatch.runtime.devices.providers import Provider

from .stored_graph import Model, Shelf

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Recipe:
    """How to make a graph, where it does not lie in the cache.

    Attributes:
        parts: All that shapes it; see :func:`.cache_key.cache_key`.
        make: Makes it.
    """

    parts: tuple[Any, ...]
    make: Callable[[], onnx.ModelProto]


class ReadyGraph:
    """A graph at one size, from the cache if it lies there."""

    def __init__(
        self,
        graph: onnx.ModelProto | Recipe,
        shapes: Mapping[str, tuple[int, ...]],
        provider: Provider,
        weights_folder: Path | None,
    ) -> None:
        """Find a graph in the cache, or make it.

        Args:
            graph: A graph, which is not kept, or the recipe of one.
            shapes: The shape of every input, by name.
            provider: What is to run it.
            weights_folder: Where its external data lies; None if it has none.
        """
        self._graph, self._shapes, self._weights_folder = graph, shapes, weights_folder
        self._provider = provider
        self._shelf = None
        if isinstance(graph, Recipe):
            self._shelf = Shelf.of(graph.parts, list(shapes.items()), provider)
        self._kept = self._shelf.read(weights_folder) if self._shelf else None
        self._model = self._kept or self._make()

    @property
    def data(self) -> bytes:
        """The model, serialised, without its weights."""
        return self._model.data

    def open(self, options: ort.SessionOptions) -> ort.InferenceSession:
        """A session of it, which is in the cache from now on."""
        if self._kept is not None:
            try:
                return self._kept.open(options)
            except Exception:  # ONNX Runtime's share no other base; another process removed it, say
                self._model = self._make()
        if self._shelf is None:
            return self._model.open(options)
        if self._provider.device == "cpu":  # ONNX Runtime writes down what it has made of a graph
            return self._shelf.open_and_keep(self._model, options)
        self._shelf.write(self._model)
        return self._model.open(options)

    def _make(self) -> Model:
        import onnx

        from nstbatch.runtime.graphs.gram_products import with_positions_first
        from nstbatch.runtime.graphs.relu_steps import with_comparisons
        from nstbatch.runtime.graphs.specialise import specialise
        from nstbatch.runtime.graphs.transposed_padding import with_padded_outputs
        from nstbatch.runtime.graphs.winograd import with_fewer_products

        linked = self._linked()
        model = specialise(onnx.ModelProto.FromString(linked.data), self._shapes)
        # Others choose among algorithms by themselves; in half precision the products would round.
        if self._provider.device == "cpu" and self._provider.precision == "fp32":
            model = with_fewer_products(model)
        if self._provider.device == "openvino":
            model = with_positions_first(with_padded_outputs(with_comparisons(model)))
        return replace(linked, data=model.SerializeToString())

    def _linked(self) -> Model:
        """The graph for pictures of all sizes; from the cache if it has weights to fold."""
        graph, folder = self._graph, self._weights_folder
        if not isinstance(graph, Recipe):
            return Model(graph.SerializeToString(), folder)
        if folder is not None and self._provider.memory == "cpu":
            shelf = Shelf.of(graph.parts, self._provider)
            if shelf is not None:
                return shelf.read(folder) or shelf.keep_folded(graph.make(), folder)
        return Model(graph.make().SerializeToString(), folder)
