"""Opens a session on the device of a provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nstbatch.runtime.arrays import Shapes
from nstbatch.runtime.devices.providers import Provider

from .onnxruntime_session import OnnxRuntimeSession
from .passes import PassOptions
from .ready_graph import ReadyGraph, Recipe
from .session import Session

if TYPE_CHECKING:
    import onnx


def open_session(
    model: onnx.ModelProto | Recipe,
    shapes: Shapes,
    provider: Provider,
    *,
    weights_folder: Path | None = None,
    threads: int | None = None,
    run_options: PassOptions | None = None,
    captured: bool = False,
    spinning: bool = True,
) -> Session:
    """Open a session.

    Args:
        model: A graph of float32 inputs and outputs, or the recipe of one that may lie in the
            cache.
        shapes: The shape of every input, by name.
        provider: Runs it; see :func:`nstbatch.runtime.devices.providers.resolve`.
        weights_folder: Folder of the graph's external data.
        threads: Number of threads; None for all cores of this process.
        run_options: Options of every pass. Setting their ``terminate``, from any thread, ends the
            running pass, and all later ones, with a StoppedError. It is checked between nodes.
        captured: True to record each bound pass as a CUDA graph, on a device that can.
        spinning: True if ONNX Runtime's threads keep their cores busy for a while after a pass,
            which starts the next one sooner. False suits a session whose passes are few and short
            beside those of another.

    Raises:
        ProviderError: ONNX Runtime would run it elsewhere.
    """
    graph = ReadyGraph(model, shapes, provider, weights_folder)
    if provider.device == "openvino":
        from .openvino_session import OpenVinoSession

        return OpenVinoSession(graph, threads, run_options)
    return OnnxRuntimeSession(graph, threads, run_options, captured=captured, spinning=spinning)
