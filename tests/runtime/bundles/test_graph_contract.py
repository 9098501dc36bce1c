"""A bundle that breaks its contract is refused with the reason, before any image is processed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from nstbatch.cli.main import run
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.checks import POOLINGS
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.errors import BundleError
from nstbatch.runtime.pictures import images

BUILT_IN = ("vgg16", "alexnet", "squeezenet1_1")
FORWARD, GRADIENT = "forward_avg.onnx", "gradient_avg.onnx"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of a bundle that the test may change."""
    return Path(shutil.copytree(Bundle.load("squeezenet1_1").path, tmp_path / "bundle"))


def rehash(folder: Path) -> None:
    """Write the files' hashes into the manifest, as an attacker would."""
    manifest = json.loads((folder / "bundle.json").read_text())
    for name in manifest["sha256"]:
        manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(manifest))


def read(folder: Path, name: str) -> None:
    Engine(folder, device="cpu").bundle.read_graph(name.split("_")[0], "avg")


@pytest.mark.parametrize("model", BUILT_IN)
def test_the_built_in_bundles_keep_it(model: str) -> None:
    bundle = Bundle.load(model)
    for pooling in POOLINGS:
        for kind in ("forward", "gradient"):
            bundle.read_graph(kind, pooling)
    for kind in ("deconv", "guided"):
        bundle.read_graph(kind)


# --- Files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [FORWARD, GRADIENT, "deconv.onnx", "weights.safetensors"])
def test_a_file_with_another_hash_is_refused(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(BundleError, match=rf"{name} do not have the SHA-256"):
        Engine(copy, device="cpu")


def test_a_link_to_a_file_elsewhere_is_refused(copy: Path, tmp_path: Path) -> None:
    secret = (copy / "weights.safetensors").rename(tmp_path / "secret")
    (copy / "weights.safetensors").symlink_to(secret)
    with pytest.raises(BundleError, match=r"links to files elsewhere: weights\.safetensors"):
        Bundle.load(copy)


def test_a_link_to_a_whole_bundle_is_none_of_these(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(copy)
    assert Bundle.load(tmp_path / "link").name == "squeezenet1_1"


def test_weights_that_are_cut_short_are_refused(copy: Path) -> None:
    (copy / "weights.safetensors").write_bytes(b"short")
    rehash(copy)
    with pytest.raises(BundleError, match=r"weights\.safetensors, which has 5 bytes"):
        read(copy, GRADIENT)


@pytest.mark.parametrize("data", [b"", b"text", b"\x08\x0a", bytes(100)])
@pytest.mark.parametrize("name", [FORWARD, GRADIENT])
def test_a_graph_that_is_not_onnx_is_refused(copy: Path, name: str, data: bytes) -> None:
    (copy / name).write_bytes(data)
    rehash(copy)
    with pytest.raises(BundleError, match=r"is not an ONNX graph|inputs should be .* but are none"):
        read(copy, name)


@pytest.mark.parametrize(("name", "other"), [(FORWARD, GRADIENT), (GRADIENT, FORWARD)])
def test_another_graph_under_its_name_is_refused(copy: Path, name: str, other: str) -> None:
    shutil.copy(copy / other, copy / name)
    rehash(copy)
    with pytest.raises(BundleError, match="is not the graph of its name: Its inputs should be"):
        read(copy, name)


# --- Graphs -----------------------------------------------------------------------------------


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[5].op_type = "Kaboom"


def of_another_domain(model: onnx.ModelProto) -> None:
    model.graph.node[5].domain = "evil"
    model.opset_import.add(domain="evil", version=1)


def without_operator_set(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def newer(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 999


def reading_nothing(model: onnx.ModelProto) -> None:
    model.graph.node[8].input[0] = "nowhere"


def giving_nothing(model: onnx.ModelProto) -> None:
    name = model.graph.output[0].name
    node = next(node for node in model.graph.node if name in node.output)
    node.output[list(node.output).index(name)] = "elsewhere"
    for later in model.graph.node:
        for position, wanted in enumerate(later.input):
            if wanted == name:
                later.input[position] = "elsewhere"


def without_a_layer(model: onnx.ModelProto) -> None:
    del model.graph.output[0]


def with_a_loop(model: onnx.ModelProto) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Loop", ["", ""], ["x"], body=body))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (unknown_operator, "ONNX 20 has no operator 'Kaboom'"),
        (of_another_domain, "operator sets should be ONNX's in version 20, not .*evil"),
        (without_operator_set, "in version 20, not {}"),
        (newer, "in version 20, not .*999"),
        (reading_nothing, "reads 'nowhere', which no node computes"),
        (giving_nothing, "No node computes its output 'conv1'"),
        (without_a_layer, "outputs should be conv1, .*, but are relu_conv1"),
        (with_a_loop, "graphs within nodes"),
    ],
)
@pytest.mark.parametrize("name", [FORWARD, GRADIENT])
def test_a_graph_that_breaks_the_contract_is_refused(
    copy: Path, name: str, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    model = onnx.load_model(copy / name, load_external_data=False)
    change(model)
    onnx.save_model(model, copy / name)
    rehash(copy)
    with pytest.raises(BundleError, match=message) as caught:
        read(copy, name)
    assert name in str(caught.value)


# --- The command line -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["forward_max.onnx", "gradient_max.onnx"])
def test_a_batch_with_a_bad_bundle_ends_before_the_first_photo(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (copy / name).write_bytes(b"text")
    rehash(copy)
    for photo in ("a.png", "b.png"):
        images.write(tmp_path / photo, np.zeros((64, 64, 3), np.float32))
    words = ["stylize", str(tmp_path / "a.png"), "-s", str(tmp_path / "b.png")]
    words += ["-o", str(tmp_path / "out"), "--model", str(copy), "--size", "64"]
    assert run(words) == 1
    assert f"{name} is not an ONNX graph" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
