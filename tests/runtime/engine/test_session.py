"""A session runs at one size, over the buffers it was given and no others."""

import gc
import os
import shutil
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.bundles.manifest import WEIGHTS
from nstbatch.runtime.devices.providers import Provider, check, resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.engine.passes import SHRINKAGE, PassOptions
from nstbatch.runtime.errors import ProviderError, StoppedError
from nstbatch.runtime.graphs.link import link_targets
from nstbatch.runtime.objectives.terms import content

CPU = resolve("cpu")
PROVIDERS = [Provider(device, "fp32") for device in ("cpu", "openvino") if check(device).usable]

AFFINE = """
    <ir_version: 9, opset_import: ["" : 20]>
    affine (float[N, 3, H, W] image, float[N] scale) => (float[N, 3, H, W] scaled, float[N] sum)
    <int64[3] axes = {1, 2, 3}> {
        column = Unsqueeze(scale, axes)
        scaled = Mul(image, column)
        sum = ReduceSum<keepdims = 0>(scaled, axes)
    }
"""
SHAPES = {"image": (2, 3, 4, 5), "scale": (2,)}


@pytest.fixture(params=PROVIDERS, ids=lambda provider: provider.device)
def provider(request):
    return request.param


@pytest.fixture
def session(provider):
    return open_session(onnx.parser.parse_model(AFFINE), SHAPES, provider, threads=1)


def ones(shape, value=1.0):
    return np.full(shape, value, np.float32)


def test_a_session_knows_the_shapes_of_its_outputs(session):
    assert session.output_shapes == {"scaled": (2, 3, 4, 5), "sum": (2,)}


def test_a_session_runs_from_arrays_to_arrays(session):
    scale = np.array([2, 3], np.float32)
    outputs = session.run({"image": ones(SHAPES["image"]), "scale": scale})
    np.testing.assert_array_equal(outputs["sum"], [120, 180])
    np.testing.assert_array_equal(outputs["scaled"][1], ones((3, 4, 5), 3))


def test_names_are_those_of_the_graph_also_where_a_node_passes_a_tensor_on(provider):
    """OpenVINO drops such nodes, and its tensors then have several names."""
    text = """<ir_version: 9, opset_import: ["" : 20]>
        passed (float[N] z, float[1] y) => (float[N] x, float[1] w) {
            a = Identity(z)
            b = Identity(a)
            c = Mul(a, y)
            d = Add(b, c)
            x = Identity(d)
            axes = Constant<value_ints = [0]>()
            e = Squeeze(y, axes)
            f = Unsqueeze(e, axes)
            w = Neg(f)
        }"""
    session = open_session(
        onnx.parser.parse_model(text), {"z": (3,), "y": (1,)}, provider, threads=1
    )
    assert session.output_shapes == {"x": (3,), "w": (1,)}
    inputs = {"z": ones(3), "y": ones(1, 2)}
    outputs = session.run(inputs)
    np.testing.assert_array_equal(outputs["x"], ones(3, 3))
    bound = {name: session.buffer(np.zeros(value.shape)) for name, value in outputs.items()}
    session.bind({name: session.buffer(value) for name, value in inputs.items()}, bound)()
    np.testing.assert_array_equal(bound["x"].numpy(), ones(3, 3))
    np.testing.assert_array_equal(bound["w"].numpy(), ones(1, -2))


def test_a_session_is_for_one_size_only(session):
    with pytest.raises(Exception, match=r"invalid dimensions|incompatible"):
        session.run({"image": ones((2, 3, 4, 6)), "scale": ones(2)})


def test_a_bound_pass_reads_and_writes_the_buffers_it_was_given(session):
    image, scale = session.buffer(ones(SHAPES["image"])), session.buffer([2, 3])
    scaled, total = session.buffer(np.zeros(SHAPES["image"])), session.buffer([0, 0])
    addresses = [buffer.data_ptr() for buffer in (scaled, total)]
    run = session.bind({"image": image, "scale": scale}, {"scaled": scaled, "sum": total})
    assert not total.numpy().any()
    run()
    np.testing.assert_array_equal(total.numpy(), [120, 180])
    image.update_inplace(ones(SHAPES["image"], 10))
    run()
    np.testing.assert_array_equal(total.numpy(), [1200, 1800])
    np.testing.assert_array_equal(scaled.numpy()[0], ones((3, 4, 5), 20))
    assert [buffer.data_ptr() for buffer in (scaled, total)] == addresses


