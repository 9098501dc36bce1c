import dataclasses
import hashlib
import os
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from nstbatch.exporter.networks import backbones, weights
from nstbatch.exporter.networks.downloaded import DownloadedWeights
from nstbatch.exporter.networks.weights import fill, load, read_state, to_storage
from nstbatch.runtime.errors import BundleError, UsageError


@pytest.fixture
def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)).eval()


@pytest.fixture
def state(network):
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(tensor.shape, generator=generator)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


# --- Filling ----------------------------------------------------------------------------------


def test_a_network_is_filled(network, state):
    fill(network, state | {"head.weight": torch.ones(9)}, ignored=("head.*",))
    filled = network.state_dict()
    assert all(torch.equal(filled[name], tensor) for name, tensor in state.items())


def test_training_counters_do_not_matter(network, state):
    fill(network, state | {"1.num_batches_tracked": torch.tensor(7)})
    assert network[1].num_batches_tracked == 0


def test_a_missing_tensor_is_named(network, state):
    del state["2.bias"]
    with pytest.raises(BundleError, match=r"2\.bias is missing; expected \(2,\)\.$"):
        fill(network, state)


def test_an_unexpected_tensor_is_named(network, state):
    with pytest.raises(BundleError, match=r"head\.weight \(9, 2\) is unexpected"):
        fill(network, state | {"head.weight": torch.ones(9, 2)})


def test_a_wrong_shape_is_named(network, state):
    state["0.weight"] = torch.ones(4, 3, 5, 5)
    with pytest.raises(BundleError, match=r"0\.weight is \(4, 3, 5, 5\); expected \(4, 3, 3, 3\)"):
        fill(network, state)


def test_values_that_are_not_finite_are_refused(network, state):
    state["0.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(BundleError, match=r"0\.weight holds values that are not finite"):
        fill(network, state)


def test_only_the_first_offenders_are_named_and_nothing_is_filled(network):
    before = network[0].weight.clone()
    with pytest.raises(BundleError, match=r"; and 5 more\.$") as error:
        fill(network, {})
    assert str(error.value).count("missing") == 3
    assert torch.equal(network[0].weight, before)


# --- Files ------------------------------------------------------------------------------------


def test_files_of_every_kind_are_read(tmp_path, state):
    safetensors.torch.save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "c.pt")
    for path in tmp_path.iterdir():
        read = read_state(path)
        assert read.keys() == state.keys()
        assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("malicious",)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".txt"])
