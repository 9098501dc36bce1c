"""TensorRT for RTX, NVIDIA's TensorRT for consumer cards, as a plugin of ONNX Runtime.

It compiles for the card that is there within seconds, and keeps what it has compiled in a folder.
The package ``onnxruntime-ep-nv-tensorrt-rtx`` 0.5 was seen to import, and to need NVIDIA's driver
when it is registered. **Not run on a GPU yet.**
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnxruntime as ort

NAME = "NvTensorRTRTXExecutionProvider"
PACKAGE = "onnxruntime_ep_nv_tensorrt_rtx"


@functools.cache
def cards() -> Sequence[Any]:
    """Register the plugin, once in a process, and return the cards that it runs on.

    Raises:
        ImportError: The package does not load.
        RuntimeError: ONNX Runtime does not take the plugin, or it finds no card that it runs on.
    """
    import onnxruntime as ort

    plugin = importlib.import_module(PACKAGE)
    try:
        ort.register_execution_provider_library(NAME, plugin.get_library_path())
    except Exception as error:  # ONNX Runtime's exceptions share no other base
        raise RuntimeError(str(error)) from error
    found = [device for device in ort.get_ep_devices() if device.ep_name == NAME]
    if not found:
        raise RuntimeError("it finds no GPU of the series GeForce RTX or RTX")
    return found


def add_to(options: ort.SessionOptions, folder: Path | None, gpu: int = 0) -> None:
    """Add the plugin to session options.

    Args:
        options: The session options to add to.
        folder: Folder of what it has compiled; None to keep nothing.
        gpu: Number of the card, in the order of :func:`cards`.
    """
    chosen = {} if folder is None else {"nv_runtime_cache_path": str(folder)}
    options.add_provider_for_devices(list(cards())[gpu : gpu + 1], chosen)
