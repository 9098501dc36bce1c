"""A graph from the cache computes, to the bit, what it computed when it was made."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from nstbatch.runtime.cache import stored_graph
from nstbatch.runtime.cache.cache import Cache
from nstbatch.runtime.devices.providers import check, resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.engine.ready_graph import ReadyGraph, Recipe
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer

CPU = resolve("cpu")
SHAPES = {"image": (1, 16, 12, 10)}
TEXT = """
    <ir_version: 9, opset_import: ["" : 20]>
    layer (float[N, 16, H, W] image) => (float[N, C, H, W] relu) {
        filters = Neg(weight)
        convolved = Conv<pads = [1, 1, 1, 1]>(image, filters)
        relu = Relu(convolved)
    }
"""
IMAGE = np.random.default_rng(1).standard_normal(SHAPES["image"], dtype=np.float32)


def layer() -> onnx.ModelProto:
    """One convolution, with weights that are worth a blob."""
    model = onnx.parser.parse_model(TEXT)
    weight = np.random.default_rng(0).standard_normal((32, 16, 3, 3), dtype=np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    return model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NSTBATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nstbatch"


@pytest.fixture
def made():
    """What has been made from a recipe, so far."""
    return []


@pytest.fixture
def run(made):
    """A function that opens a session of a recipe and runs it."""

    def run(*parts, shapes=SHAPES, provider=CPU):
        def make():
            made.append(parts)
            return layer()

        session = open_session(Recipe(parts, make), shapes, provider, threads=1)
        image = np.resize(IMAGE, shapes["image"])
        return session.run({"image": image})["relu"]

    return run


def blobs(folder):
    return [path for path in folder.iterdir() if path.suffix == ".blob"]


def entries(folder):
    return [path for path in folder.iterdir() if path.suffix == ".entry"]


def test_a_graph_is_made_once(folder, made, run):
    first, again = run("a"), run("a")
    np.testing.assert_array_equal(first, again)
    assert made == [("a",)]
    assert (len(entries(folder)), len(blobs(folder))) == (1, 1)
    assert not list(folder.glob(".nstbatch-*"))


@pytest.mark.parametrize("other", [("b", SHAPES), ("a", {"image": (1, 16, 12, 12)})])
def test_another_graph_is_made_anew_and_shares_the_weights(folder, made, run, other):
    run("a")
    part, shapes = other
    run(part, shapes=shapes)
    assert made == [("a",), (part,)]
    assert (len(entries(folder)), len(blobs(folder))) == (2, 1)


def test_it_is_the_same_as_without_a_cache(folder, run, monkeypatch):
    run("a")
    kept = run("a")
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    np.testing.assert_array_equal(run("a"), kept)


def test_a_graph_by_itself_is_not_kept(folder):
    open_session(layer(), SHAPES, CPU, threads=1)
    assert not folder.exists()


def test_off_means_off(folder, made, run, monkeypatch):
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    run("a")
    run("a")
    assert made == [("a",)] * 2
    assert not folder.exists()


@pytest.mark.parametrize("kind", [entries, blobs])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"nonsense"), Path.unlink])
def test_what_is_damaged_or_gone_is_made_anew(folder, made, run, kind, damage, monkeypatch):
    expected = run("a")
    (path,) = kind(folder)
    damage(path)
    monkeypatch.setattr(stored_graph, "current_cache", lambda: Cache(folder))  # as a new process
    np.testing.assert_array_equal(run("a"), expected)
    np.testing.assert_array_equal(run("a"), expected)
    assert made == [("a",)] * 2


def test_a_kept_graph_that_does_not_open_is_made_anew(folder, made, run, monkeypatch):
    """Its key and its checksum are right, and still something is wrong with it."""
    expected = run("a")
    (path,) = entries(folder)
    Cache(folder).write(path.stem, b"[]\nnot a graph")
    np.testing.assert_array_equal(run("a"), expected)
    assert made == [("a",)] * 2
    run("a")
    assert made == [("a",)] * 2


def test_a_folder_that_cannot_be_written_to_is_no_error(folder, made, run):
    expected = run("b")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.touch()
    np.testing.assert_array_equal(run("a"), expected)
    assert made == [("b",), ("a",)]


def test_a_disk_that_is_full_is_no_error(folder, run, monkeypatch):
    expected = run("b")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored_graph.StoredGraph, "_store", full)
    np.testing.assert_array_equal(run("a"), expected)
    assert len(entries(folder)) == 1
    assert not list(folder.glob(".nstbatch-*"))


@pytest.fixture
def ready_graph(made, tmp_path):
    """A function that makes a graph ready for a device, which need not be there."""

    def ready_graph(device, shapes=SHAPES):
        def make():
            made.append(device)
            return layer()

        elsewhere = replace(CPU, device=device)
        return ReadyGraph(Recipe(("a",), make), shapes, elsewhere, tmp_path)

    return ready_graph


def operators(graph: ReadyGraph) -> list[str]:
    return [node.op_type for node in onnx.ModelProto.FromString(graph.data).graph.node]


def run_on_the_processor(graph: ReadyGraph):
    (given,) = onnx.ModelProto.FromString(graph.data).graph.input
    shape = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
    session = graph.open(CPU.session_options(threads=1))
    return session.run(None, {"image": np.resize(IMAGE, shape)})[0]


def test_on_a_gpu_the_linked_graph_is_kept(folder, made, ready_graph):
    """It reads the weights of its bundle."""
    first = ready_graph("cuda")
    output = run_on_the_processor(first)
    again = ready_graph("cuda")
    assert again.data == first.data
    assert operators(again) == ["Neg", "Conv", "Relu"]
    assert made == ["cuda"]
    assert blobs(folder) == []
    np.testing.assert_array_equal(run_on_the_processor(again), output)


def test_on_a_processor_weights_are_folded_once_for_all_sizes(folder, made, ready_graph):
    expected = run_on_the_processor(ready_graph("cuda"))
    made.clear()
    first, larger = ready_graph("openvino"), ready_graph("openvino", {"image": (1, 16, 14, 11)})
    assert operators(first) == operators(larger) == ["Conv", "Relu"]
    assert made == ["openvino"]
    assert len(blobs(folder)) == 1
    np.testing.assert_array_equal(run_on_the_processor(first), expected)
    assert run_on_the_processor(larger).shape == (1, 32, 14, 11)
    again = ready_graph("openvino")
    assert again.data == first.data
    np.testing.assert_array_equal(run_on_the_processor(again), expected)
    assert made == ["openvino"]


def test_weights_that_are_gone_are_folded_again(folder, made, ready_graph, monkeypatch):
    expected = run_on_the_processor(ready_graph("openvino"))
    (blob,) = blobs(folder)
    blob.unlink()
    monkeypatch.setattr(stored_graph, "current_cache", lambda: Cache(folder))  # as a new process
    np.testing.assert_array_equal(run_on_the_processor(ready_graph("openvino")), expected)
    assert made == ["openvino"] * 2
    assert blobs(folder) == [blob]


def test_weights_that_cannot_be_kept_are_not_folded(folder, ready_graph):
    expected = run_on_the_processor(ready_graph("cuda"))
    shutil.rmtree(folder)
    folder.touch()
    graph = ready_graph("openvino")
    assert operators(graph) == ["Neg", "Conv", "Relu"]
    np.testing.assert_array_equal(run_on_the_processor(graph), expected)


@pytest.mark.parametrize("device", [name for name in ("cpu", "openvino") if check(name).usable])
@pytest.mark.parametrize(("pooling", "optimizer"), [("avg", "lbfgs"), ("max", "adam")])
def test_pictures_are_the_same_to_the_bit(folder, monkeypatch, device, pooling, optimizer):
    random = np.random.default_rng(0)
    photo, painting = (random.random((size, 70, 3), dtype=np.float32) for size in (60, 50))
    options = StyleTransferOptions(
        size=64, scales=2, iterations=6, pooling=pooling, optimizer=optimizer
    )

    def paint():
        return StyleTransfer("alexnet", device=device, threads=1)(photo, painting, options).image

    fresh, cached = paint(), paint()
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    np.testing.assert_array_equal(paint(), fresh)
    np.testing.assert_array_equal(cached, fresh)
