"""Graphs that are ready to run: linked, at one size, and optimised if possible.

Linking imports onnx, onnx_ir and onnxscript, and ONNX Runtime folds, transposes and lays out the
same weights again for every session: together most of the time until the first step. So the results
are stored in the :mod:`nstbatch.runtime.cache.cache`. For processors, these are linked graphs for
pictures of all sizes, and graphs at one size: optimised by ONNX Runtime for the CPU provider, not
optimised for OpenVINO, which compiles them itself. Their weights are blobs, which are mapped into
memory and shared by all sessions of all processes. For GPUs, it is the graph at one size, which
reads the weights of its bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from nstbatch.runtime.cache.stored_graph import Model, StoredGraph
from nstbatch.runtime.devices.providers import Provider

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Recipe:
    """A way to make a graph that is not in the cache.

    Attributes:
        parts: Everything that shapes it; see :func:`nstbatch.runtime.cache.cache_key.cache_key`.
        make: Makes it.
    """

    parts: tuple[Any, ...]
    make: Callable[[], onnx.ModelProto]


class ReadyGraph:
    """A graph at one size, from the cache if it is there."""

    def __init__(
        self,
        graph: onnx.ModelProto | Recipe,
        shapes: Mapping[str, tuple[int, ...]],
        provider: Provider,
        weights_folder: Path | None,
    ) -> None:
        """Find a graph in the cache, or make it.

        Args:
            graph: A graph, which is not cached, or the recipe of one.
            shapes: The shape of every input, by name.
            provider: Runs it.
            weights_folder: Folder of its external data; None if it has none.
        """
        self._graph = graph
        self.shapes, self.provider, self.weights_folder = shapes, provider, weights_folder
        self._stored = None
        if isinstance(graph, Recipe):
            self._stored = StoredGraph.of(graph.parts, list(shapes.items()), provider.on_any_gpu)
        self._cached = self._stored.read(weights_folder) if self._stored else None
        self._model = self._cached or self._make()

    @property
    def data(self) -> bytes:
        """The serialised model, without its weights."""
        return self._model.data

    def open(self, options: ort.SessionOptions) -> ort.InferenceSession:
        """Open a session of ONNX Runtime, and store the graph in the cache as that optimises it."""
        if self._cached is not None:
            try:
                return self._cached.open(options)
            except Exception:  # ONNX Runtime's share no other base; a file may have been removed
                self._model = self._make()
        if self._stored is not None and self.provider.device == "cpu":
            return self._stored.open_and_store(self._model, options)
        return self.stored().open(options)

    def stored(self) -> Model:
        """Return the model, and store it in the cache as it is if it is not there yet."""
        if self._cached is None and self._stored is not None:
            self._stored.write(self._model)
        return self._model

    def _make(self) -> Model:
        import onnx

        from nstbatch.runtime.gpu_graphs.gpu_rewriting import rewritten_for_gpu
        from nstbatch.runtime.graphs.gram_products import with_positions_first
        from nstbatch.runtime.graphs.relu_steps import with_comparisons
        from nstbatch.runtime.graphs.specialise import specialise
        from nstbatch.runtime.graphs.sums_by_rows import with_sums_by_rows
        from nstbatch.runtime.graphs.transposed_padding import with_padded_outputs
        from nstbatch.runtime.graphs.wide_windows import with_room_for_windows
        from nstbatch.runtime.graphs.winograd import with_fewer_products

        linked = self._linked()
        model = specialise(onnx.ModelProto.FromString(linked.data), self.shapes)
        if self.provider.device == "cpu":
            model = with_sums_by_rows(model)
        # Other providers choose algorithms themselves; in half precision the products would round.
        if self.provider.device == "cpu" and self.provider.precision == "fp32":
            model = with_fewer_products(model)
        if self.provider.device == "openvino":
            model = with_room_for_windows(with_comparisons(model))
            model = with_positions_first(with_padded_outputs(model))
        if self.provider.memory == "cuda":
            model = rewritten_for_gpu(model, self.provider.precision)
        return replace(linked, data=model.SerializeToString())

    def _linked(self) -> Model:
        """Return the graph for pictures of all sizes; from the cache if it has weights to fold."""
        graph, folder = self._graph, self.weights_folder
        if not isinstance(graph, Recipe):
            return Model(graph.SerializeToString(), folder)
        if folder is not None and self.provider.memory == "cpu":
            stored = StoredGraph.of(graph.parts, self.provider.on_any_gpu)
            if stored is not None:
                return stored.read(folder) or stored.store_folded(graph.make(), folder)
        return Model(graph.make().SerializeToString(), folder)
