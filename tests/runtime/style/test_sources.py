"""The presets of other programs, and other style losses, against the formulas of their sources.

The formulas are written here in PyTorch, from the papers and from what the programs compute, and
run in float64 on the same network, photo, painting and start.
"""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from first_step import first_step

from nstbatch.runtime.pictures.synthetic import photo_like
from nstbatch.runtime.style.paintings import painting_at
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.style.style_transfer_presets import OF_LEVELS
from nstbatch.runtime.systems.style_transfer import StyleTransfer

STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT = "relu4_2"
# The side of the canvas, with its margin if zeros are beyond it.
SIDES = {"zeros": 68, "replicate": 64}


def picture(seed, height=64, width=64):
    return photo_like(np.random.default_rng(seed), height, width).transpose(1, 2, 0)


def gram(feature):
    """F F^T of (1, C, H, W), not divided by anything."""
    return (feature.flatten(2) @ feature.flatten(2).mT)[0]


def size(feature):
    return feature[0].numel()


def positions(feature):
    return feature[0, 0].numel()


def scaled(difference):
    return (difference**2).sum() / (difference.abs().sum() + 1e-8)


def steps(image):
    return (image.diff(dim=2) ** 2).sum(), (image.diff(dim=3) ** 2).sum()


def gatys2016(image, seen, photo, style):
    """MSE of F with weight 1, MSE of F F^T / (H W) with 1e3 / C^2 (the authors' notebook).

    F is k times as large, and the whole divided by k^2, as in :func:`johnson`.
    """
    k = OF_LEVELS
    loss = ((k * seen[CONTENT] - k * photo[CONTENT]) ** 2).mean()
    for layer in STYLE:
        mine, theirs = (gram(k * f[layer]) / positions(f[layer]) for f in (seen, style))
        loss = loss + 1e3 / len(mine) ** 2 * ((mine - theirs) ** 2).mean()
    return loss / k**2


def johnson(image, seen, photo, style):
    """neural-style on a network whose input has levels up to 255, so F is k times as large.

    Its total variation has the gradient strength * (differences), so it is half a sum of squares.
    The whole is divided by k^2 here, which moves no minimum.
    """
    k = OF_LEVELS
    loss = 5 * ((k * seen[CONTENT] - k * photo[CONTENT]) ** 2).mean()
    for layer in STYLE:
        mine, theirs = (gram(k * f[layer]) / size(f[layer]) for f in (seen, style))
        loss = loss + 100 * ((mine - theirs) ** 2).mean()
    loss = loss + 1e-3 / 2 * sum(steps(255 * image))
    return loss / k**2


def crowson(image, seen, photo, style):
    """Scaled errors of F and F F^T / (H W), and mean squared steps (style-transfer-pytorch)."""
    loss = 0.015 * scaled(seen[CONTENT] - photo[CONTENT])
    weights = (256, 64, 16, 4, 1)
    for layer, weight in zip(STYLE, weights, strict=True):
        mine, theirs = (gram(f[layer]) / positions(f[layer]) for f in (seen, style))
        loss = loss + weight / sum(weights) * scaled(mine - theirs)
    return loss + 2 * sum(steps(image)) / image.numel()


def statistics(feature):
    flat = feature.flatten(2)[0]
    return torch.stack([flat.mean(1), (flat.var(1, correction=0) + 1e-8).sqrt()])


def gaussian(feature):
    flat = feature.flatten(2)[0]
    centred = flat - flat.mean(1, keepdim=True)
    eye = torch.eye(len(flat), dtype=flat.dtype)
    return flat.mean(1), centred @ centred.mT / flat.shape[1] + 1e-4 * eye


def root(matrix):
    """Twelve steps of Newton and Schulz (style-transfer-pytorch)."""
    eye, scale = torch.eye(len(matrix), dtype=matrix.dtype), matrix.detach().norm()
    y, z = matrix / scale, eye
    for _ in range(12):
        t = 3 * eye - z @ y
        y, z = y @ t / 2, t @ z / 2
    return y * scale.sqrt()


def moments_loss(mine, theirs):
    difference, target = statistics(mine) - statistics(theirs), statistics(theirs)
    return (difference**2).mean() / (target**2).mean()


def wasserstein_loss(mine, theirs):
    (mean, covariance), (wanted, _) = gaussian(mine), gaussian(theirs)
    r = root(gaussian(theirs)[1])
    apart = covariance + r @ r - 2 * root(r @ covariance @ r)
    distance = ((mean - wanted) ** 2).sum() + apart.trace()
    return distance / ((wanted**2).sum() + (r**2).sum())


def of_style(layer_loss):
    """The objective with a loss relative to its target, and equal layers."""

    def loss(image, seen, photo, style):
        content = ((seen[CONTENT] - photo[CONTENT]) ** 2).mean() / (photo[CONTENT] ** 2).mean()
        return content + sum(35 / 5 * layer_loss(seen[layer], style[layer]) for layer in STYLE)

    return loss


LOSSES = StyleTransferOptions(error="mse", tv_weight=0)
CASES = {
    "gatys2016": (StyleTransferOptions.preset("gatys2016"), gatys2016),
    "johnson": (StyleTransferOptions.preset("johnson"), johnson),
    "crowson": (StyleTransferOptions.preset("crowson"), crowson),
    "moments": (replace(LOSSES, style_loss="moments"), of_style(moments_loss)),
    "wasserstein": (replace(LOSSES, style_loss="wasserstein"), of_style(wasserstein_loss)),
}


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_are_those_of_the_source(case, reference):
    options, formula = CASES[case]
    transfer = StyleTransfer("vgg16", device="cpu", precision="fp32", threads=1)
    photo, painting, start = picture(0), picture(1, 60, 72), picture(2)
    options = replace(options, size=64, scales=1, init="image")
    step = first_step(transfer, photo, painting, options, init_image=start)
    level = step.run.levels[0]
    assert level.canvas == (SIDES[options.padding], SIDES[options.padding])
    network = reference("vgg16", "max", "float64")
    image = network.tensor(step.run.images).requires_grad_()
    replicates = options.padding == "replicate"
    with network.replicating() if replicates else nullcontext():
        with torch.no_grad():
            of_photo = network.activations(network.tensor(level.fit(photo)))
            of_painting = network.activations(network.tensor(painting_at(painting, 64, 16)))
        loss = formula(image, network.activations(image), of_photo, of_painting)
    loss.backward()
    assert sum(step.losses.values()) == pytest.approx(loss.item(), rel=1e-4)
    expected = image.grad.numpy()
    difference = np.linalg.norm(step.gradient - expected)
    assert difference <= 1e-4 * np.linalg.norm(expected)
