"""The options of ONNX Runtime's execution providers, and a safe cache key for TensorRT engines.

The CUDA and TensorRT options follow ONNX Runtime's documentation and have **not been run on a GPU
yet**.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from . import tensorrt_rtx

if TYPE_CHECKING:
    import onnxruntime as ort

EXECUTION_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "tensorrt-rtx": tensorrt_rtx.NAME,
}
NO_CHANGES: Mapping[str, str] = MappingProxyType({})
# The devices whose nodes and buffers that are not TensorRT's are CUDA's.
BY_TENSORRT = ("tensorrt", "tensorrt-rtx")


def add_provider(
    options: ort.SessionOptions,
    device: str,
    *,
    precision: str,
    engine: str | None = None,
    engine_folder: Path | None = None,
    captured: bool = False,
    gpu: int = 0,
    changes: Mapping[str, str] = NO_CHANGES,
) -> None:
    """Add a device's provider, which must be available, to session options.

    The processor need not be added: ONNX Runtime appends it for the nodes that no other provider
    takes.

    Args:
        options: The session options to add to.
        device: A key of :data:`EXECUTION_PROVIDERS`.
        precision: "fp32" or "fp16". Half precision is written into the graph, so that the objective
            stays fp32; CUDA also chooses its layout by it.
        engine: The :func:`engine_key` for TensorRT; without one its engines are not cached.
        engine_folder: Folder of TensorRT's engine and timing caches, or of what TensorRT for RTX
            has compiled; without one nothing is kept.
        captured: True if CUDA records passes as CUDA graphs.
        gpu: Number of the GPU, as CUDA counts them.
        changes: Options of CUDA's provider in the place of the usual ones, for measurements.
    """
    if device == "tensorrt":
        chosen = tensorrt_options(engine, engine_folder, gpu)
        options.add_provider(EXECUTION_PROVIDERS["tensorrt"], chosen)
    if device == "tensorrt-rtx":
        tensorrt_rtx.add_to(options, engine_folder, gpu)
    if device in ("cuda", *BY_TENSORRT):  # CUDA also runs the nodes that TensorRT does not take
        usual = cuda_options(precision, captured, gpu)
        options.add_provider(EXECUTION_PROVIDERS["cuda"], {**usual, **changes})


def cuda_options(precision: str, captured: bool, gpu: int = 0) -> dict[str, str]:
    """Return the CUDA provider's options. Not run on a GPU yet."""
    return {
        "device_id": str(gpu),
        # A shape runs for hundreds of steps, so it pays to search for its fastest algorithm, even
        # among those that need much workspace.
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        # Tensor cores need the channels last. In fp32 without TF32 they are not used.
        "prefer_nhwc": "1" if precision == "fp16" else "0",
        "fuse_conv_bias": "1" if precision == "fp16" else "0",
        # "fp32" must mean fp32; TF32 keeps only 10 bits of the mantissa, as fp16 does. Without it
        # ONNX Runtime takes no tensor cores for any type, and so ten times as long in fp16.
        "use_tf32": "1" if precision == "fp16" else "0",
        # Allocate the requested size, not the next power of two: photos are large.
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "1" if captured else "0",
    }


def tensorrt_options(engine: str | None, folder: Path | None, gpu: int = 0) -> dict[str, str]:
    """Return the TensorRT provider's options. Not run on a GPU yet.

    ``trt_fp16_enable`` is not used: it works on TensorRT 10 but does nothing on 11, while half
    precision written into the graph works on both.
    """
    options = {"device_id": str(gpu)}
    if folder is None:
        return options
    options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(folder)}
    if engine is not None:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_engine_cache_prefix": engine,
        }
    return options


def engine_key(
    model: bytes, shapes: Mapping[str, tuple[int, ...]], options: Mapping[str, str]
) -> str:
    """Return a name for the TensorRT engine of a model: a hash of everything the engine depends on.

    TensorRT's own cache key is the model's *file name* and its tensors' names, so it may return an
    engine that was built from other weights or for another size (microsoft/onnxruntime#32254).

    Args:
        model: The model as the session gets it, followed by its weights if they are in a file of
            their own.
        shapes: The shape of each input.
        options: Session and provider options that change the engine.
    """
    digest = hashlib.sha256(model)
    digest.update(json.dumps([sorted(shapes.items()), sorted(options.items())]).encode())
    return f"nstbatch_{digest.hexdigest()[:32]}"
