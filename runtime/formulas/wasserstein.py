"""The style loss by the Wasserstein-2 distance of Gaussians, as ONNX.

Two Gaussians of the means m, m* and the covariances S, S* are apart by
B = |m - m*|^2 + tr(S + S* - 2 (R S R)^(1/2)), with R the square root of S* (style-transfer-pytorch,
StyleLossW2). Square roots are found by twelve steps of Newton and Schulz, products alone.
:mod:`nstbatch.runtime.objectives.terms` documents inputs and outputs.

The loss is B as these steps compute it, and its derivative goes back through each of them.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .moments import centred, centred_within
from .notation import Tensor, op
from .terms import carried_back

DOMAIN = onnxscript.values.Opset("nstbatch.wasserstein", 1)


@script(DOMAIN, default_opset=op)
def identity(matrix: Tensor) -> Tensor:
    """The identity (C, C) of the size of a matrix (N, C, C)."""
    size = op.Squeeze(op.Shape(matrix, start=2, end=3), [0])
    places = op.Range(0, size, 1)
    same = op.Equal(op.Unsqueeze(places, [0]), op.Unsqueeze(places, [1]))
    return op.Cast(same, to=FLOAT.dtype)


@script(DOMAIN, default_opset=op)
def covariance(deviations: Tensor) -> Tensor:
    """The covariance of the channels over positions, plus 1e-4, (N, C, C), of F - m (N, C, P).

    style-transfer-pytorch adds 1e-4 to the diagonal; without it a root has no derivative.
    """
    positions = op.Cast(op.ReduceProd(op.Shape(deviations, start=2)), to=FLOAT.dtype)
    rows = deviations / op.Sqrt(positions)
    product = op.MatMul(rows, op.Transpose(rows, perm=[0, 2, 1]))
    return product + 1e-4 * identity(product)


@script(DOMAIN, default_opset=op)
def root_step(y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """A step of Newton and Schulz: Y' = (3 Y - Y Z Y) / 2, Z' = (3 Z - Z Y Z) / 2."""
    product = op.MatMul(z, y)
    return 1.5 * y - 0.5 * op.MatMul(y, product), 1.5 * z - 0.5 * op.MatMul(product, z)


@script(DOMAIN, default_opset=op)
def four_root_steps(y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Four of :func:`root_step`."""
    y1, z1 = root_step(y, z)
    y2, z2 = root_step(y1, z1)
    y3, z3 = root_step(y2, z2)
    y4, z4 = root_step(y3, z3)
    return y4, z4


@script(DOMAIN, default_opset=op)
def norm(matrix: Tensor) -> Tensor:
    """The Frobenius norm of matrices (N, C, C), (N, 1, 1): no eigenvalue is larger."""
    return op.Sqrt(op.ReduceSum(matrix * matrix, [1, 2]))


@script(DOMAIN, default_opset=op)
def root(matrix: Tensor) -> Tensor:
    """The square root of positive matrices (N, C, C), by twelve steps."""
    scale = norm(matrix)
    y, z = four_root_steps(matrix / scale, op.Expand(identity(matrix), op.Shape(matrix)))
    y, z = four_root_steps(y, z)
    y, z = four_root_steps(y, z)
    return y * op.Sqrt(scale)


