"""What tests in several folders share.

Pictures that are broken in every way a batch may meet, and the networks behind the built-in bundles
in plain PyTorch, to hold the graphs against.
"""

from __future__ import annotations

import os
import signal
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import nstbatch  # noqa: F401  before a test imports ONNX Runtime, which would report

if TYPE_CHECKING:  # torch takes seconds to import, and few tests want it
    from torch import Tensor

NO_BROWSER = "there is no Chromium, Chrome or Edge here, and none can be installed."

# A step that took 200 ms (the default deadline) says more of the machine than of the code.
hypothesis.settings.register_profile("nstbatch", deadline=None)
hypothesis.settings.load_profile("nstbatch")


def pytest_configure() -> None:
    """Share the cores among the workers of pytest-xdist, and the programs that each starts.

    With a thread for every core in every worker, the threads would wait for each other.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")  # "gw0", "gw1" and so on
    if worker and hasattr(os, "sched_setaffinity"):
        number, workers = (
            int(worker.removeprefix("gw")),
            int(os.environ["PYTEST_XDIST_WORKER_COUNT"]),
        )
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[number::workers] or cores)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let the programs that tests start take Ctrl-C, though the shell put the tests themselves in
    the background, where it is ignored, and whoever is started from there would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep out of the user's cache and defaults, as the programs do that tests start.

    Tests share one cache.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NSTBATCH_DEFAULTS", "")
        patch.setenv("NSTBATCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line that the tests of the page were left out, and why."""
    skipped = terminalreporter.stats.get("skipped", ())
    left_out = [report for report in skipped if NO_BROWSER in str(report.longrepr)]
    if left_out:
        terminalreporter.line(f"{len(left_out)} tests of the page were left out: {NO_BROWSER}")


BadInputs = Callable[[Path], dict[str, str]]


@pytest.fixture
def write_bad_inputs() -> BadInputs:
    """A function that fills a folder with files no picture comes of: {name: part of the reason}.

    ``1x1.png`` and ``3x2000.png`` (width x height) can be read, but not stylized.
    """
    return _write_bad_inputs


@pytest.fixture
def write_unreadable() -> BadInputs:
    """The same, without the two that can be read."""
    return _write_unreadable


def _write_bad_inputs(folder: Path) -> dict[str, str]:
    _noise(1, 1).save(folder / "1x1.png")
    _noise(3, 2000).save(folder / "3x2000.png")
    return _write_unreadable(folder) | {"1x1.png": "1x1", "3x2000.png": "3x2000"}


def _write_unreadable(folder: Path) -> dict[str, str]:
    (folder / "zero.jpg").touch()
    (folder / "text.jpg").write_text("Dear diary, today I pretended to be a picture.\n" * 20)
    (folder / "bomb.png").write_bytes(bomb(20_000))
    for name in ("truncated.jpg", "truncated.png"):
        path = folder / name
        _noise(96, 64).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return {
        "zero.jpg": "empty",
        "text.jpg": "Not recognised as a picture",
        "bomb.png": "too many",
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
    }


@pytest.fixture
def make_bomb() -> Callable[[int], bytes]:
    """A function that gives a small, valid PNG of so many pixels a side."""
    return bomb


