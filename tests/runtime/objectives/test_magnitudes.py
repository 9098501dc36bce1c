"""The loss on Fourier magnitudes, compared with PyTorch, differentiated by autograd in float64."""

import numpy as np
import pytest
import torch
from one_term import assert_same, autograd, only, random, run_term

from nstbatch.runtime.objectives.magnitudes import magnitudes, waves_of

TERM = only(magnitudes())


def projected_loss(image, target, weight):
    """Written from the paper: half the squared distance to the nearest picture with those waves."""
    height, width = target.shape[2:]
    top, left = (image.shape[2] - height) // 2, (image.shape[3] - width) // 2
    image = image[:, :, top : top + height, left : left + width]
    centred = image - image.mean((2, 3), keepdim=True)
    waves = torch.complex(target[:, :3], target[:, 3:])
    own = torch.fft.fft2(centred, norm="ortho")
    phase = (own * waves.conj()).sum(1, keepdim=True)
    nearest = torch.fft.ifft2(waves * phase / phase.abs().clamp_min(1e-12), norm="ortho").real
    return weight * ((centred - nearest.detach()) ** 2).mean((1, 2, 3)) / 2


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (15, 6)])
@pytest.mark.parametrize("margin", [0, 2])
def test_the_loss_and_its_derivative_are_pytorchs(size, margin):
    image = random(2, 3, size[0] + 2 * margin, size[1] + 2 * margin)
    target = np.concatenate([waves_of(random(*size, 3, seed=seed), size) for seed in (1, 2)])
    weight = np.array([0.5, 2.0], np.float32)
    ours = run_term(TERM, image, target, weight)
    assert_same(ours, autograd(projected_loss, image, target, weight))


def plain_waves(pixels):
    """The waves of a picture (H, W, 3) whose opposite edges are taken for neighbours."""
    waves = np.fft.fft2(pixels - pixels.mean((0, 1)), axes=(0, 1), norm="ortho").transpose(2, 0, 1)
    return np.concatenate([waves.real, waves.imag])[None].astype(np.float32)


def loss_of(pixels, target, weight=None):
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    (loss,), _ = run_term(TERM, image, target, weight)
    return loss


def test_a_shifted_exemplar_has_no_loss_and_another_order_of_colours_has():
    exemplar = random(12, 10, 3)
    target = plain_waves(exemplar)
    assert loss_of(np.roll(exemplar, (2, 3), (0, 1)), target) < 1e-6
    assert loss_of(exemplar + 0.3, target) < 1e-6  # the mean colour does not count
    assert loss_of(exemplar[..., [1, 2, 0]], target) > 0.1


def test_the_loss_is_relative_to_the_exemplars_variance():
    target = waves_of(random(16, 16, 3), (16, 16))
    nearly_flat = 1e-3 * random(16, 16, 3, seed=1)
    loss = loss_of(nearly_flat, target, TERM.graph_weight(1.0, target, 1))
    assert loss == pytest.approx(1, rel=0.01)


def test_a_smaller_exemplar_varies_as_much_and_a_larger_one_is_cut():
    """Parseval: the squares of the orthonormal transform sum to those of the pixels."""
    exemplar = random(8, 12, 3)
    for size in ((8, 12), (16, 12), (20, 33), (6, 9), (5, 40)):
        waves = waves_of(exemplar, size)
        assert waves.shape == (1, 6, *size)
        assert waves.dtype == np.float32
        np.testing.assert_allclose(waves[:, :, 0, 0], 0, atol=1e-4)
        variance = np.square(waves).sum() / np.prod(size)
        assert variance == pytest.approx(3, rel=0.5)
    own = waves_of(exemplar, (8, 12))
    wider = waves_of(exemplar, (20, 33))
    ratio = np.square(wider).sum() / np.square(own).sum()
    assert ratio == pytest.approx(20 * 33 / (8 * 12), rel=1e-4)


def test_the_jump_across_the_edges_is_left_out():
    """A ramp is all jump; a periodic pattern has none."""
    ramp = np.repeat(np.linspace(0, 1, 32, dtype=np.float32)[None, :, None], 3, 2)
    ramp = np.repeat(ramp, 32, 0)
    assert np.square(waves_of(ramp, (32, 32))).sum() < 0.02 * ramp.var() * ramp.size
    down, right = np.mgrid[:32, :32] * (2 * np.pi / 32)
    period = np.stack([np.sin(3 * down), np.cos(2 * right), np.sin(down + right)], 2)
    kept = plain_waves(period)
    assert np.square(waves_of(period, (32, 32)) - kept).sum() < 0.03 * np.square(kept).sum()
