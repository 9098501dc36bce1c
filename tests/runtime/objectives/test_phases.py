"""Phases: the picture and its gradient against PyTorch's FFT, and magnitudes that stay."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.phases import DEVIATIONS, PHASES, POWERS, Phases
from nstbatch.runtime.objectives.spectrum import COLOURS
from nstbatch.runtime.objectives.terms import content

CPU = resolve("cpu")
SIZES = [(12, 15), (15, 12), (8, 8), (9, 7), (2, 3)]

# Its gradient is of the picture's shape, which that of the phases is not.
IDENTITY = """
    <ir_version: 9, opset_import: ["" : 20]>
    identity (float[N, C, H, W] image, float[N, C, H, W] "cotangent/a") => (a, gradient) {
        a = Identity(image)
        gradient = Identity("cotangent/a")
    }
"""


def run(phases, image, target):
    """Loss and gradient of the content |seen - target|^2 / elements."""
    graph = link(onnx.parser.parse_model(IDENTITY), content("a").terms, 1, [PHASES])
    feeds = {IMAGE: image, TARGET + "content/a": target, WEIGHT + "content/a": np.ones(1)}
    feeds |= phases.constants()
    feeds = {name: values.astype(np.float32) for name, values in feeds.items()}
    shapes = {name: values.shape for name, values in feeds.items()}
    outputs = open_session(graph, shapes, CPU, threads=1).run(feeds)
    return outputs[LOSSES][0, 0], outputs[GRADIENT]


def seen(phases, image):
    """The formula, in float64: every wave r cos(2 pi k x + phi) is its half and the opposite."""
    size = (phases.height, phases.width)
    halves = torch.polar(torch.tensor(phases.magnitudes(), dtype=torch.float64) / 2, image)
    full = torch.zeros(1, 3, *size, dtype=torch.complex128)
    full[..., : phases.shape[1]] = halves
    planes = 2 * torch.fft.ifft2(full, norm="forward").real
    return torch.sigmoid(torch.einsum("ij,njhw->nihw", torch.tensor(COLOURS), planes))


@given(size=st.sampled_from(SIZES), seed=st.integers(0, 99))
@settings(max_examples=12)
def test_value_and_gradient_are_those_of_pytorch(size, seed):
    phases = Phases(*size)
    image = phases.first_phases(seed)
    variable = torch.tensor(image, dtype=torch.float64, requires_grad=True)
    picture = seen(phases, variable)
    np.testing.assert_allclose(phases.picture(image), picture.detach().numpy(), atol=1e-5)
    target = phases.picture(phases.first_phases(seed + 1))
    loss, gradient = run(phases, image, target)
    expected = ((picture - torch.tensor(target)) ** 2).mean()
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-4)
    error = np.linalg.norm(gradient - variable.grad.numpy())
    assert error <= 1e-4 * np.linalg.norm(variable.grad.numpy())


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_has_the_magnitudes_whatever_the_phases(size):
    phases = Phases(*size)
    for seed in range(3):
        picture = phases.picture(phases.first_phases(seed)).astype(np.float64)
        before_sigmoid = np.log(picture / (1 - picture))
        planes = np.einsum("ij,njhw->nihw", np.linalg.inv(COLOURS), before_sigmoid)
        found = 2 * np.abs(np.fft.rfft2(planes, norm="forward"))[0]
        fixed = phases.magnitudes()
        counted = fixed > 0  # of a pair in one column, the second is not stored
        np.testing.assert_allclose(found[counted], fixed[counted], atol=1e-4)
        deviations = planes.std(axis=(0, 2, 3))
        np.testing.assert_allclose(deviations, DEVIATIONS, rtol=1e-3)


def test_magnitudes_fall_by_their_law_along_both_axes_alike():
    magnitudes = Phases(64, 32).magnitudes()
    for plane, power in zip(magnitudes, POWERS, strict=True):
        # 8 cycles down a side of 64 have the frequency of 4 across one of 32.
        np.testing.assert_allclose(plane[8, 0], plane[0, 4], rtol=1e-5)
        np.testing.assert_allclose(plane[8, 0] / plane[16, 0], 2**power, rtol=1e-5)
    assert not magnitudes[:, 0, 0].any()  # the mean
    assert not magnitudes[:, 33:, 0].any()  # the opposites of waves that are stored


def test_seeds_repeat():
    phases = Phases(10, 12)
    first = phases.first_phases(3)
    assert first.shape == (1, 3, 10, 7)
    np.testing.assert_array_equal(first, phases.first_phases(3))
    assert (first != phases.first_phases(4)).any()
