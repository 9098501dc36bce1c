"""Sessions of ONNX Runtime: on the processor, CUDA and TensorRT."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike

from nstbatch.runtime import scratch
from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.devices.providers import Provider, assert_on_device
from nstbatch.runtime.errors import StoppedError

from .cuda_graphs import Captures
from .one_thread import in_one_thread
from .passes import PassOptions
from .ready_graph import ReadyGraph
from .session import BoundPass, Buffer
from .tensorrt_engine import TensorRtEngine, compiled_folder

log = logging.getLogger(__name__)
T = TypeVar("T")


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
        engine = TensorRtEngine.of(graph) if provider.device == "tensorrt" else None
        folder = None if engine is None else engine.folder
        if provider.device == "tensorrt-rtx":
            folder = compiled_folder(graph)

        def open_session(captured: bool) -> ort.InferenceSession:
            with nullcontext() if engine is None else engine.opening():
                return self._in_thread(lambda: graph.open(options_of(captured)))

        def options_of(captured: bool) -> ort.SessionOptions:
            options = provider.session_options(
                threads,
                engine=None if engine is None else engine.key,
                engine_folder=folder,
                captured=captured,
                spinning=spinning,
            )
            _use_shared_arena(options)
            return options

        self._in_thread = in_one_thread if provider.in_one_thread else _at_once
        self._turn = _Turn(PassOptions() if run_options is None else run_options, provider)
        self._session, is_captured = _opened(open_session, captured and provider.captures)
        self._captures = Captures() if is_captured else None
        self._reopen = open_session if is_captured else None  # it holds the graph
        assert_on_device(self._session, provider)
        self._provider = provider
        self.output_shapes: Shapes = {
            value.name: tuple(int(size) for size in value.shape)
            for value in self._session.get_outputs()
        }

    @property
    def is_captured(self) -> bool:
        """True if its bound passes are recorded as CUDA graphs."""
        return self._captures is not None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once on arrays; see :meth:`.session.Session.run`."""
        with _stoppable(self._turn.options):
            outputs = self._in_thread(
                lambda: self._session.run(None, dict(inputs), self._turn.next())
            )
        return dict(zip(self.output_shapes, outputs, strict=True))

    def buffer(self, values: ArrayLike) -> Buffer:
        """Make a float32 buffer on the session's device with these values."""
        array = scratch.copied(np.asarray(values, np.float32))  # the buffer is written to
        return ort.OrtValue.ortvalue_from_numpy(array, self._provider.memory, self._provider.gpu)

    def bind(self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> BoundPass:
        """Make a pass over fixed buffers; see :meth:`.session.Session.bind`."""
        return _Pass(self, inputs, outputs)

    def bound(
        self, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]
    ) -> tuple[Callable[[], None], bool]:
        """Make a function that passes over buffers once, and say if the pass is recorded."""
        session, binding = self._session, self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        if self._captures is None:
            return lambda: session.run_with_iobinding(binding, self._turn.next()), False
        captures = self._captures
        capture = captures.of([*inputs.values(), *outputs.values()])

        def recorded() -> None:
            for options in captures.warm_up():
                session.run_with_iobinding(binding, options)
            session.run_with_iobinding(binding, capture)

        return recorded, True

    def pass_once(self, run: Callable[[], None], *, recorded: bool) -> None:
        """Call a function of :meth:`bound`; a StoppedError if the pass was terminated."""
        if recorded and self._turn.options.terminate:
            raise StoppedError  # a CUDA graph runs as a whole, and never checks it
        with _stoppable(self._turn.options):
            self._in_thread(run)

    def record_no_more(self, error: Exception) -> None:
        """Open the session anew, without CUDA graphs, for passes that are not recorded yet."""
        if self._reopen is not None:
            log.info("A CUDA graph could not be recorded, so there are none from now on: %s", error)
            self._session = self._reopen(False)
            self._captures = self._reopen = None


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


def _at_once(call: Callable[[], T]) -> T:
    return call()


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

    def __init__(self, options: PassOptions, provider: Provider) -> None:
        self.options = options
        self._first = options.first(provider)
        self._is_first = True

    def next(self) -> ort.RunOptions:
        """Return the options of the next pass."""
        is_first, self._is_first = self._is_first, False
        return self._first if is_first else self.options.usual


class _Pass:
    """A session's run over fixed buffers.

    The first one of a session with CUDA graphs is recorded. If that fails, it is repeated without:
    every graph may be run again over the same buffers, see :mod:`.cuda_graphs`.
    """

    def __init__(
        self,
        session: OnnxRuntimeSession,
        inputs: Mapping[str, Buffer],
        outputs: Mapping[str, Buffer],
    ) -> None:
        self._session = session
        # Up to 1.29, ONNX Runtime keeps only a buffer's address: the memory belongs to the array
        # that it was made from, and its Python object keeps that alive.
        self._buffers = (inputs, outputs)
        self._run, self._is_recorded = session.bound(inputs, outputs)
        self._has_run = False

    def __call__(self) -> None:
        """Run once; a StoppedError if it was terminated: the outputs are then undefined."""
        try:
            self._session.pass_once(self._run, recorded=self._is_recorded)
        except StoppedError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions share no other base
            if self._has_run or not self._is_recorded:
                raise
            self._session.record_no_more(error)
            self._run, self._is_recorded = self._session.bound(*self._buffers)
            self._repeat()
        self._has_run = True

    def _repeat(self) -> None:
        """Run once without a recording, after one that failed."""
        try:
            self._session.pass_once(self._run, recorded=False)
        except StoppedError:
            raise
        except Exception:
            # CUDA keeps the error of a call that it forbids until it is asked for the last error,
            # so ONNX Runtime 1.31 may find it after the first kernel of this pass.
            self._session.pass_once(self._run, recorded=False)


@contextmanager
def _stoppable(run_options: PassOptions) -> Iterator[None]:
    """Raise StoppedError for a terminated pass; ONNX Runtime has no error type for it."""
    try:
        yield
    except Exception as error:
        if run_options.terminate:
            raise StoppedError from error
        raise
