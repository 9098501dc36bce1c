"""Rules that replace ATen's backward operators with operators that every ONNX provider runs.

A rule has the signature of the ATen operator that it replaces. ``make_fx`` uses it as a
decomposition, so the traced gradient contains only convolutions, comparisons, slices and resizes.
``torch.onnx`` has no translation for the ATen originals.

Shapes below: ``x`` is the forward input (N, C, H, W), ``g`` the cotangent of the output
(N, C', H', W'); k, s, p and d are kernel, stride, padding and dilation, each (height, width).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import cast

import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch.nn import functional

aten = torch.ops.aten

Rule = Callable[..., object]

# Padding value for max pooling: float16's lowest number, which is finite in every precision.
LOWEST = torch.finfo(torch.float16).min


class ReluRule(StrEnum):
    """Rule for passing a cotangent g back through a ReLU with the output a."""

    GRADIENT = "gradient"  # g where a > 0: the derivative
    DECONV = "deconv"  # max(g, 0) for any sign of a (Zeiler & Fergus 2014)
    GUIDED = "guided"  # both (Springenberg et al. 2015)


def decompositions(relu: ReluRule) -> dict[torch._ops.OpOverload, Rule]:
    """The decomposition table for ``make_fx``: these rules, and torch's own for batch norm."""
    operators = [
        aten.native_batch_norm_backward,
        aten._native_batch_norm_legit_no_training,
        aten.native_batch_norm,
        aten.cudnn_batch_norm_backward,
    ]
    table = cast("dict[torch._ops.OpOverload, Rule]", dict(get_decompositions(operators)))
    table |= {
        aten.convolution_backward.default: convolution_backward,
        aten.avg_pool2d_backward.default: avg_pool2d_backward,
        aten.max_pool2d_with_indices_backward.default: max_pool2d_backward,
        aten.threshold_backward.default: RELU_BACKWARD[relu],
    }
    return table


# --- ReLU -------------------------------------------------------------------------------------


# Slope that raises a positive activation to 1 or more; finite in float32 and bfloat16. The exact
# value is a guess.
STEEP = 1e38


def relu_gradient(g: Tensor, a: Tensor, threshold: float) -> Tensor:
    """The derivative: the cotangent passes where the activation is positive.

    The step function is a ``HardSigmoid``, min(max(STEEP a, 0), 1). ONNX Runtime's CPU provider
    runs it and the product in the layout of its convolutions, which takes 4 % of a whole step of
    VGG16; a comparison and a ``Where`` take 19 %. Activations below 1 / STEEP pass only in part.
    """
    positive = a - threshold if threshold else a
    step = torch.onnx.ops.symbolic(
        "HardSigmoid",
        (positive,),
        attrs={"alpha": STEEP, "beta": 0.0},
        dtype=a.dtype,
        shape=a.shape,
    )
    return g * step


def relu_deconv(g: Tensor, a: Tensor, threshold: float) -> Tensor:
    """Zeiler & Fergus 2014, section 2.1: a ReLU on the way back; the forward sign is ignored."""
    return torch.relu(g)


def relu_guided(g: Tensor, a: Tensor, threshold: float) -> Tensor:
    """Springenberg et al. 2015: passes only what both the gradient and the deconvnet pass."""
    return relu_gradient(torch.relu(g), a, threshold)


RELU_BACKWARD: dict[ReluRule, Rule] = {
    ReluRule.GRADIENT: relu_gradient,
    ReluRule.DECONV: relu_deconv,
    ReluRule.GUIDED: relu_guided,
}


# --- Convolution ------------------------------------------------------------------------------


def convolution_backward(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor | None, None, None]:
    """Gradient of a convolution with respect to its input; a backbone's weights are frozen."""
    if not output_mask[0]:
        return None, None, None
    if transposed:
        back = functional.conv2d(g, weight, None, stride, padding, dilation, groups)
    elif _has_plain_convolution(weight, stride, padding, dilation, groups):
        back = _flipped_convolution(g, weight, padding, dilation)
    else:
        back = _transposed_convolution(g, x, weight, stride, padding, dilation, groups)
    return back, None, None


