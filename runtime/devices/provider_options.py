"""What each execution provider of ONNX Runtime is told, and the cache key that TensorRT lacks.

The CUDA and TensorRT options follow ONNX Runtime's documentation and have **not been run on a GPU
yet**.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnxruntime as ort

EXECUTION_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


def add_provider(
    options: ort.SessionOptions,
    device: str,
    *,
    precision: str,
    threads: int,
    engine: str | None = None,
    engine_folder: Path | None = None,
    captured: bool = False,
) -> None:
    """Put a device's provider, which has to be there, into session options.

    The processor needs no asking for: ONNX Runtime appends it, for the nodes nobody else takes.

    Args:
        options: The session options to add to.
        device: A key of :data:`EXECUTION_PROVIDERS`.
        precision: "fp32", or "bf16" on OpenVINO. On CUDA and TensorRT it is no option: half
            precision is written into the graph there, so that the objective stays fp32.
        threads: How many threads a step may use.
        engine: The :func:`engine_key` for TensorRT; without one no engine is kept.
        engine_folder: Folder of TensorRT's engine and timing caches; without one neither is kept.
        captured: Whether CUDA records passes as CUDA graphs.
    """
    if device == "openvino":
        plugged, chosen = openvino_devices(), openvino_options(precision, threads)
        if plugged:
            options.add_provider_for_devices(plugged, chosen)
        else:  # it is built in
            options.add_provider(EXECUTION_PROVIDERS["openvino"], {"device_type": "CPU", **chosen})
    if device == "tensorrt":
        chosen = tensorrt_options(engine, engine_folder)
        options.add_provider(EXECUTION_PROVIDERS["tensorrt"], chosen)
    if device in ("cuda", "tensorrt"):  # CUDA also runs what TensorRT leaves
        options.add_provider(EXECUTION_PROVIDERS["cuda"], cuda_options(precision, captured))


def openvino_is_built_in() -> bool:
    """Tell whether OpenVINO is part of ONNX Runtime itself, as in the package onnxruntime-openvino.

    A plugin that offers devices is listed among the providers as well, once it is registered.
    """
    import onnxruntime as ort

    listed = EXECUTION_PROVIDERS["openvino"] in ort.get_available_providers()
    return listed and not openvino_devices()


def openvino_devices() -> list[Any]:
    """Return the processor as OpenVINO's plugin offers it, without the `.AUTO` twin of that name.

    Empty until the plugin is registered, and where it does not serve this processor.
    """
    import onnxruntime as ort

    return [
        found
        for found in ort.get_ep_devices()
        if found.ep_name == EXECUTION_PROVIDERS["openvino"]
        and found.device.type == ort.OrtHardwareDeviceType.CPU
    ]


def openvino_options(precision: str, threads: int) -> dict[str, str]:
    """Return OpenVINO's options. Its plugin ignores the ``precision`` option of its own."""
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    # No CACHE_DIR: a session opens no sooner with it, and it takes 80 MB a graph.
    properties = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": str(threads)}
    return {"load_config": json.dumps({"CPU": properties})}


def cuda_options(precision: str, captured: bool) -> dict[str, str]:
    """Return the CUDA provider's options. Not run on a GPU yet."""
    return {
        # A shape runs for hundreds of steps, so a search for its fastest algorithm pays, among
        # those too that want much memory to work in.
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        # Tensor cores want the channels last. In fp32 there is nothing to gain, without TF32.
        "prefer_nhwc": "1" if precision == "fp16" else "0",
        # "fp32" shall be fp32: TF32 keeps 10 bits of a mantissa.
        "use_tf32": "0",
        # Take what is asked for, not the next power of two: photos are large.
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "1" if captured else "0",
    }


def tensorrt_options(engine: str | None, folder: Path | None) -> dict[str, str]:
    """Return the TensorRT provider's options. Not run on a GPU yet.

    ``trt_fp16_enable`` works on TensorRT 10 and does nothing on 11; half precision that is
    written into the graph works on both.
    """
    if folder is None:
        return {}
    options = {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(folder)}
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
    """Return a name for the TensorRT engine of a model: a hash of all that the engine depends on.

    TensorRT's cache goes by the model's *file name* and its tensors' names, and so hands out an
    engine built from other weights or for another size (microsoft/onnxruntime#32254).

    Args:
        model: The model as the session gets it, followed by its weights if they lie beside it.
        shapes: The shape of each input.
        options: Session and provider options that change the engine.
    """
    digest = hashlib.sha256(model)
    digest.update(json.dumps([sorted(shapes.items()), sorted(options.items())]).encode())
    return f"nstbatch_{digest.hexdigest()[:32]}"
