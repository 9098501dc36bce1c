"""Sums over whole maps keep their digits, and every other sum stays as it is."""

import numpy as np
import onnx
import pytest

from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.sums_by_rows import with_sums_by_rows


def model(kind: str, shape: tuple[int, ...], axes: list[int], keeps: int) -> onnx.ModelProto:
    """A graph with one sum; its result has ones in place of the axes if it keeps them."""
    summed = {axis % len(shape) for axis in axes}
    sides = [1 if i in summed else n for i, n in enumerate(shape) if keeps or i not in summed]
    graph = onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 20]>
        whole (float[{",".join(map(str, shape))}] x) => (float[{",".join(map(str, sides))}] y)
        <int64[{len(axes)}] axes = {{{",".join(map(str, axes))}}}>
        {{ y = {kind}<keepdims = {keeps}>(x, axes) }}"""
    )
    onnx.checker.check_model(graph)
    return graph


def operators(graph: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node if node.op_type != "Constant"]


@pytest.mark.parametrize("keeps", [0, 1])
@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceMean"])
@pytest.mark.parametrize("axes", [[1, 2, 3], [-1, -2], [2, 3]])
def test_a_sum_of_millions_is_that_of_double_precision(kind, axes, keeps):
    x = np.random.default_rng(0).random((1, 4, 1024, 512), np.float32)
    graph = model(kind, x.shape, axes, keeps)
    assert operators(with_sums_by_rows(graph)) == [kind, kind]
    session = open_session(graph, {"x": x.shape}, Provider("cpu", "fp32"), threads=1)
    (found,) = session.run({"x": x}).values()
    reduce = np.sum if kind == "ReduceSum" else np.mean
    expected = reduce(x, axis=tuple(axes), dtype=np.float64, keepdims=bool(keeps))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize(
    ("kind", "axes"), [("ReduceSum", [1, 2]), ("ReduceSum", [3]), ("ReduceMax", [1, 2, 3])]
)
def test_other_sums_stay(kind, axes):
    graph = model(kind, (1, 2, 5, 7), axes, 1)
    assert operators(with_sums_by_rows(graph)) == [kind]
