"""One graph at one size on one provider, and its passes over fixed buffers.

ONNX Runtime always gets static shapes, and a loop always the same buffers: the state of a run stays
on the device, and a CUDA graph can be captured.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike

from nstbatch.runtime.arrays import Array, Shapes
from nstbatch.runtime.bundles.manifest import WEIGHTS
from nstbatch.runtime.devices.providers import Provider, assert_on_device, engine_key
from nstbatch.runtime.errors import StoppedError

from .cache import provider_folder
from .cuda_graphs import Captures
from .passes import PassOptions
from .ready_graph import ReadyGraph, Recipe

if TYPE_CHECKING:
    import onnx

log = logging.getLogger(__name__)


class Session:
    """A graph that is ready to run."""

    def __init__(
        self,
        model: onnx.ModelProto | Recipe,
        shapes: Shapes,
        provider: Provider,
        *,
        weights_folder: Path | None = None,
        threads: int | None = None,
        run_options: PassOptions | None = None,
        captured: bool = False,
        spinning: bool = True,
    ) -> None:
        """Open a session.

        Args:
            model: A graph of float32 inputs and outputs, or the recipe of one that may lie in the
                cache.
            shapes: The shape of every input, by name.
            provider: Runs it; see :func:`nstbatch.runtime.devices.providers.resolve`.
            weights_folder: Folder of the graph's external data.
            threads: Number of threads; None for all cores of this process.
            run_options: Options of every pass. Setting their ``terminate``, from any thread, ends
                the running pass, and all later ones, with a StoppedError. Providers check it
                between nodes; one that makes a single node of the graph ends that first.
            captured: True to record each bound pass as a CUDA graph, on a device that can.
            spinning: True if its threads keep their cores busy for a while after a pass, which
                starts the next one sooner. False suits a session whose passes are few and short
                beside those of another.

        Raises:
            ProviderError: ONNX Runtime would run it elsewhere.
        """
        graph = ReadyGraph(model, shapes, provider, weights_folder)
        engine = engine_folder = None
        if provider.device == "tensorrt":
            engine_folder = provider_folder("tensorrt")
            weights = b"" if weights_folder is None else (weights_folder / WEIGHTS).read_bytes()
            engine = engine_key(graph.data + weights, shapes, {"precision": provider.precision})

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
        self.memory = provider.memory
        self._copies_inputs = provider.copies_inputs
        self.output_shapes = {
            value.name: tuple(int(size) for size in value.shape)
            for value in self._session.get_outputs()
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once on arrays, by the names of the graph's inputs and outputs.

        Args:
            inputs: Every input, float32, of the shape given when the session was opened.

        Raises:
            StoppedError: It was terminated.
        """
        with _stoppable(self._turn.options):
            outputs = self._session.run(None, dict(inputs), self._turn.next())
        return dict(zip(self.output_shapes, outputs, strict=True))

    def buffer(self, values: ArrayLike) -> ort.OrtValue:
        """Make a float32 buffer on the session's device with these values."""
        array = np.array(values, dtype=np.float32, order="C")  # a copy: the buffer is written to
        return ort.OrtValue.ortvalue_from_numpy(array, self.memory, 0)

    def bind(
        self,
        inputs: Mapping[str, ort.OrtValue],
        outputs: Mapping[str, ort.OrtValue],
        constant: Collection[str] = (),
    ) -> BoundPass:
        """Make a pass that reads and writes these buffers each time it is called.

        Args:
            inputs: A buffer for every input, by name.
            outputs: A buffer for every output. It may be an input too only if the graph allows it;
                see :attr:`nstbatch.runtime.descent.optimizers.Optimizer.in_place`.
            constant: Names of inputs that never change after this; a device that copies its inputs
                does not copy them in each pass.
        """
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        held = [*inputs.values(), *outputs.values()]
        capture = None if self._captures is None else self._captures.of(held)
        read_anew = {}
        if self._copies_inputs:
            read_anew = {name: inputs[name] for name in inputs if name not in constant}
        return BoundPass(self._session, binding, self._turn, capture, read_anew, held)

    @property
    def is_captured(self) -> bool:
        """True if its bound passes are recorded as CUDA graphs."""
        return self._captures is not None


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


class BoundPass:
    """A session's run over fixed buffers."""

    def __init__(
        self,
        session: ort.InferenceSession,
        binding: ort.IOBinding,
        turn: _Turn,
        capture: ort.RunOptions | None,
        read_anew: Mapping[str, ort.OrtValue],
        held: Sequence[ort.OrtValue],
    ) -> None:
        self._session = session
        self._binding = binding
        self._turn = turn
        self._capture = capture
        self._read_anew = read_anew
        # Up to 1.29, ONNX Runtime keeps only a buffer's address: the memory belongs to the array
        # that it was made from, and its Python object keeps that alive.
        self._held = held

    def __call__(self) -> None:
        """Run once; a StoppedError if it was terminated: the outputs are then undefined."""
        if self._capture is not None and self._turn.options.terminate:
            raise StoppedError  # a CUDA graph runs as a whole, and never checks it
        for name, value in self._read_anew.items():
            self._binding.bind_ortvalue_input(name, value)
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
