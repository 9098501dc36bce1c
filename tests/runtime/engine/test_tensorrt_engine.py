"""An engine is built once, by one process; TensorRT itself is on a GPU only."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine import onnxruntime_session, tensorrt_engine
from nstbatch.runtime.engine.network_sessions import NetworkSessions
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.engine.ready_graph import ReadyGraph
from nstbatch.runtime.engine.tensorrt_engine import TensorRtEngine

DOUBLE = """
    <ir_version: 9, opset_import: ["" : 20]>
    double (float[N, C, H, W] image) => (float[N, C, H, W] y) { y = Add(image, image) }
"""
ON_TENSORRT = Provider("tensorrt", "fp16")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tensorrt_engine, "provider_folder", lambda name: tmp_path)
    return tmp_path


def engine_of(height: int = 4, weights: Path | None = None) -> TensorRtEngine:
    shapes = {"image": (1, 3, height, 5)}
    return TensorRtEngine.of(
        ReadyGraph(onnx.parser.parse_model(DOUBLE), shapes, ON_TENSORRT, weights)
    )


def test_each_shape_and_each_weight_has_an_engine_of_its_own(folder: Path, tmp_path: Path) -> None:
    keys = {engine_of().key, engine_of().key, engine_of(height=8).key}
    assert len(keys) == 2
    (tmp_path / "weights.safetensors").write_bytes(b"other")
    assert engine_of(weights=tmp_path).key not in keys


def test_the_first_builds_it_and_the_second_reads_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun, order = threading.Event(), list[str]()

    def first() -> None:
        with engine_of().opening():
            begun.set()
            threading.Event().wait(0.3)  # the other one comes meanwhile
            (folder / f"{engine_of().key}_1_sm90.engine").touch()
            order.append("built")

    builder = threading.Thread(target=first)
    builder.start()
    begun.wait()
    with engine_of().opening():
        order.append("read")
    builder.join()
    assert order == ["built", "read"]
    assert [message[:44] for message in caplog.messages] == [
        "TensorRT builds an engine for 5 x 4 pixels, ",
        "TensorRT has built it in 0 s.",
    ]
    caplog.clear()
    with engine_of().opening():
        assert not caplog.messages


def test_without_a_cache_it_says_so_each_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tensorrt_engine, "provider_folder", lambda name: None)
    for _ in range(2):
        with engine_of().opening():
            pass
    assert "later runs" not in caplog.text
    assert caplog.text.count("TensorRT builds an engine") == 2


def test_a_session_opens_within(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Any]()

    class OnProcessor(Provider):
        """The processor, taken for TensorRT."""

        device = "tensorrt"
        in_one_thread = False
        memory = "cpu"

        def session_options(self, *arguments: Any, **choices: Any) -> Any:
            seen.append((choices["engine"], choices["engine_folder"]))
            choices |= {"engine": None, "engine_folder": None}
            return Provider("cpu", "fp32").session_options(*arguments, **choices)

    monkeypatch.setattr(onnxruntime_session, "assert_on_device", lambda session, provider: None)
    provider = OnProcessor.__new__(OnProcessor)
    object.__setattr__(provider, "precision", "fp16")
    graph = onnx.parser.parse_model(DOUBLE)
    session = open_session(graph, {"image": (1, 3, 4, 5)}, provider, threads=1)
    assert session.run({"image": np.ones((1, 3, 4, 5), np.float32)})["y"].max() == 2
    (found,) = seen
    assert found == (engine_of().key, folder)


def test_graphs_of_a_few_passes_run_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[str, Provider]]()

    def kept(
        sessions: Any, parts: Any, make: Any, shapes: Any, provider: Provider, **_: Any
    ) -> Any:
        asked.append((parts[0], provider))

    monkeypatch.setattr(NetworkSessions, "kept", kept)
    sessions = NetworkSessions.__new__(NetworkSessions)
    sessions._projections = SimpleNamespace()  # type: ignore[assignment]
    sessions.targets(ON_TENSORRT, (), "max", (1, 3, 4, 5))
    sessions.search(ON_TENSORRT, {})
    sessions.projection(ON_TENSORRT, "gradient", SimpleNamespace(), {"image": (1, 3, 4, 5)})  # type: ignore[arg-type]
    sessions.step(ON_TENSORRT, (), (), "max", {"image": (1, 3, 4, 5)})
    assert dict(asked) == {
        "targets": Provider("cuda", "fp32"),
        "search": Provider("cuda", "fp32"),
        "project": Provider("cuda", "fp16"),
        "step": ON_TENSORRT,
    }
    assert Provider("openvino", "bf16").for_few_passes == Provider("openvino", "bf16")
