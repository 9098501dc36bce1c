"""The formulas of the loss on Fourier magnitudes; the objectives' :mod:`.magnitudes` defines it.

The transform is the orthonormal discrete Fourier transform, as products with matrices. They depend
on sizes alone, so they are computed once, when a session opens.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .notation import Tensor, op

DOMAIN = onnxscript.values.Opset("nstbatch.magnitudes", 1)


@script(DOMAIN, default_opset=op)
def turns(length: Tensor) -> tuple[Tensor, Tensor]:
    """The cosine and sine of 2 pi j k / n, over the root of n = length (1,): (n, n) each."""
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    numbers = op.Range(zero, op.Squeeze(length), one)
    # The remainder keeps the angle exact in float32.
    steps = op.Mod(op.Unsqueeze(numbers, [1]) * op.Unsqueeze(numbers, [0]), length)
    size = op.Cast(length, to=FLOAT.dtype)
    angle = op.Cast(steps, to=FLOAT.dtype) * (6.283185307179586 / size)
    return op.Cos(angle) / op.Sqrt(size), op.Sin(angle) / op.Sqrt(size)


@script(DOMAIN, default_opset=op)
def waves(planes: Tensor) -> tuple[Tensor, Tensor]:
    """The transform of planes (N, C, H, W): real and imaginary parts, likewise."""
    cosine, sine = turns(op.Shape(planes, start=3))
    real, imaginary = op.MatMul(planes, cosine), -op.MatMul(planes, sine)
    down, down_sine = turns(op.Shape(planes, start=2, end=3))
    whole = op.MatMul(down, real) + op.MatMul(down_sine, imaginary)
    return whole, op.MatMul(down, imaginary) - op.MatMul(down_sine, real)


@script(DOMAIN, default_opset=op)
def planes_of(real: Tensor, imaginary: Tensor) -> Tensor:
    """The real part of the inverse transform of waves, (N, C, H, W) each."""
    cosine, sine = turns(op.Shape(real, start=2, end=3))
    up = op.MatMul(cosine, real) - op.MatMul(sine, imaginary)
    up_imaginary = op.MatMul(cosine, imaginary) + op.MatMul(sine, real)
    across, across_sine = turns(op.Shape(real, start=3))
    return op.MatMul(up, across) - op.MatMul(up_imaginary, across_sine)


@script(DOMAIN, default_opset=op)
def magnitudes_loss(image: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """L = w/2 mean |I - P(I)|^2; dL/dI = w (I - P(I)) / (3 H W). I is the image minus its mean.

    P(I) is the nearest picture with the target's waves T, (N, 6, H, W), real parts before imaginary
    ones: with X the transform of I, that of P(I) is T u, where u = S / |S| and S = sum_c X_c T_c*.
    A larger image counts by its middle.
    """
    sizes = op.Shape(target, start=2)
    before = (op.Shape(image, start=2) - sizes) / 2
    middle = op.Slice(image, before, before + sizes, [2, 3])
    centred = middle - op.ReduceMean(middle, [2, 3], keepdims=1)
    real, imaginary = waves(centred)
    sought, sought_imaginary = op.Split(target, axis=1, num_outputs=2)
    along = op.ReduceSum(real * sought + imaginary * sought_imaginary, [1], keepdims=1)
    aside = op.ReduceSum(imaginary * sought - real * sought_imaginary, [1], keepdims=1)
    # Waves of a flat picture have no phase; the small number keeps the division finite. A guess.
    length = op.Sqrt(along * along + aside * aside + 1e-16)
    turn, turn_imaginary = along / length, aside / length
    off = real - (sought * turn - sought_imaginary * turn_imaginary)
    off_imaginary = imaginary - (sought * turn_imaginary + sought_imaginary * turn)
    elements = op.Cast(op.ReduceProd(op.Shape(middle, start=1)), to=FLOAT.dtype)
    share = weight / elements
    squares = op.ReduceSum(off * off + off_imaginary * off_imaginary, [1, 2, 3], keepdims=0)
    rest = op.Shape(image, start=2) - sizes - before
    pads = op.Concat([0, 0], before, [0, 0], rest, axis=0)
    gradient = op.Pad(planes_of(off, off_imaginary), pads)
    return 0.5 * share * squares, gradient * op.Unsqueeze(share, [1, 2, 3])