@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(Malicious()), b"PK\x03\x04\x00"])
def test_other_files_are_refused(tmp_path, monkeypatch, suffix, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="is not a weights file"):
        read_state(path)
    assert not (tmp_path / "malicious").exists()


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Malicious()}, tmp_path / "a.pth")
    with pytest.raises(BundleError, match="is not a weights file"):
        read_state(tmp_path / "a.pth")
    assert not (tmp_path / "malicious").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": 3}, "'weight' is int, not a tensor"),
        ({}, "holds no state dict"),
        (torch.ones(3), "no state dict, but Tensor"),
    ],
)
def test_a_file_of_something_else_says_what(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(BundleError, match=message):
        read_state(tmp_path / "a.pth")


# --- Loading ----------------------------------------------------------------------------------


def test_a_file_the_user_names(tmp_path):
    backbone = backbones.get("squeezenet1_1")
    wanted = {name: tensor + 1 for name, tensor in backbone.build().state_dict().items()}
    path = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(wanted, path)
    network = backbone.build()
    provenance = load(network, backbone, path)
    assert all(torch.equal(wanted[key], value) for key, value in network.state_dict().items())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance.source == f"mine.safetensors, SHA-256 {digest}"
    assert provenance.preprocessing == backbones.IMAGENET
    assert backbone.preprocessing == backbones.CAFFE


def test_the_file_of_a_whole_network_fills_its_convolutions(tmp_path):
    backbone = backbones.get("alexnet")
    state = backbone.build().state_dict() | {"classifier.1.weight": torch.ones(2, 2)}
    torch.save(state, tmp_path / "alexnet.pth")
    network = backbone.build()
    load(network, backbone, tmp_path / "alexnet.pth")
    assert torch.equal(network.state_dict()["features.10.bias"], state["features.10.bias"])


def test_a_damaged_file_of_a_package_is_refused(tmp_path):
    backbone = backbones.get("vgg16")
    (tmp_path / "vgg16.ckpt").write_bytes(b"text")
    with pytest.raises(BundleError, match=r"vgg16\.ckpt has the SHA-256 982d.*; expected 2ecb"):
        load(backbone.build(), backbone, tmp_path / "vgg16.ckpt")


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(backbones.get("vgg19").build().state_dict(), tmp_path / "vgg19.pth")
    vgg16 = backbones.get("vgg16")
    with pytest.raises(BundleError, match=r"Wrong weights: features\.17\.weight is missing"):
        load(vgg16.build(), vgg16, tmp_path / "vgg19.pth")


def test_a_file_that_is_not_there(tmp_path):
    backbone = backbones.get("alexnet")
    with pytest.raises(UsageError, match=r"There is no weights file .*nothing\.pth"):
        load(backbone.build(), backbone, tmp_path / "nothing.pth")


def test_a_network_may_bring_its_weights():
    backbone = dataclasses.replace(backbones.get("alexnet"), weights=None)
    network = backbone.build()
    before = network.state_dict()["features.0.weight"].clone()
    provenance = load(network, backbone)
    assert provenance.source == "made by torchvision alexnet, features"
    assert torch.equal(network.state_dict()["features.0.weight"], before)


# --- Downloading ------------------------------------------------------------------------------


@pytest.fixture
def zoo_file(tmp_path, monkeypatch):
    """A local model zoo with ResNet-18's weights, and an empty cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    network = backbones.get("resnet18").build()
    path = tmp_path / "resnet18.pth"
    torch.save(network.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(tmp_path / f"resnet18-{digest[:8]}.pth")


def resnet18_from(url):
    source = DownloadedWeights(url, "here", "0BSD")
    return dataclasses.replace(backbones.get("resnet18"), weights=source)


def test_weights_are_downloaded_once(zoo_file):
    backbone = resnet18_from(zoo_file.as_uri())
    expected = torch.load(zoo_file, weights_only=True)
    digest = hashlib.sha256(zoo_file.read_bytes()).hexdigest()
    for _ in range(2):
        network = backbone.build()
        provenance = load(network, backbone)
        assert all(torch.equal(expected[k], v) for k, v in network.state_dict().items())
        assert provenance.source == f"{backbone.weights.url} (here), SHA-256 {digest}"
        assert provenance.licence == "0BSD"
        zoo_file.unlink(missing_ok=True)


def test_a_download_of_another_hash_is_refused(zoo_file):
    wrong = zoo_file.rename(zoo_file.with_name("resnet18-00000000.pth"))
    backbone = resnet18_from(wrong.as_uri())
    with pytest.raises(BundleError, match="not the one in its name"):
        load(backbone.build(), backbone)


def test_a_zoo_out_of_reach_says_what_to_do(zoo_file):
    backbone = resnet18_from(zoo_file.with_name("gone-00000000.pth").as_uri())
    with pytest.raises(BundleError, match=r"Cannot download .* Name a weights file"):
        load(backbone.build(), backbone)


# --- Storing ----------------------------------------------------------------------------------


def test_filters_are_stored_as_float16_and_vectors_are_not():
    network = nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 2, 1))
    network[1].running_var.fill_(1e-6)
    stored = to_storage(network.state_dict())
    assert {name: array.dtype.name for name, array in stored.items()} == {
        "0.weight": "float16",
        "0.bias": "float32",
        "1.weight": "float32",
        "1.bias": "float32",
        "1.running_mean": "float32",
        "1.running_var": "float32",
        "2.weight": "float32",  # 32 numbers
        "2.bias": "float32",
    }
    weight = network[0].weight.detach()
    np.testing.assert_array_equal(stored["0.weight"], weight.half().numpy())
    assert stored["1.running_var"][0] == np.float32(1e-6)
    assert all(array.flags.c_contiguous for array in stored.values())


def test_what_float16_cannot_hold_stays_float32():
    wide = torch.full((32, 32), 65504.0)
    wide[3, 4] = 65600.0
    stored = to_storage({"wide": wide, "fits": wide.clamp(max=65504), "integers": torch.arange(3)})
    assert stored["wide"].dtype == np.float32
    assert stored["wide"][3, 4] == 65600
    assert stored["fits"].dtype == np.float16
    assert stored["integers"].dtype == np.int64


def test_stored_arrays_do_not_change_with_the_network():
    network = nn.Linear(2, 2).requires_grad_(False)
    stored = to_storage(network.state_dict())
    before = stored["weight"].copy()
    network.weight.fill_(7)
    np.testing.assert_array_equal(stored["weight"], before)


def test_smallest_half_is_a_filter_of_16_by_64():
    assert weights.SMALLEST_HALF == 1024
    assert to_storage({"w": torch.ones(16, 64)})["w"].dtype == np.float16
    assert to_storage({"w": torch.ones(16, 63)})["w"].dtype == np.float32
    assert to_storage({"w": torch.ones(1024)})["w"].dtype == np.float32
