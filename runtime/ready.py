"""Graphs that are ready to run: linked, at one size, and where that is possible optimised.

Linking takes the imports of onnx, onnx_ir and onnxscript, and ONNX Runtime folds, transposes and
lays out the same weights anew for every session: together most of the time until the first step.
So what comes out of it is kept in the :mod:`.cache`: for the processor the model as ONNX Runtime
has optimised it, with its weights as blobs that are mapped into memory and shared by all sessions
of all processes; for other providers the linked graph, which reads the weights of its bundle.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from .cache import Cache, current_cache
from .cache_key import cache_key
from .files import temporary_name
from .providers import Provider

if TYPE_CHECKING:
    import onnx

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
        parts: All that shapes it, but the shapes of its inputs; see :func:`.cache_key.cache_key`.
        make: Makes it.
    """

    parts: tuple[Any, ...]
    make: Callable[[], onnx.ModelProto]


@dataclass(frozen=True)
class _Model:
    """A model as ONNX Runtime is to get it: its bytes, and the folder that its weights lie in."""

    data: bytes
    folder: Path | None
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
            weights_folder: Where its external data lies.
        """
        self._graph, self._shapes, self._weights_folder = graph, shapes, weights_folder
        self._provider = provider
        self._shelf = _Shelf.of(graph, shapes, provider)
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
        self._shelf.write(self._model.data)
        return self._model.open(options)

    def _make(self) -> _Model:
        from .gram_products import with_positions_first
        from .specialise import specialise
        from .step_functions import with_comparisons
        from .transposed_padding import with_padded_outputs
        from .winograd import with_fewer_products

        model = self._graph.make() if isinstance(self._graph, Recipe) else self._graph
        model = specialise(model, self._shapes)
        # Others choose among algorithms by themselves; in half precision the products would round.
        if self._provider.device == "cpu" and self._provider.precision == "fp32":
            model = with_fewer_products(model)
        if self._provider.device == "openvino":
            model = with_positions_first(with_padded_outputs(with_comparisons(model)))
        return _Model(model.SerializeToString(), self._weights_folder)


@dataclass(frozen=True)
class _Shelf:
    """Where one graph lies in the cache: an entry, of the names of its blobs and the model."""

    cache: Cache
    key: str

    @classmethod
    def of(
        cls,
        graph: onnx.ModelProto | Recipe,
        shapes: Mapping[str, tuple[int, ...]],
        provider: Provider,
    ) -> _Shelf | None:
        """The place of a graph, if it has one."""
        cache = current_cache()
        if cache is None or not isinstance(graph, Recipe):
            return None
        key = cache_key("graph", graph.parts, list(shapes.items()), provider)
        return None if key is None else cls(cache, key)

    def read(self, weights_folder: Path | None) -> _Model | None:
        """The model, if all of it is there; one without blobs reads the weights of its bundle."""
        data = self.cache.read(self.key)
        if data is None:
            return None
        blobs, _, model = data.partition(b"\n")
        try:
            names = json.loads(blobs)
        except ValueError:  # written by something else
            return None
        if names is None:
            return _Model(model, weights_folder)
        if not all(self.cache.has_blob(name) for name in names):
            return None
        return _Model(model, self.cache.folder, is_optimised=True)

    def write(self, model: bytes, blobs: Sequence[str] | None = None) -> None:
        """Keep a model, and which blobs it is optimised with."""
        self.cache.write(self.key, json.dumps(blobs).encode() + b"\n" + model)

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
            self._try_to_keep(optimised, weights)
            return session
        finally:
            for path in (optimised, weights):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _try_to_keep(self, optimised: Path, weights: Path) -> None:
        try:
            self._keep(optimised, weights)
        except Exception:  # an OSError, or protobuf's: what ONNX Runtime wrote on a full disk
            log.info("A graph could not be kept in the cache.", exc_info=True)

    def _keep(self, optimised: Path, weights: Path) -> None:
        import onnx

        model = onnx.load_model(optimised, load_external_data=False)
        tensors = [tensor for tensor in model.graph.initializer if tensor.external_data]
        data = weights.read_bytes() if tensors else b""
        blobs = []
        for tensor in tensors:
            place = {entry.key: entry.value for entry in tensor.external_data}
            start, length = int(place["offset"]), int(place["length"])
            blobs.append(self.cache.write_blob(data[start : start + length]))
            del tensor.external_data[:]
            for key, value in (("location", blobs[-1]), ("offset", "0"), ("length", str(length))):
                tensor.external_data.add(key=key, value=value)
        self.write(model.SerializeToString(), blobs)
