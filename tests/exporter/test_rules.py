"""Compares the rules with autograd: directly on many shapes, then inside an exported graph."""

import math

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nstbatch.exporter import rules
from nstbatch.exporter.checks.autograd import vector_jacobian_product
from nstbatch.exporter.rules import RELU_BACKWARD, ReluRule
from nstbatch.exporter.trace import vjp_graph

small = st.integers(1, 3)
pairs = st.tuples(small, small)
seeds = st.integers(0, 2**16)


def autograd(function, x):
    """The output of a function, a cotangent of whole numbers, and autograd's gradient for it."""
    x = x.clone().requires_grad_()
    output = function(x)
    g = torch.randint(-9, 10, output.shape).to(x.dtype)
    (gradient,) = torch.autograd.grad(output, x, g)
    return output.detach(), g, gradient


# --- Convolution ------------------------------------------------------------------------------


@given(pairs, pairs, pairs, st.tuples(*[st.integers(0, 4)] * 2), st.booleans(), seeds)
def test_convolution(kernel, stride, dilation, padding, grouped, seed):
    torch.manual_seed(seed)
    groups = 2 if grouped else 1
    least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    height, width = (m + extra for m, extra in zip(least, torch.randint(0, 6, (2,)), strict=True))
    x = torch.randint(-9, 10, (2, 4, int(height), int(width))).double()
    weight = torch.randint(-9, 10, (6, 4 // groups, *kernel)).double()

    options = [stride, padding, dilation]
    _, g, expected = autograd(lambda x: functional.conv2d(x, weight, None, *options, groups), x)
    back, *rest = rules.convolution_backward(
        g, x, weight, [6], *options, False, (0, 0), groups, [True, False, False]
    )
    assert torch.equal(back, expected)
    assert rest == [None, None]


@given(pairs, pairs, st.tuples(*[st.integers(0, 1)] * 2), st.booleans(), seeds)
def test_transposed_convolution(kernel, stride, more, grouped, seed):
    assume(all(m < s for m, s in zip(more, stride, strict=True)))
    torch.manual_seed(seed)
    groups = 2 if grouped else 1
    x = torch.randint(-9, 10, (2, 4, 5, 7)).double()
    weight = torch.randint(-9, 10, (4, 6 // groups, *kernel)).double()

    def convolution(x):
        return functional.conv_transpose2d(x, weight, None, stride, (0, 0), more, groups)

    _, g, expected = autograd(convolution, x)
    back, *_ = rules.convolution_backward(
        g, x, weight, None, stride, (0, 0), (1, 1), True, more, groups, [True, False, False]
    )
    assert torch.equal(back, expected)


def test_the_first_convolution_is_asked_for_nothing():
    nothing = rules.convolution_backward(
        *[torch.ones(1, 1, 1, 1)] * 3, None, [1], [0], [1], False, [0], 1, [False, False, False]
    )
    assert nothing == (None, None, None)


# --- Pooling ----------------------------------------------------------------------------------


@st.composite
def windows(draw):
    """Kernel, stride and padding, and an input size that they fit."""
    kernel, stride = draw(pairs), draw(pairs)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return kernel, stride, padding, tuple(draw(st.integers(k, k + 7)) for k in kernel)


@given(windows(), st.booleans(), st.booleans(), st.sampled_from([None, 7]), seeds)
def test_average_pooling(window, ceil, include_padding, divisor, seed):
    kernel, stride, padding, size = window
    # Windows side by side use ONNX's Resize, which torch cannot run: see the exported graphs below.
    assume(kernel != stride or padding != (0, 0) or ceil)
    torch.manual_seed(seed)
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    options = [padding, ceil, include_padding, divisor]
    _, g, expected = autograd(lambda x: functional.avg_pool2d(x, kernel, stride, *options), x)
    back = rules.avg_pool2d_backward(g, x, kernel, stride, *options)
    torch.testing.assert_close(back, expected, rtol=1e-12, atol=1e-12)


@given(windows(), st.booleans(), seeds)
def test_max_pooling(window, ceil, seed):
    """Pictures with few different values, so that most windows tie."""
    kernel, stride, padding, size = window
    torch.manual_seed(seed)
    x = torch.randint(-1, 3, (2, 3, *size)).double()
    output, g, expected = autograd(
        lambda x: functional.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil), x
    )
    back = rules.max_pool2d_backward(
        g, x, kernel, stride, padding, (1, 1), ceil, torch.empty_like(output)
    )
    assert torch.equal(back, expected)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 3), (3, 2), (3, 1)])
