"""One graph at one size on one provider, and its passes over fixed buffers.

ONNX Runtime is always handed static shapes, and a loop always the same buffers: the state of a run
stays on the device, and a CUDA graph could be captured.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import ArrayLike, NDArray

from .providers import Provider, assert_on_device
from .specialise import specialise

Array: TypeAlias = NDArray[np.float32]
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

# ONNX Runtime resolves external data against this folder when a model comes as bytes.
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


class Session:
    """A graph that is ready to run."""

    def __init__(
        self,
        model: onnx.ModelProto,
        shapes: Shapes,
        provider: Provider,
        *,
        weights_folder: Path | None = None,
        threads: int | None = None,
    ) -> None:
        """Open a session.

        Args:
            model: A graph of float32 inputs and outputs.
            shapes: The shape of every input, by name.
            provider: What runs it; see :func:`nstbatch.runtime.providers.resolve`.
            weights_folder: Where the graph's external data lies.
            threads: How many threads to use; None for all cores of this process.

        Raises:
            ProviderError: ONNX Runtime would run it elsewhere.
        """
        options = provider.session_options(threads)
        if weights_folder is not None:
            options.add_session_config_entry(WEIGHTS_FOLDER, str(weights_folder))
        graph = specialise(model, shapes).SerializeToString()
        self._session = ort.InferenceSession(graph, options, enable_fallback=0)
        assert_on_device(self._session, provider)
        self.memory = provider.memory
        self.output_shapes = {
            value.name: tuple(int(size) for size in value.shape)
            for value in self._session.get_outputs()
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once, from arrays to arrays."""
        outputs = self._session.run(None, dict(inputs))
        return dict(zip(self.output_shapes, outputs, strict=True))

    def buffer(self, values: ArrayLike) -> ort.OrtValue:
        """A float32 buffer on the session's device with these values in it."""
        array = np.array(values, dtype=np.float32, order="C")  # a copy: the buffer is written to
        return ort.OrtValue.ortvalue_from_numpy(array, self.memory, 0)

    def bind(
        self, inputs: Mapping[str, ort.OrtValue], outputs: Mapping[str, ort.OrtValue]
    ) -> BoundPass:
        """A pass that reads and writes these buffers each time it is called."""
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        return BoundPass(self._session, binding)


class BoundPass:
    """A session's run over fixed buffers."""

    def __init__(self, session: ort.InferenceSession, binding: ort.IOBinding) -> None:
        self._session = session
        self._binding = binding

    def __call__(self) -> None:
        """Run once."""
        self._session.run_with_iobinding(self._binding)
