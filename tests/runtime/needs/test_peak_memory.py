"""The estimate of memory is within 20 % of what was measured: docs/decisions/0024-memory.md."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nstbatch.runtime.deconvnet.deconvnet import BATCH
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.engine import Engine
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.deepdream import DeepDream
from nstbatch.runtime.systems.dream_options import DreamOptions
from nstbatch.runtime.systems.reconstruction import Reconstruction
from nstbatch.runtime.systems.reconstruction_options import ReconstructionOptions
from nstbatch.runtime.systems.style_transfer import StyleTransfer
from nstbatch.runtime.systems.texture import Texture
from nstbatch.runtime.systems.texture_options import TextureOptions

# The numbers below are of four sizes, of which small pictures have fewer by default.
FOUR_SIZES = partial(StyleTransferOptions, scales=4)

SYSTEMS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "stylize": (StyleTransfer, FOUR_SIZES),
    "texture": (Texture, TextureOptions),
    "dream": (DeepDream, DreamOptions),
    "reconstruct": (Reconstruction, ReconstructionOptions),
}

# MiB of resident memory at its peak, of photos of 3:2, square textures and square images.
MEASURED = {
    ("stylize", "squeezenet1_1"): {256: 320, 384: 486, 512: 663, 768: 1269},
    ("texture", "squeezenet1_1"): {256: 377, 384: 660, 512: 917},
    ("dream", "squeezenet1_1"): {256: 284, 384: 395, 512: 513, 768: 858},
    ("reconstruct", "squeezenet1_1"): {256: 360, 384: 508, 512: 758},
    ("stylize", "vgg16"): {256: 1303, 384: 1811, 512: 2283},
    ("stylize", "alexnet"): {512: 747},
    ("texture", "vgg16"): {256: 1304, 512: 2587},
    ("dream", "vgg16"): {256: 1037, 512: 1413},
    ("reconstruct", "vgg16"): {256: 1694, 512: 2376},
}
# MiB that ONNX Runtime took on the stub of a GPU: docs/gpu.md. In fp16, square photos: their
# network and side, how many are in a batch, and the optimiser.
ON_GPU = [
    ("vgg16", 256, 1, "adam", 632),
    ("vgg16", 256, 4, "adam", 1260),
    ("vgg16", 512, 1, "adam", 1059),
    ("vgg16", 512, 4, "adam", 2350),
    ("vgg16", 1024, 1, "adam", 3220),
    ("vgg16", 1024, 4, "adam", 8100),
    ("vgg16", 2048, 1, "adam", 11535),
    ("vgg16", 512, 1, "lbfgs", 1477),
    ("squeezenet1_1", 256, 1, "adam", 112),
    ("squeezenet1_1", 512, 1, "adam", 408),
    ("squeezenet1_1", 512, 1, "lbfgs", 903),
    ("squeezenet1_1", 256, 4, "adam", 443),
]
OF_SEARCH = {
    ("squeezenet1_1", "fire5/concat"): {256: 231, 384: 312, 512: 428},
    ("vgg16", "relu3_3"): {256: 509, 512: 1467},
}


@pytest.mark.parametrize(("verb", "model"), MEASURED)
def test_pictures(verb: str, model: str) -> None:
    kind, options = SYSTEMS[verb]
    system = kind(model, device="cpu")
    for size, measured in MEASURED[verb, model].items():
        shape = (size, size) if verb == "texture" else (round(size / 1.5), size)
        estimate = system.peak_memory(options(), shape) / 2**20
        assert estimate == pytest.approx(measured, rel=0.2), size


@pytest.mark.parametrize(("model", "layer"), OF_SEARCH)
def test_searches(model: str, layer: str) -> None:
    for size, measured in OF_SEARCH[model, layer].items():
        estimate = Engine(model, device="cpu").peak_of_search([layer], BATCH, (size, size))
        assert estimate is not None
        estimate /= 2**20
        assert estimate == pytest.approx(measured, rel=0.2), size


def test_pictures_that_are_stepped_together() -> None:
    transfer = StyleTransfer("squeezenet1_1", device="cpu")
    transfer.engine.share(2)
    estimate = transfer.peak_memory(FOUR_SIZES(), (171, 256), 2)
    assert estimate is not None
    assert estimate / 2**20 == pytest.approx(437, rel=0.2)
    # Two pictures side by side in the command line, the second one waiting.
    transfer.engine.share(1)
    estimate = transfer.peak_memory(StyleTransferOptions(), (341, 512), 2)
    assert estimate is not None
    assert estimate / 2**20 == pytest.approx(801, rel=0.2)


def test_batches_take_more_and_adam_less() -> None:
    transfer, shape = StyleTransfer("squeezenet1_1", device="cpu"), (384, 512)
    alone = transfer.peak_memory(StyleTransferOptions(), shape)
    assert alone is not None
    assert transfer.peak_memory(StyleTransferOptions(optimizer="adam"), shape) < 0.9 * alone
    transfer.engine.share(2)
    peaks = [
        transfer.peak_memory(StyleTransferOptions(), shape, pictures) for pictures in (1, 2, 4, 9)
    ]
    assert alone == peaks[0] < peaks[1] < peaks[2] == peaks[3] < 4 * alone


@pytest.mark.parametrize(("model", "size", "batch", "optimizer", "measured"), ON_GPU)
def test_pictures_on_a_gpu(
    model: str, size: int, batch: int, optimizer: Any, measured: int
) -> None:
    transfer = StyleTransfer(model, device="cpu")
    transfer.engine.provider = Provider("cuda", "fp16")
    transfer.engine.share(batch)
    options = FOUR_SIZES(size=size, optimizer=optimizer)
    estimate = transfer.peak_memory(options, (size, size), batch)
    assert estimate is not None
    assert estimate / 2**20 == pytest.approx(measured, rel=0.2)
    transfer.engine.provider = Provider("cuda", "fp32")
    in_fp32 = transfer.peak_memory(options, (size, size), batch)
    assert in_fp32 is not None
    assert in_fp32 > 1.2 * estimate