@script(DOMAIN, default_opset=op)
def step_back(y: Tensor, z: Tensor, dy: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives in Y and Z, from those in what :func:`root_step` makes of them.

    With M = Z Y, dM = -(Y dY' + dZ' Z) / 2, all matrices being symmetric:
    dY = (3 dY' - dY' M) / 2 + Z dM, dZ = (3 dZ' - M dZ') / 2 + dM Y, with M transposed.
    """
    product = op.Transpose(op.MatMul(z, y), perm=[0, 2, 1])
    old_y, old_z = op.Transpose(y, perm=[0, 2, 1]), op.Transpose(z, perm=[0, 2, 1])
    slope = op.MatMul(old_y, dy) + op.MatMul(dz, old_z)
    new_dy = 1.5 * dy - 0.5 * (op.MatMul(dy, product) + op.MatMul(old_z, slope))
    new_dz = 1.5 * dz - 0.5 * (op.MatMul(product, dz) + op.MatMul(slope, old_y))
    return new_dy, new_dz


@script(DOMAIN, default_opset=op)
def sloped_root(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The square root of positive matrices A, and the derivative of its trace, both (N, C, C).

    The norm that A is divided by counts as constant: it hardly shows in the root.
    """
    scale = norm(matrix)
    ones = op.Expand(identity(matrix), op.Shape(matrix))
    y0, z0 = matrix / scale, ones
    y1, z1 = root_step(y0, z0)
    y2, z2 = root_step(y1, z1)
    y3, z3 = root_step(y2, z2)
    y4, z4 = root_step(y3, z3)
    y5, z5 = root_step(y4, z4)
    y6, z6 = root_step(y5, z5)
    y7, z7 = root_step(y6, z6)
    y8, z8 = root_step(y7, z7)
    y9, z9 = root_step(y8, z8)
    y10, z10 = root_step(y9, z9)
    y11, z11 = root_step(y10, z10)
    y12, _ = root_step(y11, z11)
    dy, dz = step_back(y11, z11, op.Sqrt(scale) * ones, 0.0 * matrix)
    dy, dz = step_back(y10, z10, dy, dz)
    dy, dz = step_back(y9, z9, dy, dz)
    dy, dz = step_back(y8, z8, dy, dz)
    dy, dz = step_back(y7, z7, dy, dz)
    dy, dz = step_back(y6, z6, dy, dz)
    dy, dz = step_back(y5, z5, dy, dz)
    dy, dz = step_back(y4, z4, dy, dz)
    dy, dz = step_back(y3, z3, dy, dz)
    dy, dz = step_back(y2, z2, dy, dz)
    dy, dz = step_back(y1, z1, dy, dz)
    dy, dz = step_back(y0, z0, dy, dz)
    return y12 * op.Sqrt(scale), dy / scale


@script(DOMAIN, default_opset=op)
def gaussian_of(deviations: Tensor, means: Tensor) -> Tensor:
    """The mean and the root of the covariance of the channels, (N, 1 + C, C)."""
    return op.Concat(op.Transpose(means, perm=[0, 2, 1]), root(covariance(deviations)), axis=1)


@script(DOMAIN, default_opset=op)
def gaussian(activation: Tensor) -> Tensor:
    """The Gaussian of the channels, (N, 1 + C, C)."""
    deviations, means = centred(activation)
    return gaussian_of(deviations, means)


@script(DOMAIN, default_opset=op)
def gaussian_within(activation: Tensor, guide: Tensor) -> Tensor:
    """The Gaussian of the channels by the weights of a guide, (N, 1 + C, C)."""
    deviations, means = centred_within(activation, guide)
    return gaussian_of(deviations, means)


@script(DOMAIN, default_opset=op)
def distance_of(
    means: Tensor, found: Tensor, target: Tensor, weight: Tensor, positions: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """L = w B / (C (C + 1)), the mean over the numbers of the target, m* and R.

    With Q the derivative of tr (R S R)^(1/2) in R S R,
    dL/dF = 2 w (m - m* + (I - 2 R Q R) (F - m)) / (C (C + 1) H W).

    Args:
        means: m, (N, C, 1).
        found: S, (N, C, C).
        target: m* and R, (N, 1 + C, C).
        weight: (N,).
        positions: H W.

    Returns:
        L; and what dL/dF is everywhere, (N, C, 1), and the matrices (N, C, C) that F - m is
        multiplied by in it.
    """
    wanted, root_wanted = op.Slice(target, [0], [1], [1]), op.Slice(target, [1], [1048576], [1])
    away = means - op.Transpose(wanted, perm=[0, 2, 1])
    inner = op.MatMul(op.MatMul(root_wanted, found), root_wanted)
    mixed, slope = sloped_root(inner)
    ones = identity(found)

    elements = op.Cast(op.ReduceProd(op.Shape(target, start=1)), to=FLOAT.dtype)
    traces = (found - 2.0 * mixed) * ones + root_wanted * root_wanted
    apart = op.ReduceSum(away * away, [1, 2], keepdims=0) + op.ReduceSum(traces, [1, 2], keepdims=0)
    scale = op.Unsqueeze(2.0 * weight / (elements * positions), [1, 2])
    filters = scale * (ones - 2.0 * op.MatMul(op.MatMul(root_wanted, slope), root_wanted))
    return weight * apart / elements, scale * away, filters


@script(DOMAIN, default_opset=op)
def distance(
    deviations: Tensor, means: Tensor, target: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same of F - m, (N, C, H W)."""
    positions = op.Cast(op.ReduceProd(op.Shape(deviations, start=2)), to=FLOAT.dtype)
    found = covariance(deviations)
    loss, everywhere, filters = distance_of(means, found, target, weight, positions)
    return loss, everywhere, filters


@script(DOMAIN, default_opset=op)
def wasserstein_loss(
    activation: Tensor, target: Tensor, weight: Tensor, pictures: int = 1
) -> tuple[Tensor, Tensor]:
    """L, and its derivative; see :func:`distance_of`."""
    deviations, means = centred(activation)
    loss, everywhere, filters = distance(deviations, means, target, weight)
    moved = op.Reshape(deviations, op.Shape(activation))
    back = carried_back(filters, moved, pictures=pictures)
    return loss, back + op.Unsqueeze(everywhere, [3])


@script(DOMAIN, default_opset=op)
def wasserstein_loss_within(
    activation: Tensor, target: Tensor, weight: Tensor, guide: Tensor, pictures: int = 1
) -> tuple[Tensor, Tensor]:
    """The same by the weights of a guide g, and the derivative in g F."""
    deviations, means = centred_within(activation, guide)
    loss, everywhere, filters = distance(deviations, means, target, weight)
    moved = op.Reshape(deviations, op.Shape(activation))
    back = carried_back(filters, moved, pictures=pictures)
    return loss, back + op.Unsqueeze(everywhere, [3]) * guide
