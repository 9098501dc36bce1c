"""Compares the graphs of a bundle with PyTorch, on ONNX Runtime's CPU provider and in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor

from nstbatch.exporter.export import Export
from nstbatch.exporter.rules import ReluRule
from nstbatch.exporter.trace import LayerNetwork
from nstbatch.runtime.bundles.bundle import Bundle, GraphKind, graph_name
from nstbatch.runtime.bundles.manifest import MAX_POOLING_ONLY
from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.names import COTANGENT, GRADIENT, IMAGE

from .autograd import vector_jacobian_product
from .margins import rounding_errors
from .pictures import PICTURES, Draw, clear_picture

Sessions: TypeAlias = Mapping[GraphKind, ort.InferenceSession]

# Largest relative error of a graph that counts as right, a guess. Rounding makes it 3e-7 to 1e-6.
TOLERANCE = 1e-5

# Sizes that tracing has not seen. In the second and the third, pooling windows leave out some rows
# and columns, or reach over the end. Guesses, like the batches and enlargements.
SIZES = ((64, 64), (70, 86), (97, 131))
BATCHES = (1, 3)

# Pixels added to the sizes for a network that does not run at smaller ones.
ENLARGEMENTS = (0, 64, 192, 448)

SEED = 0


@dataclass(frozen=True)
class Row:
    """One comparison."""

    graph: str
    """File name of the graph."""
    picture: str
    height: int
    width: int
    batch: int
    layers: float
    """Largest |graph - PyTorch| / |PyTorch| of any layer."""
    gradient: float | None
    """The same for the gradient; None for a forward graph."""
    is_clear: bool
    """True if rounding alone cannot explain an error above the tolerance; see :mod:`.margins`."""

    @property
    def is_right(self) -> bool:
        """True if the errors are within the tolerance."""
        return max(self.layers, self.gradient or 0.0) <= TOLERANCE


def verify(export: Export, log: Callable[[str], None] = lambda line: None) -> list[Row]:
    """Compare every graph of a bundle with PyTorch.

    Args:
        export: The result of :func:`nstbatch.exporter.export.export_bundle`.
        log: Called with each line of progress.

    Raises:
        UsageError: The network does not run at any of the sizes.
    """
    rows: list[Row] = []
    for pooling in export.bundle.poolings:
        sessions = open_sessions(export.bundle, pooling)
        rows += compare(export.layer_network(pooling), sessions, pooling, log=log)
    return rows


def open_sessions(bundle: Bundle, pooling: Pooling) -> Sessions:
    """Open a session for every graph that a bundle has for this pooling."""
    kinds: tuple[GraphKind, ...] = ("forward", "gradient")
    kinds += MAX_POOLING_ONLY if pooling == "max" else ()
    return {kind: open_session(str(bundle.graph_path(kind, pooling))) for kind in kinds}


def open_session(model: str | bytes) -> ort.InferenceSession:
    """Open a graph, given by its path or content, for images of any size."""
    return ort.InferenceSession(model, resolve("cpu", "fp32").session_options(), enable_fallback=0)


def compare(
    network: LayerNetwork,
    sessions: Sessions,
    pooling: Pooling,
    pictures: Mapping[str, Draw] = PICTURES,
    log: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Compare graphs with the network they were made from.

    Args:
        network: image -> layers, with this pooling.
        sessions: One for each graph.
        pooling: Pooling of the exported graphs.
        pictures: Functions that draw the pictures, by name.
        log: Called with each line of progress.

    Raises:
        UsageError: The network does not run at any of the sizes.
    """
    rows = []
    for case in _cases(network, pictures):
        height, width = case.images.shape[2:]
        log(f"Comparing with PyTorch, {pooling} pooling: {case.picture}, {height}x{width}")
        for batch in BATCHES:
            for kind, errors in _errors(network, sessions, case.images[:batch]):
                gradient = errors.pop(GRADIENT, None)
                figures = height, width, batch, max(errors.values()), gradient
                rows.append(Row(graph_name(kind, pooling), case.picture, *figures, case.is_clear))
    order = [graph_name(kind, pooling) for kind in sessions]
    return sorted(rows, key=lambda row: order.index(row.graph))


# --- Images -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    picture: str
    images: Tensor
    """(N, 3, H, W), N the largest batch."""
    is_clear: bool


def _cases(network: LayerNetwork, pictures: Mapping[str, Draw]) -> Iterator[_Case]:
    rng = np.random.default_rng(SEED)
    sizes = _sizes(network)
    typical = np.stack([draw(rng, *sizes[-1]) for draw in pictures.values()])
    errors = rounding_errors(network, torch.from_numpy(typical))
    for picture, draw in pictures.items():
        for size in sizes:
            drawn = [clear_picture(network, draw, size, rng, errors) for _ in range(max(BATCHES))]
            images = torch.cat([image for image, _ in drawn])
            yield _Case(picture, images, all(margin.is_clear for _, margin in drawn))


def _sizes(network: LayerNetwork) -> list[tuple[int, int]]:
    """SIZES, or the first larger sizes at which the network runs."""
    for more in ENLARGEMENTS:
        sizes = [(height + more, width + more) for height, width in SIZES]
        if all(_runs(network, size) for size in sizes):
            return sizes
    raise UsageError(f"The network cannot be compared: it fails at {SIZES} and at larger sizes.")


def _runs(network: LayerNetwork, size: tuple[int, int]) -> bool:
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, *size))
    except Exception:  # the user's module may raise anything
        return False
    return True


# --- Errors -----------------------------------------------------------------------------------


def _errors(
    network: LayerNetwork, sessions: Sessions, images: Tensor
) -> Iterator[tuple[GraphKind, dict[str, float]]]:
    """The relative error of every output of every graph."""
    cotangents = _cotangents(network, images)
    inputs = {COTANGENT + name: values.numpy() for name, values in cotangents.items()}
    inputs[IMAGE] = images.numpy()
    expected: dict[ReluRule, dict[str, NDArray[np.float32]]] = {}
    for kind, session in sessions.items():
        relu = ReluRule.GRADIENT if kind == "forward" else ReluRule(kind)
        if relu not in expected:  # the forward and the gradient graph have the same
            expected[relu] = _expected(network, images, cotangents, relu)
        right = expected[relu]
        names = [output.name for output in session.get_outputs()]
        wanted = {value.name: inputs[value.name] for value in session.get_inputs()}
        found = session.run(names, wanted)
        yield kind, {n: _relative_error(f, right[n]) for n, f in zip(names, found, strict=True)}


def _cotangents(network: LayerNetwork, images: Tensor) -> dict[str, Tensor]:
    """A random cotangent for every layer, each of norm 1, so that all count alike."""
    with torch.no_grad():
        activations = network(images)
    generator = torch.Generator().manual_seed(SEED)
    random = [torch.randn(a.shape, generator=generator) for a in activations]
    return {n: r / r.norm() for n, r in zip(network.layer_names, random, strict=True)}


def _expected(
    network: LayerNetwork, images: Tensor, cotangents: Mapping[str, Tensor], relu: ReluRule
) -> dict[str, NDArray[np.float32]]:
    """All outputs of a gradient graph, computed by PyTorch."""
    activations, gradient = vector_jacobian_product(
        network, images, list(cotangents.values()), relu
    )
    outputs = dict(zip(network.layer_names, activations, strict=True)) | {GRADIENT: gradient}
    return {name: values.numpy() for name, values in outputs.items()}


def _relative_error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    smallest = np.finfo(np.float32).tiny  # where all expected values are zero
    error = float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), smallest))
    return error if math.isfinite(error) else math.inf
