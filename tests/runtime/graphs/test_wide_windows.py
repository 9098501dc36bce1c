"""Rows are added where a window is larger than its input; the results stay."""

import numpy as np
import onnx
import pytest

from nstbatch.runtime.devices.providers import Provider, check
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.wide_windows import with_room_for_windows

CEIL = "kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1"


def model(pool: str, height: int, width: int) -> onnx.ModelProto:
    shape = f"float[1, 2, {height}, {width}]"
    return onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 20]>
        pooled ({shape} x) => (float[N, C, H, W] y) {{ y = {pool}(x) }}"""
    )


def run(graph: onnx.ModelProto, height: int, width: int, device: str) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((1, 2, height, width), np.float32) - 3
    session = open_session(graph, {"x": x.shape}, Provider(device, "fp32"), threads=1)
    return session.run({"x": x})["y"]


def pads(graph: onnx.ModelProto) -> list[int]:
    (node,) = graph.graph.node
    return next((list(each.ints) for each in node.attribute if each.name == "pads"), [])


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 5), (6, 2)])
def test_windows_larger_than_the_input_give_the_same_on_every_device(kind, height, width):
    graph = model(f"{kind}<{CEIL}>", height, width)
    expected = run(graph, height, width, "cpu")
    padded = with_room_for_windows(graph)
    assert pads(padded) != pads(graph)
    np.testing.assert_array_equal(run(padded, height, width, "cpu"), expected)
    if check("openvino").usable:
        np.testing.assert_allclose(run(graph, height, width, "openvino"), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("pool", "side"),
    [
        (f"MaxPool<{CEIL}>", 3),
        (f"MaxPool<{CEIL}, pads = [1, 1, 0, 0]>", 2),
        (f"AveragePool<{CEIL}, count_include_pad = 1>", 2),
    ],
)
def test_other_nodes_stay(pool, side):
    graph = model(pool, side, side)
    assert pads(with_room_for_windows(graph)) == pads(graph)
