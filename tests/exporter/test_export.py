import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from nstbatch.cli.main import run
from nstbatch.exporter import export as export_module
from nstbatch.exporter.checks.verify import verify
from nstbatch.exporter.export import Export, Graphs, export_bundle
from nstbatch.exporter.rules import ReluRule
from nstbatch.exporter.store import WeightStore
from nstbatch.exporter.trace import vjp_graph
from nstbatch.runtime.bundles.bundle import MANIFEST, WEIGHTS, Bundle, file_names, installed
from nstbatch.runtime.errors import BundleError, UnknownNameError, UsageError

EXAMPLES = Path(__file__).parents[2] / "examples"

SOURCE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module("conv", nn.Conv2d(3, 64, 3, padding=1))
    network.add_module("relu", nn.ReLU(inplace=True))
    network.add_module("pool", nn.MaxPool2d(2))
    network.add_module("deep", nn.Conv2d(64, 8, 3))
    network.preprocessing = {
        "channels": "BGR", "scale": 255, "mean": [104, 117, 123], "std": [1, 1, 1]
    }
    return network
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("source") / "tiny.py"
    path.write_text(SOURCE, encoding="utf-8")
    return f"{path}:build"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """The lines of progress of the export."""
    return []


@pytest.fixture(scope="module")
def traced() -> Callable[[Export, Callable[[str], None]], Graphs]:
    """Traces the first export it is given, and hands out copies of those graphs."""
    graphs: Graphs = []

    def trace(export, log):
        if not graphs:
            graphs.extend(export_module.trace_graphs(export, log))
        return [(file, model.clone()) for file, model in graphs]

    return trace


