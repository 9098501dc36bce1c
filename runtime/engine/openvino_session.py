"""One graph at one size on OpenVINO, and its passes over fixed buffers."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike, NDArray

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.bundles.manifest import WEIGHTS
from nstbatch.runtime.cache.stored_graph import Model
from nstbatch.runtime.devices.openvino import core, openvino, properties
from nstbatch.runtime.devices.processor import available_cores, threads_within
from nstbatch.runtime.errors import StoppedError
from nstbatch.runtime.files import temporary_name

from .passes import PassOptions
from .ready_graph import ReadyGraph
from .session import BoundPass, Buffer, values_of

# Milliseconds from one look for a stop to the next. A guess: far below the two seconds within which
# Ctrl-C should end a run, and a look takes microseconds.
_LOOK_FOR_STOP_MS = 20
# Age of a model's file in seconds from which on its process was surely killed: it is there for
# milliseconds.
_STALE_S = 3600


class OpenVinoSession:
    """A graph that OpenVINO has compiled. See :class:`.session.Session`."""

    is_captured = False

    def __init__(
        self,
        graph: ReadyGraph,
        threads: int | None = None,
        run_options: PassOptions | None = None,
    ) -> None:
        """Compile a graph; see :func:`.open_session.open_session`."""
        self._options = PassOptions() if run_options is None else run_options
        threads = threads_within(available_cores(), threads)
        self._compiled = core().compile_model(
            _read(graph.stored()), "CPU", properties(graph.provider.precision, threads)
        )
        # A port has several names where a graph passes a value on as it is.
        self._inputs = [
            next(name for name in port.names if name in graph.shapes)
            for port in self._compiled.inputs
        ]
        self.output_shapes: Shapes = {
            name: tuple(int(size) for size in port.shape)
            for port in self._compiled.outputs
            for name in port.names
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once on arrays; see :meth:`.session.Session.run`."""
        request = self._compiled.create_infer_request()
        given = {name: np.ascontiguousarray(inputs[name]) for name in self._inputs}
        for name, values in given.items():
            request.set_tensor(name, _tensor(values))
        _carry_out(request, self._options)
        return {name: np.array(request.get_tensor(name).data) for name in self.output_shapes}

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer with these values, in the memory of the processor."""
        return ort.OrtValue.ortvalue_from_numpy(scratch.copied(np.asarray(values, np.float32)))

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        request = self._compiled.create_infer_request()
        held = {name: inputs[name] for name in self._inputs} | dict(outputs)
        for name, value in held.items():
            request.set_tensor(name, _tensor(values_of(value)))
        return _Pass(request, self._options, tuple(held.values()))


class _Pass:
    """A compiled graph's run over fixed buffers."""

    def __init__(self, request: Any, options: PassOptions, held: Sequence[Buffer]) -> None:
        self._request = request
        self._options = options
        self._held = held  # OpenVINO knows only their addresses

    def __call__(self) -> None:
        """Run once; a StoppedError if it was terminated: the outputs are then undefined."""
        _carry_out(self._request, self._options)


def _carry_out(request: Any, options: PassOptions) -> None:
    """Run a request to its end, or until it is terminated, which takes effect between nodes."""
    if options.terminate:
        raise StoppedError
    request.start_async()
    is_done = False
    try:
        while not (is_done := request.wait_for(_LOOK_FOR_STOP_MS)):
            if options.terminate:
                break
    finally:  # also after Ctrl-C: no pass may go on over buffers that others will use
        if not is_done:
            _cancel(request)
    if not is_done:
        raise StoppedError


def _cancel(request: Any) -> None:
    request.cancel()
    with suppress(RuntimeError):  # OpenVINO's error for a request that was cancelled
        request.wait()


def _tensor(values: NDArray[np.float32]) -> Any:
    return openvino().Tensor(values, shared_memory=True)


# --- Reading ----------------------------------------------------------------------------------


def _read(model: Model) -> Any:
    """Read a model.

    OpenVINO takes external weights only from the folder of the model's file, and follows no links
    out of it, so the model is written beside its weights for the moment; or both go to another
    folder, if that one is read-only.
    """
    if model.folder is None:
        return core().read_model(model.data)
    _sweep(model.folder)
    name = temporary_name(f"{secrets.token_hex(8)}.onnx")
    try:
        return _read_in(model.folder, name, model.data)
    except OSError:
        with tempfile.TemporaryDirectory(prefix="nstbatch-", ignore_cleanup_errors=True) as folder:
            for weights in model.blobs or (WEIGHTS,):
                shutil.copyfile(model.folder / weights, Path(folder) / weights)
            return _read_in(Path(folder), name, model.data)


def _read_in(folder: Path, name: str, data: bytes) -> Any:
    path = folder / name
    try:
        path.write_bytes(data)
        return core().read_model(path)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove the models of processes that were killed while they read them."""
    for path in folder.glob(temporary_name("*.onnx")):
        with suppress(OSError):  # it is gone meanwhile, or belongs to somebody else
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()
