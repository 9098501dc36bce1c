"""Fixtures of the exporter's tests: built-in bundles, their networks, small graphs, pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from nstbatch.exporter.checks.pictures import Draw
from nstbatch.exporter.export import Export
from nstbatch.exporter.networks.rebuild import rebuild
from nstbatch.exporter.trace import LayerNetwork
from nstbatch.runtime.bundles.bundle import Bundle, Preprocessing
from nstbatch.runtime.pictures.images import read

EXAMPLES = Path(__file__).parents[2] / "examples"
AS_IT_IS = Preprocessing("RGB", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture(scope="session")
def built_in() -> Callable[[str], Export]:
    """A function that returns a built-in bundle and the network it was made from."""

    def load(name: str) -> Export:
        bundle = Bundle.load(name)
        return Export(bundle, *rebuild(bundle), bundle.preprocessing)

    return load


@pytest.fixture
def as_layers() -> Callable[..., LayerNetwork]:
    """A function that makes layers from modules in a row, without preprocessing.

    A module's place in the row is the layer's name. Without a list of names, the last is the layer.
    """

    def chain(*modules: nn.Module, layers: tuple[str, ...] = ()) -> LayerNetwork:
        names = layers or (str(len(modules) - 1),)
        network = nn.Sequential(*modules).eval()
        return LayerNetwork(network, {name: name for name in names}, AS_IT_IS)

    return chain


@pytest.fixture
def serialised() -> Callable[[ir.Model], bytes]:
    """A function that returns a graph as its file would hold it."""
    return lambda model: ir.to_proto(model).SerializeToString(deterministic=True)


@pytest.fixture(scope="session")
def photo() -> Draw:
    """A function that cuts pictures out of the example photos."""
    photos = [read(path).pixels for path in sorted((EXAMPLES / "photos").glob("*.jpg"))]

    def cut(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        pixels = photos[rng.integers(len(photos))]
        top = rng.integers(pixels.shape[0] - height)
        left = rng.integers(pixels.shape[1] - width)
        cutting = pixels[top : top + height, left : left + width]
        return np.ascontiguousarray(cutting.transpose(2, 0, 1))

    return cut


@pytest.fixture(scope="session")
def randomised() -> Callable[[nn.Module], nn.Module]:
    """A function that sets a network's biases and batch norms as if it had been trained."""

    def randomise(network: nn.Module) -> nn.Module:
        torch.manual_seed(0)
        for parameter in network.parameters():
            if parameter.ndim == 1:
                nn.init.normal_(parameter, std=0.1)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.normal_(module.running_mean, std=0.1)
        return network

    return randomise