@pytest.fixture(scope="module")
def exported(source, lines, traced, tmp_path_factory) -> Export:
    out = tmp_path_factory.mktemp("exported") / "tiny"
    return export_bundle(source, out=out, layers=["relu", "[dp]*"], trace=traced, log=lines.append)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Folder for bundles that are exported without --out."""
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def no_tracing(monkeypatch) -> None:
    """Makes the first graph fail."""

    def fail(network):
        raise UsageError("cannot be traced")

    monkeypatch.setattr(export_module, "forward_graph", fail)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- A bundle ---------------------------------------------------------------------------------


def test_the_bundle_is_whole(exported):
    bundle = Bundle.load(exported.bundle.path)
    assert bundle == exported.bundle
    bundle.verify()
    assert set(contents(bundle.path)) == {MANIFEST, *file_names(("avg", "max"))}


def test_the_manifest_says_what_it_is(exported):
    bundle = exported.bundle
    assert bundle.name == "tiny"
    assert bundle.architecture == "tiny.py:build"
    assert bundle.layer_names == ("relu", "pool", "deep")
    assert [layer.stride for layer in bundle.layers] == [1, 2, 2]
    assert [layer.receptive_field for layer in bundle.layers] == [3, 4, 8]
    assert bundle.preprocessing.channels == "BGR"
    assert bundle.style_layers == ("relu", "pool", "deep")
    assert bundle.torch_version == torch.__version__
    assert bundle.weights_source == "made by tiny.py:build"


def test_the_weights_are_stored_once_in_half_precision(exported):
    weights = safetensors.torch.load_file(exported.bundle.weights_path)
    assert weights["conv.weight"].dtype == torch.float16
    assert weights["conv.bias"].dtype == torch.float32
    state = exported.network.state_dict()
    assert all(torch.equal(tensor.float(), state[name]) for name, tensor in weights.items())
    for name in exported.bundle.sha256:
        if name != WEIGHTS:
            graph = onnx.load_model(exported.bundle.path / name, load_external_data=False).graph
            inside = [i for i in graph.initializer if i.data_location == onnx.TensorProto.DEFAULT]
            assert all(len(i.raw_data) < 1024 for i in inside)
            assert {"conv.weight", "deep.weight"} <= {i.name for i in graph.initializer}
            assert (exported.bundle.path / name).stat().st_size < 30_000


def test_the_graphs_agree_with_pytorch(exported):
    rows = verify(exported)
    assert {row.graph for row in rows} == {*exported.bundle.sha256} - {WEIGHTS}
    assert all(row.is_right for row in rows)


def test_average_and_max_pooling_differ(exported):
    image = np.random.default_rng(0).random((1, 3, 20, 24), np.float32)
    found = {}
    for pooling in ("avg", "max"):
        path = exported.bundle.graph_path("forward", pooling)
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found[pooling],) = session.run(["pool"], {"image": image})
    assert (found["max"] > found["avg"]).mean() > 0.5


def test_what_is_done_is_told(lines, exported):
    graphs = [line.removeprefix("Tracing ") for line in lines if line.startswith("Tracing ")]
    assert lines[0] == "Weights of tiny"
    assert sorted(graphs) == sorted({*exported.bundle.sha256} - {WEIGHTS})


def test_the_example_makes_pictures(tmp_path, home, capsys):
    """Run the two commands of the example's docstring."""
    source = f"{EXAMPLES / 'custom_backbone.py'}:build"
    assert run(["export", source, "--layers", "relu[12]", "--quiet"]) == 0
    assert "custom_backbone" in installed()
    assert Bundle.load("custom_backbone").path == home / "bundles/custom_backbone"

    photo, style = EXAMPLES / "photos/chelsea.jpg", EXAMPLES / "styles/starry_night.jpg"
    words = ["stylize", str(photo), "--style", str(style), "--model", "custom_backbone"]
    words += ["--device", "cpu", "--size", "64", "--iterations", "4", "--scales", "1"]
    assert run([*words, "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/chelsea.jpg").stat().st_size > 0


# --- What is there already --------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_bundle_is_left_alone(source, tmp_path, overwrite):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.txt").write_text("It was a dark and stormy night.")
    with pytest.raises(UsageError, match="exists already"):
        export_bundle(source, out=tmp_path / "thesis", overwrite=overwrite)
    assert list(contents(tmp_path / "thesis")) == ["chapter1.txt"]


def test_a_bundle_is_replaced_only_when_asked(source, exported, traced, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(exported.bundle.path, folder)
    with pytest.raises(UsageError, match="--overwrite"):
        export_bundle(source, out=folder)
    (folder / MANIFEST).write_text("{}")
    (folder / "notes.txt").write_text("of an older bundle")
    layers = ["relu", "[dp]*"]
    again = export_bundle(source, out=folder, layers=layers, overwrite=True, trace=traced)
    assert contents(folder) == contents(exported.bundle.path)
    assert again.bundle.path == folder


# --- Failing ----------------------------------------------------------------------------------


def test_a_failure_leaves_nothing_behind(source, tmp_path, no_tracing):
    with pytest.raises(UsageError, match="cannot be traced"):
        export_bundle(source, out=tmp_path / "new" / "tiny")
    assert contents(tmp_path) == {}
    assert not any((tmp_path / "new").iterdir())


def test_a_failure_leaves_the_older_bundle(source, exported, tmp_path, no_tracing):
    folder = tmp_path / "tiny"
    shutil.copytree(exported.bundle.path, folder)
    with pytest.raises(UsageError, match="cannot be traced"):
        export_bundle(source, out=folder, overwrite=True)
    assert contents(folder) == contents(exported.bundle.path)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize("name", ["vgg16", "tiny"])
def test_an_unknown_layer_lists_the_names(name, source, home):
    known = {"vgg16": "Known: conv1_1, relu1_1", "tiny": "Known: conv, relu, pool"}[name]
    with pytest.raises(UnknownNameError, match=f"Unknown layer .*'raley.'.* {known}"):
        export_bundle(source if name == "tiny" else name, layers=["relu*", "raley*"])
    assert not home.exists()


def test_layers_of_a_backbone_are_chosen_by_globs(monkeypatch, tmp_path):
    """The suggested layers are then among the exported ones."""
    backbone = export_module.find_backbone("vgg16", ["relu[34]_1", "pool5"])
    assert list(backbone.layers) == ["relu3_1", "relu4_1", "pool5"]
    assert backbone.style_layers == ("relu3_1", "relu4_1")
    assert backbone.content_layers == ()


@pytest.fixture
def weights(tmp_path, source) -> Path:
    """A weights file for the tiny network."""
    state = export_module.find_backbone(source, ()).build().state_dict()
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_weights_from_a_file(weights, source, no_tracing):
    """The weights are read, checked and fit; the first graph comes after that."""
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest().upper()
    with pytest.raises(UsageError, match="cannot be traced"):
        export_bundle(source, weights=weights, sha256=sha256)


def test_weights_with_another_hash(weights, source, home):
    with pytest.raises(BundleError, match=f"has the SHA-256 .*, not {'0' * 64}"):
        export_bundle(source, weights=weights, sha256="0" * 64)
    assert not home.exists()


def test_weights_of_the_wrong_shape(weights, source, home):
    state = safetensors.torch.load_file(weights)
    state["deep.bias"] = torch.zeros(9)
    safetensors.torch.save_file(state, weights)
    with pytest.raises(BundleError, match=r"deep\.bias is \(9,\); expected \(8,\)"):
        export_bundle(source, weights=weights)
    assert not home.exists()


# --- The built-in bundles ---------------------------------------------------------------------


def test_a_built_in_graph_comes_out_the_same_again(built_in, serialised, tmp_path):
    """The committed bundles are byte for byte what this exporter makes."""
    export = built_in("alexnet")
    bundle = export.bundle
    store = WeightStore(tmp_path, safetensors.numpy.load_file(bundle.weights_path))
    graph = vjp_graph(export.layer_network("max"), ReluRule.GRADIENT)
    store.share(graph)
    assert serialised(graph) == bundle.graph_path("gradient", "max").read_bytes()
    assert (tmp_path / WEIGHTS).read_bytes() == bundle.weights_path.read_bytes()


@pytest.mark.parametrize("name", ["vgg16", "alexnet", "squeezenet1_1"])
def test_a_built_in_graph_holds_no_weights(name, built_in):
    bundle = built_in(name).bundle
    for file in {*bundle.sha256} - {WEIGHTS}:
        graph = onnx.load_model(bundle.path / file, load_external_data=False).graph
        inside = [i for i in graph.initializer if i.data_location == onnx.TensorProto.DEFAULT]
        assert all(len(i.raw_data) < 1024 for i in inside)
        assert (bundle.path / file).stat().st_size < 256 * 1024