PASSED_ON = """
    <ir_version: 9, opset_import: ["" : 20]>
    passed (float[N] u, float[N] v, float[N] w, float[N] x, float[N] y, float[N] z)
        => (float[N] out, float[N] again) <float one = {1.0}>
    {
        a = Div(u, one)
        b = Div(v, one)
        c = Div(w, one)
        tmp_1 = Div(x, one)
        tmp_2 = Div(y, one)
        tmp_3 = Div(z, one)
        sum = Sum(a, b, c, tmp_1, tmp_2, tmp_3)
        out = Identity(sum)
        again = Identity(sum)
    }
"""


def test_values_that_a_graph_passes_on_keep_their_names(provider):
    """To OpenVINO all are names of one value, and it may call an input by any of them."""
    shapes = dict.fromkeys("uvwxyz", (2,))
    session = open_session(onnx.parser.parse_model(PASSED_ON), shapes, provider, threads=1)
    assert {"out", "again"} <= session.output_shapes.keys()
    inputs = {name: ones(2, number) for number, name in enumerate(shapes)}
    held = {name: session.buffer(values) for name, values in inputs.items()}
    out, again = session.buffer([0, 0]), session.buffer([0, 0])
    session.bind(held, {"out": out, "again": again})()
    for found in (out.numpy(), again.numpy(), session.run(inputs)["out"]):
        np.testing.assert_array_equal(found, [15, 15])


def test_a_pass_can_write_what_another_reads(session):
    images = [session.buffer(ones(SHAPES["image"])), session.buffer(np.zeros(SHAPES["image"]))]
    scale, total = session.buffer([2, 3]), session.buffer([0, 0])
    there, back = (
        session.bind({"image": one, "scale": scale}, {"scaled": other, "sum": total})
        for one, other in (images, images[::-1])
    )
    there()
    back()
    np.testing.assert_array_equal(total.numpy(), [60 * 4, 60 * 9])


def test_a_pass_keeps_its_buffers(session):
    """Up to 1.29 ONNX Runtime does not, and wrote to memory that was given back."""
    inputs = {"image": session.buffer(ones(SHAPES["image"])), "scale": session.buffer([2, 3])}
    outputs = {"scaled": session.buffer(np.zeros(SHAPES["image"])), "sum": session.buffer([0, 0])}
    buffers = [weakref.ref(buffer) for buffer in (*inputs.values(), *outputs.values())]
    run = session.bind(inputs, outputs)
    del inputs, outputs
    gc.collect()
    assert all(buffer() is not None for buffer in buffers)
    del run
    gc.collect()
    assert all(buffer() is None for buffer in buffers)


def test_a_buffer_is_a_copy_in_float32(session):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    for given in (values, values.astype(np.float64), values.T.copy().T):
        buffer = session.buffer(given)
        np.testing.assert_array_equal(buffer.numpy(), values)
        assert buffer.element_type() == onnx.TensorProto.FLOAT
        buffer.update_inplace(np.zeros((2, 3), np.float32))
        assert given[1, 2] == 5
    assert session.buffer(0.5).shape() == []


def test_weights_are_read_from_the_folder_of_the_bundle(provider):
    bundle, image = Bundle.load("alexnet"), np.random.default_rng(0).random((1, 3, 32, 32))
    graph = link_targets(bundle.read_graph("forward", "avg"), content("conv1").terms)
    session = open_session(
        graph, {"image": image.shape}, provider, weights_folder=bundle.path, threads=1
    )
    (activation,) = session.run({"image": image.astype(np.float32)}).values()
    assert activation.shape == (1, 64, 7, 7)
    assert activation.std() > 0.1


