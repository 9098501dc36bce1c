import stat

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import safetensors.torch
import torch

from nstbatch.exporter.store import WeightStore
from nstbatch.runtime.bundles.bundle import WEIGHTS

GENERATOR = np.random.default_rng(0)
FILTERS = GENERATOR.standard_normal((8, 4, 3, 3)).astype(np.float16)
BIAS = GENERATOR.standard_normal(128).astype(np.float32)
SMALL = np.float32([1, 2, 3])
TENSORS = {"conv.weight": FILTERS, "conv.bias": BIAS, "conv.small": SMALL}


@pytest.fixture
def store(tmp_path):
    return WeightStore(tmp_path, TENSORS)


def model(**initializers: np.ndarray) -> ir.Model:
    """A graph that outputs its initialisers."""
    values = {
        name: ir.Value(name=name, const_value=ir.tensor(array), shape=ir.Shape(array.shape))
        for name, array in initializers.items()
    }
    nodes = [ir.node("Identity", [value]) for value in values.values()]
    outputs = [node.outputs[0] for node in nodes]
    for value in values.values():
        value.type = ir.TensorType(ir.DataType.FLOAT)
    for name, output in zip(values, outputs, strict=True):
        output.name, output.type = f"{name}/out", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        [], outputs, nodes=nodes, initializers=list(values.values()), opset_imports={"": 20}
    )
    return ir.Model(graph, ir_version=10)


def run(model, folder):
    """Run a graph in a folder with ONNX Runtime and return its outputs."""
    path = folder / "graph.onnx"
    path.write_bytes(ir.to_proto(model).SerializeToString())
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {})


def test_the_file_is_what_pytorch_reads(store, tmp_path):
    loaded = safetensors.torch.load_file(tmp_path / WEIGHTS)
    assert {name: tensor.dtype for name, tensor in loaded.items()} == {
        "conv.weight": torch.float16,
        "conv.bias": torch.float32,
        "conv.small": torch.float32,
    }
    for name, tensor in loaded.items():
        assert np.array_equal(tensor.numpy(), TENSORS[name])
    assert stat.S_IMODE((tmp_path / WEIGHTS).stat().st_mode) & 0o444 == 0o444


def test_external_data_lies_where_the_graph_says(store, tmp_path):
    graph = model(a=FILTERS.astype(np.float32), b=BIAS)
    store.share(graph)
    content = (tmp_path / WEIGHTS).read_bytes()
    proto = ir.to_proto(graph).graph
    assert {i.name for i in proto.initializer} == {"conv.weight", "conv.bias"}
    for initializer in proto.initializer:
        assert initializer.data_location == onnx.TensorProto.EXTERNAL
        place = {entry.key: entry.value for entry in initializer.external_data}
        assert place["location"] == WEIGHTS
        start, length = int(place["offset"]), int(place["length"])
        assert content[start : start + length] == TENSORS[initializer.name].tobytes()


def test_onnxruntime_reads_float32_from_it(store, tmp_path):
    graph = model(a=FILTERS.astype(np.float32), b=BIAS)
    store.share(graph)
    weight, bias = run(graph, tmp_path)
    assert np.array_equal(weight, FILTERS.astype(np.float32))
    assert np.array_equal(bias, BIAS)


def test_only_a_float16_tensor_has_a_cast_behind_it(store):
    graph = model(a=FILTERS.astype(np.float32), b=BIAS)
    store.share(graph)
    casts = [node for node in graph.graph if node.op_type == "Cast"]
    assert [node.inputs[0].name for node in casts] == ["conv.weight"]
    assert casts[0].attributes["to"].as_int() == onnx.TensorProto.FLOAT


def test_a_tensor_that_is_held_twice_is_shared_once(store, tmp_path):
    values = FILTERS.astype(np.float32)
    graph = model(a=values, b=values, c=BIAS, d=BIAS)
    store.share(graph)
    assert sorted(graph.graph.initializers) == ["conv.bias", "conv.weight"]
    assert sum(node.op_type == "Cast" for node in graph.graph) == 1
    first, second, *biases = run(graph, tmp_path)
    assert np.array_equal(first, values)
    assert np.array_equal(second, values)
    assert all(np.array_equal(bias, BIAS) for bias in biases)


def test_what_is_small_or_not_stored_stays(store, tmp_path):
    other = BIAS + 1
    graph = model(small=SMALL, other=other, reshaped=BIAS.reshape(2, 64))
    store.share(graph)
    assert sorted(graph.graph.initializers) == ["other", "reshaped", "small"]
    found = run(graph, tmp_path)
    assert np.array_equal(found[1], other)


def test_a_value_that_float16_rounds_is_not_taken_for_it(store):
    values = FILTERS.astype(np.float32)
    values[0, 0, 0, 0] = np.nextafter(values[0, 0, 0, 0], np.float32(9))
    graph = model(a=values)
    store.share(graph)
    assert list(graph.graph.initializers) == ["a"]
