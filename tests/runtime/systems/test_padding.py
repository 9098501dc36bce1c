"""Style transfers whose first convolution sees copies of the picture's edge."""

from dataclasses import replace

import numpy as np
import pytest
from first_step import first_step

from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.objectives.laplacian import Laplacian
from nstbatch.runtime.pictures.synthetic import photo_like
from nstbatch.runtime.style.nearest_neighbor_options import NearestNeighborOptions
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle
from nstbatch.runtime.systems.style_transfer import StyleTransfer

SMALL = {"size": 80, "scales": 1, "iterations": 2}


def picture(seed):
    return photo_like(np.random.default_rng(seed), 72, 80).transpose(1, 2, 0)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (StyleTransfer, StyleTransferOptions(**SMALL)),
        (NearestNeighborStyle, NearestNeighborOptions(**SMALL)),
    ],
)
def test_the_margin_is_a_stride_and_the_targets_have_the_padding_too(kind, options, monkeypatch):
    system, opened = kind("alexnet", device="cpu", threads=1), []
    sessions = system.engine._sessions
    for name in ("targets", "step"):
        method = getattr(sessions, name)
        monkeypatch.setattr(
            sessions,
            name,
            lambda *given, name=name, method=method: opened.append((name, given)) or method(*given),
        )
    result = system(picture(0), picture(1), replace(options, padding="replicate"))
    assert result.reason is StopReason.FINISHED
    assert {given[-1] for _, given in opened} == {"replicate"}
    # A Laplacian pyramid has all its values in a row.
    height, width = 72 + 2 * 3, 80 + 2 * 3  # AlexNet's first convolution has a stride of 4
    shape = (height, width)
    canvas = shape if kind is StyleTransfer else (1, Laplacian(*shape).length)
    steps = [given[4]["image"] for name, given in opened if name == "step"]
    assert steps == [(1, 3, *canvas)]


@pytest.mark.parametrize("side", range(64, 68))
@pytest.mark.parametrize("model", ["alexnet", "squeezenet1_1"])
def test_the_network_sees_every_row_and_column(model, side):
    """A convolution with a stride and no padding leaves out the last ones of some sizes."""
    options = StyleTransferOptions(size=side, scales=1, tv_weight=0, padding="replicate")
    photo = picture(2)[:64, :64]
    step = first_step(StyleTransfer(model, device="cpu", threads=1), photo, picture(1), options)
    seen = np.abs(step.run.levels[0].cut(step.gradient)).max(axis=1)[0]
    assert seen.shape == (side, side)
    assert seen.max(axis=0).min() > 0
    assert seen.max(axis=1).min() > 0


def test_tiles_have_zeros_alone():
    system = StyleTransfer("alexnet", device="cpu", threads=1, tile_size=64)
    options = StyleTransferOptions(size=320, scales=1, iterations=1, padding="replicate")
    large = np.tile(picture(0), (4, 4, 1))
    with pytest.raises(UsageError, match=r"Tiles have zeros .* replicate"):
        system(large, picture(1), options)