def test_the_first_of_equal_maxima_takes_all(kernel, stride):
    x = torch.zeros(1, 1, 7, 7)
    x[..., 1:, :] = 1.0
    g = torch.ones_like(functional.max_pool2d(x, kernel, stride))
    options = [[kernel], [stride], [0], [1], False, torch.empty(0)]
    back = rules.max_pool2d_backward(g, x, *options)[0, 0]
    assert back.sum() == g.numel()
    # The first maximum is in the first row of ones, in each window's first column.
    first = torch.zeros(7)
    first[: stride * g.shape[3] : stride] = 1
    assert torch.equal(back[1] > 0, first > 0)
    assert not back[0].any()


def test_dilated_pooling_is_refused():
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(NotImplementedError, match="dilation"):
        rules.max_pool2d_backward(x, x, [2], [2], [0], [2], False, x)


# --- The table ----------------------------------------------------------------------------------


def test_every_rule_stands_in_for_an_operator():
    tables = [rules.decompositions(rule) for rule in ReluRule]
    replaced = {"convolution", "avg_pool2d", "max_pool2d_with_indices", "threshold"}
    for table, rule in zip(tables, ReluRule, strict=True):
        names = {operator.overloadpacket.__name__ for operator in table}
        assert {f"{name}_backward" for name in replaced} <= names
        assert table[torch.ops.aten.threshold_backward.default] is RELU_BACKWARD[rule]


# --- In a graph -------------------------------------------------------------------------------

SIZES = [(1, 24, 24), (3, 29, 37)]

MODULES = {
    "convolution": nn.Conv2d(3, 4, (3, 5), padding=(1, 0)),
    "more padding than a transposed convolution takes": nn.Conv2d(3, 4, 2, padding=3),
    "stride": nn.Conv2d(3, 4, 7, 3, 2),
    "patches": nn.Conv2d(3, 4, 4, 4),
    "groups, stride and dilation": nn.Conv2d(3, 6, 3, (2, 1), 2, 2, groups=3),
    "transposed convolution": nn.ConvTranspose2d(3, 4, 3, 2, 1, 1),
    "average, tiles": nn.AvgPool2d((2, 3)),
    "average, overlap and hanging over": nn.AvgPool2d(3, 2, ceil_mode=True),
    "average, padded": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "maximum, tiles": nn.MaxPool2d(2),
    "maximum, larger tiles": nn.MaxPool2d(3),
    "maximum, overlap": nn.MaxPool2d(3, 2),
    "maximum, padded and hanging over": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "maximum, gaps": nn.MaxPool2d(2, 3),
}


def assert_exported_right(network, rule, serialised):
    session = ort.InferenceSession(
        serialised(vjp_graph(network, rule)), providers=["CPUExecutionProvider"]
    )
    for n, height, width in SIZES:
        torch.manual_seed(height)
        image = torch.randint(0, 4, (n, 3, height, width)).float()
        cotangents = [torch.randn_like(output) for output in network(image)]
        outputs, gradient = vector_jacobian_product(network, image, cotangents, rule)
        inputs = zip(network.layer_names, cotangents, strict=True)
        found = session.run(
            None,
            {"image": image.numpy()} | {f"cotangent/{name}": g.numpy() for name, g in inputs},
        )
        for array, expected in zip(found, (*outputs, gradient), strict=True):
            np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
def test_exported_rules_at_sizes_never_traced(module, as_layers, serialised):
    assert_exported_right(as_layers(module), ReluRule.GRADIENT, serialised)


@pytest.mark.parametrize("rule", ReluRule)
def test_exported_relu_rules(rule, as_layers, serialised):
    torch.manual_seed(0)
    assert_exported_right(as_layers(nn.Conv2d(3, 4, 3), nn.ReLU()), rule, serialised)


def test_no_rule_leaves_an_operator_that_some_provider_lacks(as_layers):
    """See rules.py: not every provider has MaxUnpool and the indices of MaxPool."""
    modules = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3)]
    graph = vjp_graph(as_layers(*modules), ReluRule.GRADIENT).graph
    operators = [node.op_type for node in graph]
    assert operators.count("Conv") == 6  # with the preprocessing, forward and backward
    assert not {"ConvTranspose", "MaxUnpool", "ScatterElements", "ScatterND", "If"} & {*operators}
    assert all(len(node.outputs) == 1 for node in graph if node.op_type == "MaxPool")
    assert math.prod(len(node.outputs) for node in graph) == 1
