"""One model and its weights on disk: where it lies in the :mod:`.cache`, and how it gets there.

An entry holds the model and the names of its blobs, which are its larger weights: they are mapped
into memory as they lie there, and shared by all models that have the same ones.
"""

from __future__ import annotations

import json
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from nstbatch.runtime.files import temporary_name

from .cache import Cache, current_cache
from .cache_key import cache_key

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
class Model:
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
        """A session of it."""
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


@dataclass(frozen=True)
class Shelf:
    """Where one graph lies in the cache: an entry, of the names of its blobs and the model."""

    cache: Cache
    key: str

    @classmethod
    def of(cls, *about: Any) -> Shelf | None:
        """The place of a model, by all that it depends on; None if nothing can be kept of it."""
        cache, key = current_cache(), cache_key("graph", *about)
        return None if cache is None or key is None else cls(cache, key)

    def read(self, weights_folder: Path | None) -> Model | None:
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
        return Model(model, folder, tuple(blobs), is_optimised)

    def write(self, model: Model) -> None:
        """Keep a model, whose blobs are there."""
        head = json.dumps([model.blobs, model.is_optimised]).encode()
        self.cache.write(self.key, head + b"\n" + model.data)

    def keep_folded(self, model: onnx.ModelProto, weights_folder: Path) -> Model:
        """Keep a model with its weights folded, and return that; as it is if there is no room."""
        from nstbatch.runtime.graphs.folded_weights import with_folded_weights

        self._keep(with_folded_weights(model, weights_folder), is_optimised=False)
        return self.read(weights_folder) or Model(model.SerializeToString(), weights_folder)

    def open_and_keep(self, model: Model, options: ort.SessionOptions) -> ort.InferenceSession:
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
        self.write(Model(data, self.cache.folder, tuple(blobs), is_optimised))
