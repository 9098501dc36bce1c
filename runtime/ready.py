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

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from .cache import Cache, current_cache
from .cache_key import cache_key
from .files import temporary_name
from .providers import Provider

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

# ONNX Runtime resolves external data against this folder when a model comes as bytes.
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
OPTIMISED_WEIGHTS = "session.optimized_model_external_initializers_file_name"
OPTIMISED_WEIGHTS_FROM = "session.optimized_model_external_initializers_min_size_in_bytes"
# Smaller tensors stay in the model, in bytes. ONNX Runtime's own value.
SMALLEST_BLOB = 1024


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How to make a graph, where it does not lie in the cache.

    Attributes:
        parts: All that shapes it; see :func:`.cache_key.cache_key`.
        make: Makes it.
    """

    parts: tuple[Any, ...]
    make: Callable[[], onnx.ModelProto]


@dataclass(frozen=True)
class _Model:
    """A model as ONNX Runtime is to get it.

    Attributes:
        data: It, serialised, without the weights that lie beside it.
        folder: Where those lie.
        blobs: Their names, if that is the cache.
        is_optimised: Whether ONNX Runtime has optimised it.
    """

    data: bytes
    folder: Path | None
    blobs: tuple[str, ...] = ()
    is_optimised: bool = False

    def open(self, options: ort.SessionOptions) -> ort.InferenceSession:
        if self.folder is not None:
            _set(options, WEIGHTS_FOLDER, str(self.folder))
        level = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            level.ORT_DISABLE_ALL if self.is_optimised else level.ORT_ENABLE_ALL
        )
        return ort.InferenceSession(self.data, options, enable_fallback=0)


def _set(options: ort.SessionOptions, key: str, value: str) -> None:
    """Set an entry that may be there already, of which ONNX Runtime would warn."""
    try:
        if options.get_session_config_entry(key) == value:
            return
    except RuntimeError:  # it is not there
        pass
    options.add_session_config_entry(key, value)


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
        self._shelf = _Shelf.of(graph, provider, shapes)
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

    def _make(self) -> _Model:
        import onnx

        from .gram_products import with_positions_first
        from .specialise import specialise
        from .step_functions import with_comparisons
        from .transposed_padding import with_padded_outputs
        from .winograd import with_fewer_products

        linked = self._linked()
        model = specialise(onnx.ModelProto.FromString(linked.data), self._shapes)
        # Others choose among algorithms by themselves; in half precision the products would round.
        if self._provider.device == "cpu" and self._provider.precision == "fp32":
            model = with_fewer_products(model)
        if self._provider.device == "openvino":
            model = with_positions_first(with_padded_outputs(with_comparisons(model)))
        return replace(linked, data=model.SerializeToString())

    def _linked(self) -> _Model:
        """The graph for pictures of all sizes; from the cache if it has weights to fold."""
        if not isinstance(self._graph, Recipe):
            return _Model(self._graph.SerializeToString(), self._weights_folder)
        shelf = None
        if self._weights_folder is not None and self._provider.memory == "cpu":
            shelf = _Shelf.of(self._graph, self._provider)
        kept = shelf.read(self._weights_folder) if shelf else None
        if kept is not None:
            return kept
        linked = self._graph.make()
        if shelf is not None and self._weights_folder is not None:
            kept = shelf.keep_folded(linked, self._weights_folder)
        return kept or _Model(linked.SerializeToString(), self._weights_folder)


@dataclass(frozen=True)
class _Shelf:
    """Where one graph lies in the cache: an entry, of the names of its blobs and the model."""

    cache: Cache
    key: str

    @classmethod
    def of(
        cls,
        graph: onnx.ModelProto | Recipe,
        provider: Provider,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> _Shelf | None:
        """The place of a graph, if it has one: at one size, or for all."""
        cache = current_cache()
        if cache is None or not isinstance(graph, Recipe):
            return None
        size = None if shapes is None else list(shapes.items())
        key = cache_key("graph", graph.parts, size, provider)
        return None if key is None else cls(cache, key)

    def read(self, weights_folder: Path | None) -> _Model | None:
        """The model, if all of it is there; one without blobs reads the weights of its bundle."""
        data = self.cache.read(self.key)
        if data is None:
            return None
        head, _, model = data.partition(b"\n")
        try:
            blobs, is_optimised = json.loads(head)
        except (TypeError, ValueError):  # written by something else
            return None
        if not all(self.cache.has_blob(blob) for blob in blobs):
            return None
        folder = self.cache.folder if blobs else weights_folder
        return _Model(model, folder, tuple(blobs), is_optimised)

    def write(self, model: _Model) -> None:
        """Keep a model, whose blobs are there."""
        head = json.dumps([model.blobs, model.is_optimised]).encode()
        self.cache.write(self.key, head + b"\n" + model.data)

    def keep_folded(self, model: onnx.ModelProto, weights_folder: Path) -> _Model | None:
        """Keep a model with its weights folded; None if there is no room for it."""
        from .folded_weights import with_folded_weights

        self._keep(with_folded_weights(model, weights_folder), is_optimised=False)
        return self.read(weights_folder)

    def open_and_keep(self, model: _Model, options: ort.SessionOptions) -> ort.InferenceSession:
        """A session of a model; keeps what ONNX Runtime has made of it."""
        token = secrets.token_hex(8)
        optimised = self.cache.folder / temporary_name(token)
        weights = self.cache.folder / temporary_name(f"{token}-weights")
        options.add_session_config_entry(OPTIMISED_WEIGHTS, weights.name)
        options.add_session_config_entry(OPTIMISED_WEIGHTS_FROM, str(SMALLEST_BLOB))
        try:
            self.cache.folder.mkdir(parents=True, exist_ok=True)
            options.optimized_model_filepath = str(optimised)
            session = model.open(options)
        except Exception:  # an OSError, or ONNX Runtime's: a full disk, a folder for reading only
            options.optimized_model_filepath = ""
            return model.open(options)
        else:
            self._try_to_keep(optimised)
            return session
        finally:
            for path in (optimised, weights):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _try_to_keep(self, optimised: Path) -> None:
        import onnx
        import onnx_ir as ir

        try:
            self._keep(ir.from_proto(onnx.load_model(optimised)), is_optimised=True)
        except Exception:  # an OSError, or protobuf's: what ONNX Runtime wrote on a full disk
            log.info("A graph could not be kept in the cache.", exc_info=True)

    def _keep(self, model: ir.Model, *, is_optimised: bool) -> None:
        """Keep a model, its larger weights as blobs."""
        import onnx_ir as ir

        blobs = []
        for value in model.graph.initializers.values():
            tensor, name = value.const_value, value.name
            assert tensor is not None
            assert name is not None
            values = tensor.numpy()
            if tensor.nbytes >= SMALLEST_BLOB:
                blobs.append(self.cache.write_blob(values.tobytes()))
                shape = ir.Shape(values.shape)
                value.const_value = ir.ExternalTensor(
                    blobs[-1], 0, tensor.nbytes, tensor.dtype, shape=shape, name=name
                )
            elif isinstance(tensor, ir.ExternalTensor):
                value.const_value = ir.tensor(values, name=name)
        data = ir.to_proto(model).SerializeToString()
        self.write(_Model(data, self.cache.folder, tuple(blobs), is_optimised))
