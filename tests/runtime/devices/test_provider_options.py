"""The options of providers, and the cache key of TensorRT engines."""

from __future__ import annotations

from pathlib import Path

from nstbatch.runtime.devices import provider_options, providers


def test_cuda_is_told_the_layout_and_whether_to_record() -> None:
    halved = provider_options.cuda_options("fp16", captured=True)
    full = provider_options.cuda_options("fp32", captured=False)
    assert (halved["prefer_nhwc"], halved["enable_cuda_graph"]) == ("1", "1")
    assert (full["prefer_nhwc"], full["enable_cuda_graph"]) == ("0", "0")
    assert (halved["use_tf32"], full["use_tf32"]) == ("1", "0")
    assert halved["cudnn_conv_use_max_workspace"] == "1"


def test_tensorrt_keeps_engines_only_under_a_key(tmp_path: Path) -> None:
    options = provider_options.tensorrt_options(None, tmp_path)
    assert options["trt_timing_cache_path"] == str(tmp_path)
    assert "trt_engine_cache_enable" not in options
    options = provider_options.tensorrt_options("nstbatch_42", tmp_path)
    assert options["trt_engine_cache_prefix"] == "nstbatch_42"
    assert options["trt_engine_cache_path"] == str(tmp_path)


def test_tensorrt_keeps_nothing_without_a_folder() -> None:
    assert provider_options.tensorrt_options("nstbatch_42", None) == {"device_id": "0"}


def test_an_engine_key_depends_on_everything() -> None:
    shapes = {"image": (1, 3, 64, 64), "weight": (3,)}
    key = providers.engine_key(b"model", shapes, {"precision": "fp16"})
    assert key == providers.engine_key(
        b"model", dict(reversed(shapes.items())), {"precision": "fp16"}
    )
    assert key != providers.engine_key(b"other", shapes, {"precision": "fp16"})
    assert key != providers.engine_key(b"model", shapes, {"precision": "fp32"})
    assert key != providers.engine_key(
        b"model", {**shapes, "image": (1, 3, 64, 96)}, {"precision": "fp16"}
    )
