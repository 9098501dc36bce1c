"""A model and its weights in the :mod:`.cache`: reading and writing.

An entry holds the model and the names of its blobs, which are its larger weights: they are mapped
into memory, and shared by all models with the same weights.
"""

from __future__ import annotations

import json
import logging
import os
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

# ONNX Runtime looks for external data in this folder when a model comes as bytes.
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
OPTIMISED_WEIGHTS = "session.optimized_model_external_initializers_file_name"
OPTIMISED_WEIGHTS_FROM = "session.optimized_model_external_initializers_min_size_in_bytes"
# Smaller tensors stay in the model, in bytes. ONNX Runtime's own value.
SMALLEST_BLOB = 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A model in the form that ONNX Runtime opens.

    Attributes:
        data: The serialised model, without its external weights.
        folder: Folder of those weights.
        blobs: Names of the weights, if the folder is the cache.
        is_optimised: True if ONNX Runtime has optimised it.
    """

    data: bytes
    folder: Path | None
    blobs: tuple[str, ...] = ()
    is_optimised: bool = False

    def open(self, options: ort.SessionOptions) -> ort.InferenceSession:
        """Open a session of it."""
        if self.folder is not None:
            _set(options, WEIGHTS_FOLDER, str(self.folder))
        level = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            level.ORT_DISABLE_ALL if self.is_optimised else level.ORT_ENABLE_ALL
        )
        return ort.InferenceSession(self.data, options, enable_fallback=0)


def _set(options: ort.SessionOptions, key: str, value: str) -> None:
    """Set a config entry; ONNX Runtime would warn if it were already set to this value."""
    try:
        if options.get_session_config_entry(key) == value:
            return
    except RuntimeError:  # it is not set
        pass
    options.add_session_config_entry(key, value)


@dataclass(frozen=True)
class StoredGraph:
    """The place of one graph in the cache: an entry with the names of its blobs and the model."""

    cache: Cache
    key: str

    @classmethod
    def of(cls, *about: Any) -> StoredGraph | None:
        """Return the place of a model, given all it depends on; None if it cannot be cached."""
        cache, key = current_cache(), cache_key("graph", *about)
        return None if cache is None or key is None else cls(cache, key)

    def read(self, weights_folder: Path | None) -> Model | None:
        """Read the model, if it is complete; without blobs, it uses the weights of its bundle."""
        data = self.cache.read(self.key)
        if data is None:
            return None
        head, _, model = data.partition(b"\n")
        try:
            blobs, is_optimised = json.loads(head)
        except (TypeError, ValueError):  # not written by this program
            return None
        if not all(self.cache.has_blob(blob) for blob in blobs):
            return None
        folder = self.cache.folder if blobs else weights_folder
        return Model(model, folder, tuple(blobs), is_optimised)

    def write(self, model: Model) -> None:
        """Write a model whose blobs are already written."""
        head = json.dumps([model.blobs, model.is_optimised]).encode()
        self.cache.write(self.key, head + b"\n" + model.data)

    def store_folded(self, model: onnx.ModelProto, weights_folder: Path) -> Model:
        """Write a model with folded weights, and return it; the unfolded one if that fails."""
        from nstbatch.runtime.graphs.folded_weights import with_folded_weights

        self._store(with_folded_weights(model, weights_folder), is_optimised=False)
        return self.read(weights_folder) or Model(model.SerializeToString(), weights_folder)

    def open_and_store(self, model: Model, options: ort.SessionOptions) -> ort.InferenceSession:
        """Open a session of a model, and write the model as ONNX Runtime has optimised it."""
        token = secrets.token_hex(8)
        optimised = self.cache.folder / temporary_name(token)
        weights = self.cache.folder / temporary_name(f"{token}-weights")
        options.add_session_config_entry(OPTIMISED_WEIGHTS, weights.name)
        options.add_session_config_entry(OPTIMISED_WEIGHTS_FROM, str(SMALLEST_BLOB))
        try:
            self.cache.folder.mkdir(parents=True, exist_ok=True)
            # ONNX Runtime would print an error of its own.
            if not os.access(self.cache.folder, os.W_OK):
                raise PermissionError(self.cache.folder)
            options.optimized_model_filepath = str(optimised)
            session = model.open(options)
        except Exception:  # an OSError, or ONNX Runtime's: a full disk, a read-only folder
            options.optimized_model_filepath = ""
            return model.open(options)
        else:
            self._try_to_store(optimised)
            return session
        finally:
            for path in (optimised, weights):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _try_to_store(self, optimised: Path) -> None:
        import onnx
        import onnx_ir as ir

        try:
            self._store(ir.from_proto(onnx.load_model(optimised)), is_optimised=True)
        except Exception:  # an OSError, or protobuf's: ONNX Runtime wrote to a full disk
            log.info("A graph could not be stored in the cache.", exc_info=True)

    def _store(self, model: ir.Model, *, is_optimised: bool) -> None:
        """Write a model, its larger weights as blobs."""
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