def test_a_session_that_would_run_elsewhere_is_refused(monkeypatch):
    """ONNX Runtime hands back one on the processor where a provider does not load."""
    options = CPU.session_options(threads=1)
    monkeypatch.setattr(Provider, "session_options", lambda *_, **__: options)
    with pytest.raises(ProviderError, match="CUDAExecutionProvider"):
        open_session(onnx.parser.parse_model(AFFINE), SHAPES, Provider("cuda", "fp32"))


@pytest.mark.parametrize("bound", [False, True])
def test_a_pass_can_be_ended_in_the_middle_from_another_thread(provider, bound):
    options, size = PassOptions(), 384
    nodes = "".join(f"x{n + 1} = MatMul(x{n}, x{n})\n" for n in range(100))
    text = f"""<ir_version: 9, opset_import: ["" : 20]>
        chain (float[A, A] x0) => (float[A, A] x100) {{ {nodes} }}"""
    shapes = {"x0": (size, size)}
    graph = onnx.parser.parse_model(text)
    chain = open_session(graph, shapes, provider, threads=1, run_options=options)
    values = np.eye(size, dtype=np.float32)
    run = chain.bind({"x0": chain.buffer(values)}, {"x100": chain.buffer(values)})

    def once():
        run() if bound else chain.run({"x0": values})

    start = time.perf_counter()
    once()
    whole = time.perf_counter() - start
    timer = threading.Timer(whole / 10, lambda: setattr(options, "terminate", True))
    timer.start()
    with pytest.raises(StoppedError):
        once()
    timer.join()
    options.terminate = False
    once()


def test_threads_may_run_one_session_at_the_same_time(provider):
    session = open_session(onnx.parser.parse_model(AFFINE), SHAPES, provider, threads=1)

    def total(value):
        return session.run({"image": ones(SHAPES["image"], value), "scale": ones(2)})["sum"][0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(total, range(50))) == [60 * value for value in range(50)]


@pytest.mark.skipif(not check("openvino").usable, reason="OpenVINO is not here")
def test_openvino_reads_weights_beside_which_nothing_can_be_written(tmp_path, monkeypatch):
    """A bundle in a read-only folder, without a cache."""
    bundle, shapes = Bundle.load("alexnet"), {"image": (1, 3, 32, 32)}
    graph = link_targets(bundle.read_graph("forward", "avg"), content("conv1").terms)
    written = []

    def refuse(path, data):
        written.append(path)
        if path.parent == bundle.path:
            raise PermissionError(path)
        return write_bytes(path, data)

    write_bytes = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", refuse)
    openvino = Provider("openvino", "fp32")
    session = open_session(graph, shapes, openvino, weights_folder=bundle.path, threads=1)
    assert session.output_shapes
    first, second = written
    assert first.parent == bundle.path
    assert not second.parent.exists()


@pytest.mark.skipif(not check("openvino").usable, reason="OpenVINO is not here")
def test_openvino_removes_what_killed_processes_left_beside_weights(tmp_path):
    bundle, shapes = Bundle.load("alexnet"), {"image": (1, 3, 32, 32)}
    graph = link_targets(bundle.read_graph("forward", "avg"), content("conv1").terms)
    shutil.copy(bundle.path / WEIGHTS, tmp_path)
    others = [tmp_path / ".nstbatch-1.onnx.tmp", tmp_path / ".nstbatch-2.onnx.tmp"]
    for path in others:
        path.touch()
    os.utime(others[0], (0, 0))
    open_session(graph, shapes, Provider("openvino", "fp32"), weights_folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == [others[1], tmp_path / WEIGHTS]


def test_the_first_pass_gives_back_the_memory_of_its_own_device():
    options = PassOptions()
    found = [
        options.first(provider).get_run_config_entry(SHRINKAGE)
        for provider in (Provider("cpu", "fp32"), Provider("cuda", "fp16", 1))
    ]
    assert found == ["cpu:0", "gpu:1"]
