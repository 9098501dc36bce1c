import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nstbatch.exporter.checks.margins import Margin, Sign, Switch, least_margin, rounding_errors

ERROR = 1e-7


def least(network, image):
    """The least margin if all errors are 1e-7."""
    errors = [torch.full_like(error, ERROR) for error in rounding_errors(network.eval(), image)]
    return least_margin(network, image, errors)


def image_with(value, row, column, rest=1.0):
    image = torch.full((1, 2, 6, 8), rest)
    image[0, 1, row, column] = value
    return image


# --- ReLU -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [3e-7, -3e-7])
@pytest.mark.parametrize(
    "relu", [nn.ReLU(), nn.ReLU(inplace=True), nn.LeakyReLU(0.1), nn.PReLU(2)], ids=repr
)
def test_a_relu_whose_input_is_close_to_zero(relu, value):
    network = nn.Sequential(nn.BatchNorm2d(2, eps=0), relu)  # the identity, but makes a copy
    margin = least(network, image_with(value, row=4, column=1))
    assert margin.size == pytest.approx(3, rel=1e-3)
    assert margin.place == (4.5 / 6, 1.5 / 8)
    assert not margin.is_clear


def test_zero_itself_is_clear():
    assert least(nn.Sequential(nn.ReLU()), image_with(0.0, 1, 1)).size == pytest.approx(1 / ERROR)


def test_a_network_without_decisions_is_clear():
    margin = least(nn.Sequential(nn.Conv2d(2, 3, 1), nn.AvgPool2d(2)), image_with(0.5, 1, 1))
    assert margin == Margin(math.inf, (0.5, 0.5))
    assert margin.is_clear


def test_a_decision_without_a_place_is_about_the_middle():
    network = nn.Sequential(nn.Flatten(), nn.ReLU())
    assert least(network, image_with(3e-7, 0, 0)).place == (0.5, 0.5)


# --- Max pooling ------------------------------------------------------------------------------


def test_a_window_with_two_values_that_nearly_tie():
    network = nn.Sequential(nn.MaxPool2d(2))
    image = torch.rand(1, 2, 6, 8)
    image[0, 0, 2, 4:6] = torch.tensor([2.0, 2.0 + 2.384185791015625e-07])  # the next float32
    margin = least(network, image)
    assert margin.size == pytest.approx(2.384, rel=1e-3)
    assert margin.place == (1.5 / 3, 2.5 / 4)


def test_exact_ties_are_clear():
    flat = torch.full((1, 2, 6, 8), 0.3)
    assert least(nn.Sequential(nn.MaxPool2d(3, 2, 1)), flat).size == math.inf


def test_what_float64_cannot_tell_apart_is_a_tie():
    values = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    values[..., 0, 0] += 1e-15
    assert Switch(values, [2], [2], [0]).gaps().item() == math.inf


@given(st.data())
def test_gaps_are_those_of_pytorchs_windows(data):
    """Compare with the two largest different values of every window."""
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = [data.draw(st.integers(0, k // 2)) for k in kernel]
    height, width = (data.draw(st.integers(k, 9)) for k in kernel)
    ceil = data.draw(st.booleans())
    torch.manual_seed(data.draw(st.integers(0, 99)))
    values = torch.randint(0, 9, (1, 1, height, width)).double()

    gaps = Switch(values, kernel, stride, padding).gaps()[0, 0]
    pooled = functional.max_pool2d(values, kernel, stride, padding, ceil_mode=ceil)[0, 0]
    for i, j in torch.cartesian_prod(*map(torch.arange, pooled.shape)).tolist():
        top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
        window = values[0, 0, max(0, top) : top + kernel[0], max(0, left) : left + kernel[1]]
        different = window.unique()
        expected = (different[-1] - different[-2]).item() if len(different) > 1 else math.inf
        assert gaps[i, j].item() == expected


# --- Rounding errors --------------------------------------------------------------------------


@pytest.fixture
def network():
    torch.manual_seed(0)
    modules = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3), nn.ReLU()]
    return nn.Sequential(*modules).eval().requires_grad_(False)


def test_rounding_errors_are_those_of_float32(network):
    image = torch.rand(2, 3, 20, 30)
    errors = rounding_errors(network, image)
    assert [error.shape for error in errors] == [(8, 1, 1), (8, 1, 1), (4, 1, 1)]
    for error in errors:
        assert ((error > 1e-9) & (error < 1e-6)).all()
    rough = network[0](image)
    exact = network.double()[0](image.double())
    expected = (rough - exact).square().mean((0, 2, 3)).sqrt()
    loud = expected > expected.square().mean().sqrt()
    assert loud.any()
    torch.testing.assert_close(errors[0].flatten()[loud], expected[loud])


def test_a_larger_error_makes_a_smaller_margin(network):
    image = torch.rand(1, 3, 20, 30)
    errors = rounding_errors(network, image)
    single = least_margin(network, image, errors)
    double = least_margin(network, image, [2 * error for error in errors])
    assert double.size == pytest.approx(single.size / 2)
    assert double.place == single.place


def test_the_network_is_left_as_it_was(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    image = torch.rand(1, 3, 20, 30)
    least_margin(network, image, rounding_errors(network, image))
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, before[name])


def test_what_is_overwritten_later_is_remembered():
    (error,) = rounding_errors(
        nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True)).eval(), torch.rand(1, 3, 4, 4)
    )
    assert (error > 0).all()
    values = torch.tensor([[-2.0, 3.0]])
    assert Sign(values).gaps().tolist() == [[2.0, 3.0]]
