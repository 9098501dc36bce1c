"""Sessions of ONNX Runtime: on the processor, CUDA and TensorRT."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.bundles.manifest import WEIGHTS
from nstbatch.runtime.devices.providers import assert_on_device, engine_key
from nstbatch.runtime.errors import StoppedError

from .cache import provider_folder
from .cuda_graphs import Captures
from .passes import PassOptions
from .ready_graph import ReadyGraph
from .session import BoundPass, Buffer

log = logging.getLogger(__name__)


class OnnxRuntimeSession:
    """A graph that ONNX Runtime has opened. See :class:`.session.Session`."""

    def __init__(
        self,
        graph: ReadyGraph,
        threads: int | None = None,
        run_options: PassOptions | None = None,
        *,
        captured: bool = False,
        spinning: bool = True,
    ) -> None:
        """Open a graph on its provider; see :func:`.open_session.open_session`.

        Raises:
            ProviderError: ONNX Runtime would run it elsewhere.
        """
        provider = graph.provider
        engine = engine_folder = None
        if provider.device == "tensorrt":
            engine_folder = provider_folder("tensorrt")
            folder = graph.weights_folder
            weights = b"" if folder is None else (folder / WEIGHTS).read_bytes()
            engine = engine_key(
                graph.data + weights, graph.shapes, {"precision": provider.precision}
            )

        def open_session(captured: bool) -> ort.InferenceSession:
            options = provider.session_options(
                threads,
                engine=engine,
                engine_folder=engine_folder,
                captured=captured,
                spinning=spinning,
            )
            _use_shared_arena(options)
            return graph.open(options)

        self._turn = _Turn(PassOptions() if run_options is None else run_options)
        self._session, is_captured = _opened(open_session, captured and provider.captures)
        self._captures = Captures() if is_captured else None
        assert_on_device(self._session, provider)
        self._memory = provider.memory
        self.is_captured = is_captured
        self.output_shapes: Shapes = {
            value.name: tuple(int(size) for size in value.shape)
            for value in self._session.get_outputs()
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once on arrays; see :meth:`.session.Session.run`."""
        with _stoppable(self._turn.options):
            outputs = self._session.run(None, dict(inputs), self._turn.next())
        return dict(zip(self.output_shapes, outputs, strict=True))

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer on the session's device with these values."""
        array = np.array(values, dtype=np.float32, order="C")  # a copy: the buffer is written to
        return ort.OrtValue.ortvalue_from_numpy(array, self._memory, 0)

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        held = [*inputs.values(), *outputs.values()]
        capture = None if self._captures is None else self._captures.of(held)
        return _Pass(self._session, binding, self._turn, capture, held)


def _opened(
    open_session: Callable[[bool], ort.InferenceSession], captured: bool
) -> tuple[ort.InferenceSession, bool]:
    """Open a session, without CUDA graphs if it does not open with them; says if it has them."""
    if captured:
        try:
            return open_session(True), True
        except Exception as error:  # ONNX Runtime's exceptions share no other base
            log.info("No CUDA graph of this session: %s", error)
    return open_session(False), False


def _use_shared_arena(options: ort.SessionOptions) -> None:
    """Make a session take its processor memory from one arena of the whole process.

    Sessions run in turn, and an arena keeps the peak of its activations: with one arena each, three
    scales up to 362 pixels took 2.3 GB, with a shared one 1.6 GB.
    """
    _register_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")


@functools.cache
def _register_arena() -> None:
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    # -1: ONNX Runtime's own sizes. 1: grow by the size requested, not to the next power of two.
    config = ort.OrtArenaCfg(
        {
            "max_mem": 0,
            "arena_extend_strategy": 1,
            "initial_chunk_size_bytes": -1,
            "max_dead_bytes_per_chunk": -1,
        }
    )
    # If the embedding program has registered one, that one stays and is used.
    ort.create_and_register_allocator(memory, config)


class _Turn:
    """Chooses the options of a session's passes: the first one's, and then the usual ones."""

    def __init__(self, options: PassOptions) -> None:
        self.options = options
        self._is_first = True

    def next(self) -> ort.RunOptions:
        """Return the options of the next pass."""
        is_first, self._is_first = self._is_first, False
        return self.options.first if is_first else self.options.usual


class _Pass:
    """A session's run over fixed buffers."""

    def __init__(
        self,
        session: ort.InferenceSession,
        binding: ort.IOBinding,
        turn: _Turn,
        capture: ort.RunOptions | None,
        held: Sequence[Buffer],
    ) -> None:
        self._session = session
        self._binding = binding
        self._turn = turn
        self._capture = capture
        # Up to 1.29, ONNX Runtime keeps only a buffer's address: the memory belongs to the array
        # that it was made from, and its Python object keeps that alive.
        self._held = held

    def __call__(self) -> None:
        """Run once; a StoppedError if it was terminated: the outputs are then undefined."""
        if self._capture is not None and self._turn.options.terminate:
            raise StoppedError  # a CUDA graph runs as a whole, and never checks it
        with _stoppable(self._turn.options):
            self._session.run_with_iobinding(self._binding, self._capture or self._turn.next())


@contextmanager
def _stoppable(run_options: PassOptions) -> Iterator[None]:
    """Raise StoppedError for a terminated pass; ONNX Runtime has no error type for it."""
    try:
        yield
    except Exception as error:
        if run_options.terminate:
            raise StoppedError from error
        raise
