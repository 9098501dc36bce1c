import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from nstbatch.runtime.bundles import bundle as bundles
from nstbatch.runtime.bundles import exportable
from nstbatch.runtime.bundles.bundle import Bundle, Layer, Preprocessing
from nstbatch.runtime.errors import BundleError, UnknownNameError, UsageError

CONTENTS = {name: name.encode() for name in bundles.file_names(("avg", "max"))}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NSTBATCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write_bundle(folder: Path, **changes) -> Bundle:
    folder.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    bundle = Bundle(
        path=folder,
        name="tiny",
        architecture="tiny.py:build",
        poolings=("avg", "max"),
        layers=(
            Layer("relu1_1", 64, 1, 3),
            Layer("fire2/concat", 8, 4, 23),
            Layer("p", 5, None, None),
        ),
        preprocessing=Preprocessing("BGR", 255.0, (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
        style_layers=("relu1_1", "fire2/concat"),
        content_layers=("fire2/concat",),
        classes=("tench", "Königskatze", "tench", "a", "b"),
        opset=20,
        torch_version="2.13.0",
        exporter_version="0.1.0",
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()},
        weights_source="random",
        weights_licence="Apache-2.0",
    )
    bundle = dataclasses.replace(bundle, **changes)
    bundles.write_manifest(bundle)
    return bundle


@pytest.fixture
def tiny(tmp_path) -> Bundle:
    return write_bundle(tmp_path / "tiny")


def edit(bundle: Bundle, change) -> None:
    path = bundle.path / "bundle.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_what_is_written_is_read_back(tiny):
    loaded = Bundle.load(tiny.path)
    assert loaded == tiny
    assert loaded.layer_names == ("relu1_1", "fire2/concat", "p")
    assert loaded.layer("fire2/concat").receptive_field == 23
    assert loaded.weights_path == tiny.path / "weights.safetensors"
    files = [path for path in tiny.path.iterdir() if path.is_file()]
    assert loaded.size_bytes == sum(path.stat().st_size for path in files)
    assert {path.name for path in files} == {"bundle.json", *CONTENTS}


def test_the_manifest_is_written_the_same_every_time(tiny, tmp_path):
    again = write_bundle(tmp_path / "again")
    assert (tiny.path / "bundle.json").read_bytes() == (again.path / "bundle.json").read_bytes()
    assert json.loads((tiny.path / "bundle.json").read_bytes())["format"] == 1


def test_the_files_of_each_graph(tiny):
    names = {
        tiny.graph_path(kind, pooling).name
        for kind in ("forward", "gradient")
        for pooling in ("avg", "max")
    } | {tiny.graph_path(kind, "max").name for kind in ("deconv", "guided")}
    assert names == set(CONTENTS) - {"weights.safetensors"}


def test_a_deconv_graph_needs_max_pooling(tiny, tmp_path):
    with pytest.raises(UsageError, match="max pooling only"):
        tiny.graph_path("deconv", "avg")
    only_avg = write_bundle(
        tmp_path / "avg",
        poolings=("avg",),
        sha256={name: tiny.sha256[name] for name in bundles.file_names(("avg",))},
    )
    assert "deconv.onnx" not in only_avg.sha256
    with pytest.raises(UnknownNameError, match="Known: avg"):
        only_avg.graph_path("gradient", "max")


def test_an_unknown_layer_lists_the_right_ones(tiny):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'relu1_1'\? Known: relu1_1, fire2"):
        tiny.layer("relu1_2")


# --- Finding ----------------------------------------------------------------------------------


def test_an_installed_model_is_found_by_name(home):
    bundle = write_bundle(home / "bundles" / "tiny")
    assert "tiny" in bundles.installed()
    assert Bundle.load("tiny") == bundle


def test_a_built_in_model_hides_an_installed_one(home, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "builtin_folder", lambda: tmp_path / "builtin")
    write_bundle(home / "bundles" / "tiny")
    write_bundle(home / "bundles" / "another")
    builtin = write_bundle(tmp_path / "builtin" / "tiny")
    assert Bundle.load("tiny").path == builtin.path
    assert bundles.installed() == ["tiny", "another"]


def test_a_folder_without_a_manifest_is_no_model(home):
    (home / "bundles" / "empty").mkdir(parents=True)
    assert "empty" not in bundles.installed()


def test_an_unknown_model_lists_the_known_ones(home):
    write_bundle(home / "bundles" / "tiny")
    with pytest.raises(UnknownNameError, match=r"Unknown model 'tini'\. Did you mean 'tiny'\?"):
        Bundle.load("tini")


@pytest.mark.parametrize("has_torch", [True, False])
def test_a_network_that_can_be_exported_says_how(home, monkeypatch, has_torch):
    monkeypatch.setattr(exportable, "find_spec", lambda name: "found" if has_torch else None)
    with pytest.raises(UsageError, match="To download and install it") as caught:
        Bundle.load("vgg19")
    assert str(caught.value).endswith("nstbatch export vgg19")
    assert ("nstbatch[export]" in str(caught.value)) is not has_torch
    with pytest.raises(UnknownNameError, match=r"Did you mean 'resnet18'\?"):
        Bundle.load("resnet_18")
    write_bundle(home / "bundles" / "vgg19")
    assert Bundle.load("vgg19").path == home / "bundles" / "vgg19"


def test_a_bundle_in_the_current_folder_is_found_by_name(tiny, monkeypatch):
    monkeypatch.chdir(tiny.path.parent)
    assert Bundle.load("tiny").path == tiny.path


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        Bundle.load(tmp_path / "nothing")
    with pytest.raises(BundleError, match="No bundle in"):
        Bundle.load(tmp_path)


# --- Damage -----------------------------------------------------------------------------------


def test_a_missing_file_is_named(tiny):
    (tiny.path / "gradient_avg.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks gradient_avg\.onnx"):
        Bundle.load(tiny.path)


def test_verify_names_the_changed_file(tiny):
    tiny.verify()
    tiny.weights_path.write_bytes(b"x")
    with pytest.raises(BundleError, match=r": weights\.safetensors do not"):
        tiny.verify()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'{"format": 1', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "should be an object"),
        (b"{}", "format is None; this version reads 1"),
        (b'{"format": 2}', "format is 2; this version reads 1"),
        (b'{"format": 1}', "has no 'name'"),
    ],
)
def test_a_file_that_is_no_manifest(tiny, content, message):
    (tiny.path / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        Bundle.load(tiny.path)


def set_field(name, value):
    return lambda data: data.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_field("extra", 1), "unknown fields: 'extra'"),
        (set_field("name", "../evil"), "'name' of bundle.json should be letters"),
        (set_field("name", 3), "'name' of bundle.json should be a non-empty string, not 3"),
        (set_field("poolings", []), "one or both of 'avg' and 'max'"),
        (set_field("poolings", ["avg", "avg"]), "one or both of 'avg' and 'max'"),
        (set_field("poolings", ["median"]), "one or both of 'avg' and 'max'"),
        (set_field("layers", []), "one or more layers"),
        (lambda data: data["layers"].append(data["layers"][0]), "of different names"),
        (lambda data: data["layers"][1].update(channels=0), r"'channels' of layers\[1\]"),
        (lambda data: data["layers"][1].update(channels=True), r"'channels' of layers\[1\]"),
        (lambda data: data["layers"][2].update(stride=0.5), r"'stride' of layers\[2\]"),
        (lambda data: data["layers"][0].pop("stride"), r"layers\[0\] has no 'stride'"),
        (set_field("layers", ["relu1_1"]), r"layers\[0\] should be an object"),
        (set_field("style_layers", ["relu9"]), "names from 'layers'"),
        (set_field("style_layers", "relu1_1"), "should be a list of non-empty strings"),
        (lambda data: data["preprocessing"].update(channels="GRB"), "'RGB' or 'BGR'"),
        (lambda data: data["preprocessing"].update(scale=2), "should be 1 or 255, not 2"),
        (lambda data: data["preprocessing"].update(std=[1, 1, 0]), "3 numbers above 0"),
        (lambda data: data["preprocessing"].update(mean=[1, 1]), "'mean'.*3 numbers"),
        (lambda data: data["preprocessing"].update(mean=[1, 1, float("nan")]), "3 numbers"),
        (set_field("classes", [1]), "should be a list of non-empty strings"),
        (set_field("opset", "20"), "should be a whole number"),
        (lambda data: data["sha256"].pop("deconv.onnx"), "a hash for each of"),
        (lambda data: data["sha256"].update({"../../etc/passwd": "0" * 64}), "a hash for each of"),
        (lambda data: data["sha256"].update({"deconv.onnx": "0" * 63}), "64 hexadecimal"),
        (lambda data: data["sha256"].update({"deconv.onnx": "G" * 64}), "64 hexadecimal"),
        (
            lambda data: data["sha256"].update({"deconv.onnx": None}),
            "an object whose values are strings",
        ),
    ],
)
def test_a_damaged_manifest_says_where(tiny, change, message):
    edit(tiny, change)
    with pytest.raises(BundleError, match=message) as error:
        Bundle.load(tiny.path)
    assert str(tiny.path / "bundle.json") in str(error.value)