def _has_plain_convolution(
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> bool:
    fits = all(
        p <= d * (k - 1) for p, d, k in zip(padding, dilation, weight.shape[2:], strict=True)
    )
    return groups == 1 and fits and all(s == 1 for s in stride)


def _flipped_convolution(
    g: Tensor, weight: Tensor, padding: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """Stride 1: a convolution with the filters flipped and their channels swapped.

    ``ConvTranspose`` gives the same numbers up to twice as slowly on ONNX Runtime's CPU provider.
    """
    flipped = weight.transpose(0, 1).flip(2, 3)
    margin = [d * (k - 1) - p for p, d, k in zip(padding, dilation, weight.shape[2:], strict=True)]
    return functional.conv2d(g, flipped, None, 1, margin, dilation)


def _transposed_convolution(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """Any stride: the transposed convolution, cut to the input's size.

    A strided convolution ignores up to ``s - 1`` rows at the end. Their number is known only at
    run time, so a row of zeros is added that makes room for all of them.
    """
    zeros = [int(s > 1) for s in stride]
    longer = functional.pad(g, (0, zeros[1], 0, zeros[0]))
    back = functional.conv_transpose2d(longer, weight, None, stride, padding, 0, groups, dilation)
    return back[:, :, : x.shape[2], : x.shape[3]]


# --- Pooling ----------------------------------------------------------------------------------


def avg_pool2d_backward(
    g: Tensor,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """Average pooling: every input of a window gets an equal share of the cotangent."""
    k, s, p = _pair(kernel), _pair(stride or kernel), _pair(padding)
    if k == s and p == (0, 0) and not ceil_mode:
        share = g * (1.0 / (divisor_override or k[0] * k[1]))
        return _extend(_repeat_nearest(share, k), x)
    counts = _window_counts(g, x, k, s, p, ceil_mode, count_include_pad, divisor_override)
    shares = (g / counts).flatten(0, 1).unsqueeze(1)
    window = torch.ones((1, 1, *k), dtype=g.dtype)
    return _place_windows(shares, window, x, s, p)


def _window_counts(
    g: Tensor,
    x: Tensor,
    k: tuple[int, int],
    s: tuple[int, int],
    p: tuple[int, int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor | float:
    """Number of inputs that each window averages, (1, 1, H', W'); smaller at the border."""
    if divisor_override is not None:
        return float(divisor_override)
    if not ceil_mode and (count_include_pad or p == (0, 0)):
        return float(k[0] * k[1])
    # A window that reaches over the end counts the padding, but nothing beyond it.
    counted = p if count_include_pad else (0, 0)
    ones = torch.ones_like(x[:1, :1])
    ones = functional.pad(ones, (counted[1], counted[1], counted[0], counted[0]), value=1.0)
    top, left = p[0] - counted[0], p[1] - counted[1]
    bottom, right = _beyond_the_end(s, (top, left), ceil_mode)
    ones = functional.pad(ones, (left, right, top, bottom))
    sums = functional.conv2d(ones, torch.ones((1, 1, *k), dtype=g.dtype), stride=s)
    return sums[:, :, : g.shape[2], : g.shape[3]]


def max_pool2d_backward(
    g: Tensor,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """Max pooling: the cotangent goes to each window's first maximum (the "switches").

    Where a window ties, as everywhere in flat skies and logos, PyTorch takes the first maximum in
    row-major order, and so does this rule. The recorded indices are not used: TensorRT has no
    second output of ``MaxPool``.
    """
    k, s, p = _pair(kernel), _pair(stride or kernel), _pair(padding)
    if _pair(dilation) != (1, 1):
        raise NotImplementedError("max pooling with dilation has no rule")
    if k == s and k[0] == k[1] and p == (0, 0) and not ceil_mode:
        return _switch_tiles(g, x, k[0])
    return _switch_windows(g, x, k, s, p, ceil_mode)


def _switch_tiles(g: Tensor, x: Tensor, k: int) -> Tensor:
    """Windows that tile the picture: compare strided slices, then put them back by a pixel shuffle.

    Each position that equals the maximum takes the cotangent and leaves zero for the later ones.
    """
    rows, columns = g.shape[2], g.shape[3]
    phases = [
        x[:, :, i : i + k * (rows - 1) + 1 : k, j : j + k * (columns - 1) + 1 : k]
        for i in range(k)
        for j in range(k)
    ]
    highest = functools.reduce(torch.maximum, phases)
    zero = torch.zeros((), dtype=g.dtype)
    claimed, rest = [], g
    for phase in phases[:-1]:
        is_maximum = phase >= highest
        claimed.append(torch.where(is_maximum, rest, zero))
        rest = torch.where(is_maximum, zero, rest)
    return _extend(functional.pixel_shuffle(torch.stack([*claimed, rest], 2).flatten(1, 2), k), x)


def _switch_windows(
    g: Tensor,
    x: Tensor,
    k: tuple[int, int],
    s: tuple[int, int],
    p: tuple[int, int],
    ceil_mode: bool,
) -> Tensor:
    """Windows that overlap: unfold and fold them by convolutions with one-hot filters."""
    size = k[0] * k[1]
    one_hot = torch.eye(size, dtype=g.dtype).reshape(size, 1, *k)
    bottom, right = _beyond_the_end(s, p, ceil_mode)
    padded = functional.pad(x, (p[1], right, p[0], bottom), value=LOWEST)
    windows = functional.conv2d(padded.flatten(0, 1).unsqueeze(1), one_hot, stride=s)
    windows = windows[:, :, : g.shape[2], : g.shape[3]]
    is_maximum = windows >= windows.amax(1, keepdim=True)
    before = torch.ones(size, size, dtype=g.dtype).tril(-1).reshape(size, size, 1, 1)
    is_first = functional.conv2d(is_maximum.to(g.dtype), before) < 0.5
    switched = torch.where(is_maximum & is_first, g.flatten(0, 1).unsqueeze(1), torch.zeros(()))
    return _place_windows(switched, one_hot, x, s, p)


def _beyond_the_end(s: tuple[int, int], p: tuple[int, int], ceil_mode: bool) -> tuple[int, int]:
    """Rows and columns of padding at the end: enough for one window more than exist.

    Ceil mode lets the last window reach over the end by less than a stride. There must be one
    window too many at every size: if a cut removes nothing during tracing, torch concludes that
    the picture's size is always such a multiple of the stride.
    """
    strides = 2 if ceil_mode else 1
    return p[0] + strides * s[0], p[1] + strides * s[1]


def _place_windows(
    windows: Tensor, kernel: Tensor, x: Tensor, s: tuple[int, int], p: tuple[int, int]
) -> Tensor:
    """Sum overlapping windows into a picture of x's shape.

    windows: (N * C, K, H', W'); kernel: (K, 1, height, width), the place of each of the K values in
    its window.
    """
    summed = functional.conv_transpose2d(windows, kernel, stride=s)
    summed = functional.pad(summed, (0, s[1], 0, s[0]))
    cut = summed[:, 0, p[0] : p[0] + x.shape[2], p[1] : p[1] + x.shape[3]]
    return cut.reshape(x.shape)


def _repeat_nearest(picture: Tensor, times: tuple[int, int]) -> Tensor:
    """Repeat every element (times[0], times[1]) times, by the ONNX operator ``Resize``.

    Torch would decompose its own nearest upsampling into index arithmetic, and an ``Expand``
    instead costs 18 % of a whole step on OpenVINO.
    """
    n, c, height, width = picture.shape
    return torch.onnx.ops.symbolic(
        "Resize",
        (picture, None, torch.tensor([1.0, 1.0, *map(float, times)])),
        attrs={
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
        dtype=picture.dtype,
        shape=(n, c, height * times[0], width * times[1]),
    )


def _extend(picture: Tensor, x: Tensor) -> Tensor:
    """Pad with zeros the last rows and columns of x, which no window reached."""
    bottom, right = x.shape[2] - picture.shape[2], x.shape[3] - picture.shape[3]
    return functional.pad(picture, (0, right, 0, bottom))


def _pair(values: Sequence[int]) -> tuple[int, int]:
    """A pair, also from the [k] that ATen sometimes writes for (k, k)."""
    return (values[0], values[-1])
