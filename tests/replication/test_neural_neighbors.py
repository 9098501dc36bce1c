"""Paints with NNST at 512 pixels beside plain PyTorch, size by size in turns.

Runs only with ``-m replication``, since it takes minutes. It writes both pictures into the folder
that the environment variable ``NSTBATCH_REPLICATION_PICTURES`` names, if it is set.
"""

import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from neural_neighbors import NeuralNeighbors

from nstbatch.runtime.descent.loop import Bounds
from nstbatch.runtime.pictures.colours import recolored
from nstbatch.runtime.pictures.images import Picture, read
from nstbatch.runtime.pictures.sizes import from_nchw, resize_batch
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.paintings import painting_at, read_paintings
from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle
from nstbatch.runtime.systems.packed_levels import packed_levels
from nstbatch.runtime.systems.style_system import Given

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
PHOTO, PAINTING = "photos/chelsea.jpg", "styles/starry_night.jpg"
OPTIONS = NearestNeighborOptions(size=512, iterations=100)

# Largest share of PyTorch's time that ours may take.
MARK = 1 / 5

pytestmark = pytest.mark.replication


@pytest.fixture(scope="module")
def painting() -> np.ndarray:
    return read(EXAMPLES / PAINTING).pixels


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read(EXAMPLES / PHOTO).pixels


class Ours:
    """Our side: each size as the system carries it out."""

    def __init__(self, painting: np.ndarray, device: str = "auto", precision: str = "auto") -> None:
        self.transfer = NearestNeighborStyle("vgg16", device=device, precision=precision)
        self.painting = painting
        self.objective = self.transfer.objective(OPTIONS)

    def paint(self, level, photo, image, sought):
        transfer = self.transfer
        pixels = from_nchw(photo)
        given = Given(
            photo=Picture(pixels),
            paintings=read_paintings(self.painting),
            style_scale=OPTIONS.style_scale,
            regions={},
            content_weights=None,
            start=pixels,
            checkpoint=None,
        )
        targets = transfer._targets(self.objective, level.pixels, photo, sought, given, OPTIONS)
        laplacian, optimizer = level.laplacian, transfer.optimizer(OPTIONS)
        packed = laplacian.pack(image)
        descent = transfer.engine.descent(
            self.objective,
            targets,
            packed,
            optimizer,
            optimizer.initial_state(packed.shape),
            pooling=OPTIONS.pooling,
            bounds=Bounds(),
            views=laplacian.views,
        )
        losses = [descent.evaluate()[0].sum()]
        losses += [descent.step()[0].sum() for _ in range(level.steps)]
        painted = laplacian.unpack(descent.images)
        descent.close()
        return losses, painted


class PyTorch:
    """The other side."""

    def __init__(self, reference, ours: Ours) -> None:
        layers = ours.transfer._layers(OPTIONS)
        network = reference("vgg16", OPTIONS.pooling)
        self.peer = NeuralNeighbors(network, layers, OPTIONS.content_weight)
        self.rate = ours.transfer.optimizer(OPTIONS).learning_rate
        self.painting = ours.painting

    def paint(self, level, photo, image, sought):
        resized = painting_at(self.painting, max(photo.shape[2:]), 1)
        targets = self.peer.targets(torch.tensor(sought), torch.tensor(resized))
        curve, painted = self.peer.descend(
            torch.tensor(image), targets, torch.tensor(photo), level.steps, self.rate
        )
        return [sum(losses) for losses in curve], painted.numpy()


def run(sides, levels, photo):
    """Losses, seconds and the last picture of each side, at every size in turns."""
    curves, seconds = ([[] for _ in sides] for _ in range(2))
    images = [levels[0].pixels.fit(photo) for _ in sides]
    for level in levels:
        fitted = level.pixels.fit(photo)
        for number, side in enumerate(sides):
            start = resize_batch(images[number], level.pixels.canvas)
            share = 0.0 if level is levels[0] else OPTIONS.stylization
            sought = (1 - share) * fitted + share * start
            began = time.perf_counter()
            curve, images[number] = side.paint(level, fitted, start, sought.astype(np.float32))
            seconds[number].append(time.perf_counter() - began)
            curves[number].append(curve)
    return curves, seconds, images


def test_it_takes_a_fifth_of_pytorchs_time_at_equal_steps(photo, painting, reference):
    ours = Ours(painting)
    pytorch = PyTorch(reference, ours)
    levels = packed_levels(ours.transfer._levels(photo, ours.objective.layers, OPTIONS))
    curves, seconds, images = run((ours, pytorch), levels, photo)
    folder = os.environ.get("NSTBATCH_REPLICATION_PICTURES")
    for name, image in zip(("ours", "pytorch"), images, strict=True):
        picture = recolored(from_nchw(np.clip(levels[-1].pixels.cut(image), 0, 1)), painting)
        if folder:
            pixels = (picture[..., ::-1] * 255).round().astype(np.uint8)
            cv2.imwrite(str(Path(folder) / f"neural_neighbors_{name}.png"), pixels)
    print({"seconds": seconds, "losses": [[c[0], c[-1]] for side in curves for c in side]})
    assert sum(seconds[0]) <= MARK * sum(seconds[1])


def test_the_first_fifty_steps_have_pytorchs_losses(photo, painting, reference):
    ours = Ours(painting, device="cpu", precision="fp32")
    pytorch = PyTorch(reference, ours)
    options = NearestNeighborOptions(size=256, iterations=50, scales=1)
    levels = packed_levels(ours.transfer._levels(photo, ours.objective.layers, options))
    curves, *_ = run((ours, pytorch), levels, photo)
    np.testing.assert_allclose(curves[0][0], curves[1][0], rtol=0.02)