def test_a_bundle_that_would_not_load_is_not_written(tiny, tmp_path):
    before = (tiny.path / "bundle.json").read_bytes()
    with pytest.raises(BundleError, match="names from 'layers'"):
        bundles.write_manifest(dataclasses.replace(tiny, content_layers=("conv9",)))
    assert (tiny.path / "bundle.json").read_bytes() == before


# --- Graphs -----------------------------------------------------------------------------------


def test_a_graph_is_read_without_its_weights(tiny):
    layers = [onnx.helper.make_node("Relu", ["image"], [name]) for name in tiny.layer_names]
    image, *outputs = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])
        for name in ("image", *tiny.layer_names)
    )
    graph = onnx.helper.make_graph(layers, "graph", [image], outputs, [external_tensor()])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    onnx.save_model(model, tiny.graph_path("forward", "avg"))
    read = tiny.read_graph("forward", "avg")
    assert read.graph.initializer[0].external_data[0].value == "weights.safetensors"
    assert not read.graph.initializer[0].raw_data


def test_a_file_that_is_no_graph(tiny):
    tiny.graph_path("forward", "avg").write_bytes(b"text")
    with pytest.raises(BundleError, match="is not an ONNX graph"):
        tiny.read_graph("forward", "avg")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "../weights.safetensors"}, "from '../weights.safetensors'"),
        ({"location": "/etc/passwd"}, "from '/etc/passwd'"),
        ({"location": "./weights.safetensors"}, "of the same bundle only"),
        ({"location": None}, "from None"),
        ({"offset": "-1"}, "bytes -1 to 3"),
        ({"offset": "16"}, "which has 19 bytes"),
        ({"offset": "x"}, "no valid offset and length for 'w'"),
        ({"length": None}, "no valid offset and length for 'w'"),
    ],
)
def test_weights_from_elsewhere_are_refused(tiny, entries, message):
    onnx.save_model(graph_with(external_tensor(**entries)), tiny.graph_path("forward", "avg"))
    with pytest.raises(BundleError, match=message):
        tiny.read_graph("forward", "avg")


def test_weights_from_elsewhere_are_refused_deep_inside(tiny):
    tensor = external_tensor(location="secret")
    inner = graph_with(tensor).graph
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    branches = onnx.helper.make_node("If", ["b"], ["y"], then_branch=inner, else_branch=inner)
    function = onnx.helper.make_function("f", "g", [], ["c"], [constant], [])
    for nodes, functions in ([constant], []), ([branches], []), ([], [function]):
        graph = onnx.helper.make_graph(nodes, "graph", [], [])
        model = onnx.helper.make_model(graph, functions=functions)
        onnx.save_model(model, tiny.graph_path("forward", "avg"))
        with pytest.raises(BundleError, match="from 'secret'"):
            tiny.read_graph("forward", "avg")


def external_tensor(**changes):
    entries = {"location": "weights.safetensors", "offset": "8", "length": "4"} | changes
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


def graph_with(tensor):
    return onnx.helper.make_model(onnx.helper.make_graph([], "graph", [], [], [tensor]))


def test_the_manifest_alone_imports_neither_onnx_nor_numpy():
    code = (
        "import sys, nstbatch.runtime.bundles.bundle;"
        "print([name for name in ('onnx', 'numpy', 'onnxruntime') if name in sys.modules])"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.strip() == "[]"
