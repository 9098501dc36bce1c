"""A graph from the cache computes, to the bit, what it computed when it was made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from nstbatch.runtime import ready
from nstbatch.runtime.cache import Cache
from nstbatch.runtime.options import StyleTransferOptions
from nstbatch.runtime.providers import resolve
from nstbatch.runtime.ready import ReadyGraph, Recipe
from nstbatch.runtime.session import Session
from nstbatch.runtime.style_transfer import StyleTransfer

CPU = resolve("cpu")
SHAPES = {"image": (1, 16, 12, 10)}
TEXT = """
    <ir_version: 9, opset_import: ["" : 20]>
    layer (float[N, 16, H, W] image) => (float[N, C, H, W] relu) {
        convolved = Conv<pads = [1, 1, 1, 1]>(image, weight)
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

        session = Session(Recipe(parts, make), shapes, provider, threads=1)
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
    Session(layer(), SHAPES, CPU, threads=1)
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
    monkeypatch.setattr(ready, "current_cache", lambda: Cache(folder))  # as a new process
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

    monkeypatch.setattr(ready._Shelf, "_keep", full)
    np.testing.assert_array_equal(run("a"), expected)
    assert len(entries(folder)) == 1
    assert not list(folder.glob(".nstbatch-*"))


def test_elsewhere_than_on_the_processor_the_linked_graph_is_kept(folder, made):
    """Only the CPU provider writes down what it has made of a graph; weights stay in the bundle."""
    elsewhere, options = replace(CPU, device="openvino"), CPU.session_options(threads=1)

    def make():
        made.append(1)
        return layer()

    first = ReadyGraph(Recipe(("a",), make), SHAPES, elsewhere, None)
    first.open(options)
    again = ReadyGraph(Recipe(("a",), make), SHAPES, elsewhere, None)
    assert again.data == first.data
    assert made == [1]
    assert blobs(folder) == []
    (output,) = again.open(CPU.session_options(threads=1)).run(None, {"image": IMAGE})
    assert output.shape == (1, 32, 12, 10)


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_pictures_are_the_same_to_the_bit(folder, monkeypatch, pooling, optimizer):
    random = np.random.default_rng(0)
    photo, painting = (random.random((size, 70, 3), dtype=np.float32) for size in (60, 50))
    options = StyleTransferOptions(
        size=64, scales=2, iterations=6, pooling=pooling, optimizer=optimizer
    )

    def paint():
        return StyleTransfer("alexnet", device="cpu", threads=1)(photo, painting, options).image

    fresh, cached = paint(), paint()
    monkeypatch.setenv("NSTBATCH_CACHE", "off")
    np.testing.assert_array_equal(paint(), fresh)
    np.testing.assert_array_equal(cached, fresh)