def bomb(side: int) -> bytes:
    """A black square of 1 bit a pixel, which compresses a thousandfold."""
    compressor = zlib.compressobj()
    row = bytes(1 + (side + 7) // 8)
    data = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": data, b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


# --- PyTorch's own ----------------------------------------------------------------------------


class Reference:
    """An objective of the runtime on the network behind a bundle, in plain PyTorch.

    Losses are relative to their targets, and each picture has its own: a batch behaves as its
    pictures do alone.
    """

    def __init__(self, model: str, pooling: str, dtype: str = "float32") -> None:
        import torch

        from nstbatch.exporter.networks.pooling import use_pooling
        from nstbatch.exporter.networks.rebuild import rebuild
        from nstbatch.exporter.trace import LayerNetwork
        from nstbatch.runtime.bundles.bundle import Bundle

        bundle = Bundle.load(model)
        self.dtype = getattr(torch, dtype)
        network, layers = rebuild(bundle)
        network = use_pooling(network, pooling)
        if self.dtype == torch.float64:
            for module in network.modules():
                if isinstance(module, torch.nn.MaxPool2d):
                    module.forward = partial(_first_maximum, module)
        network = LayerNetwork(network, layers, bundle.preprocessing)
        self.network = network.to(self.dtype)

    def tensor(self, pictures: NDArray[np.float32]) -> Tensor:
        import torch

        return torch.tensor(pictures, dtype=self.dtype)

    @contextmanager
    def replicating(self) -> Iterator[None]:
        """Let the first convolution pad by PyTorch's ``padding_mode="replicate"``."""
        import torch

        convolutions = (m for m in self.network.modules() if isinstance(m, torch.nn.Conv2d))
        first: Any = next(convolutions)
        other = torch.nn.Conv2d(1, 1, 1, padding=first.padding, padding_mode="replicate")
        names = ("padding_mode", "_reversed_padding_repeated_twice")
        before = {name: getattr(first, name) for name in names}
        for name in names:
            setattr(first, name, getattr(other, name))
        yield
        for name, value in before.items():
            setattr(first, name, value)

    def activations(self, image: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.network.layer_names, self.network(image), strict=True))

    def targets(self, objective: Any, pictures: Mapping[str, NDArray[np.float32]]) -> Any:
        """What pictures (N, 3, H, W), by the kind of a term, leave behind for the objective."""
        import torch

        with torch.no_grad():
            seen = {kind: self.activations(self.tensor(p)) for kind, p in pictures.items()}
            return {
                term.name: _feature(term.kind, seen[term.kind][term.layer])
                for term in objective.terms
                if term.layer is not None
            }

    def losses(self, objective: Any, targets: Any, image: Tensor) -> Tensor:
        """Weighted losses (N, T) of an image (N, 3, H, W)."""
        import torch

        seen = self.activations(image)
        losses = []
        for weight, term in objective.weighted:
            if term.layer is None:
                loss = _total_variation(image)
            else:
                target = targets[term.name]
                difference = (_feature(term.kind, seen[term.layer]) - target).flatten(1)
                loss = _relative_error(term.kind, difference, target.flatten(1))
            losses.append(weight * loss)
        return torch.stack(losses, dim=1)

    def gradient(self, objective: Any, targets: Any, image: NDArray[np.float32]) -> tuple[Any, Any]:
        """Losses (N, T), and the gradient (N, 3, H, W) of their sum, as arrays."""
        variable = self.tensor(image).requires_grad_()
        losses = self.losses(objective, targets, variable)
        losses.sum().backward()
        return losses.detach().numpy(), variable.grad.numpy()


def _first_maximum(pool: Any, values: Tensor) -> Tensor:
    """Max pooling that takes the first of equal maxima, as float32 does.

    In a flat area the values of a window may come out of float64 a last digit apart.
    """
    from torch.nn import functional

    kernel, stride = pool.kernel_size, pool.stride
    hanging_over = stride - 1 if pool.ceil_mode else 0
    padded = functional.pad(values, (0, hanging_over, 0, hanging_over), value=-np.inf)
    windows = padded.unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(-2)
    tie = 1e-12 * values.detach().square().mean().sqrt()
    is_maximum = windows >= windows.amax(-1, keepdim=True) - tie
    return windows.gather(-1, is_maximum.long().argmax(-1, keepdim=True)).squeeze(-1)


def _feature(kind: str, activation: Tensor) -> Tensor:
    """What a term compares: activations (N, C, H, W), or their Gram matrices (N, C, C)."""
    if kind.endswith("content"):
        return activation
    features = activation.flatten(2)
    return features @ features.mT / activation[0].numel()


def _relative_error(kind: str, difference: Tensor, target: Tensor) -> Tensor:
    """(N,): the error of differences (N, ...), relative to the targets'."""
    if kind.startswith("scaled"):
        error = (difference**2).sum(1) / (difference.abs().sum(1) + 1e-8)
        return error / target.abs().mean(1)
    return (difference**2).mean(1) / (target**2).mean(1)


def _total_variation(image: Tensor) -> Tensor:
    """(N,): squares of the steps to the next pixel below and to the right, over all pixels."""
    steps = (image.diff(dim=2) ** 2).flatten(1).sum(1) + (image.diff(dim=3) ** 2).flatten(1).sum(1)
    return steps / image[0].numel()


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread.

    With two, a Zen 3 rounds the same sum otherwise at another place of a picture.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def reference() -> Callable[..., Reference]:
    """A function (model, pooling, dtype="float32") -> :class:`Reference`."""
    return cache(Reference)
