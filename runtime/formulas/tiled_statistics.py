"""The formulas of style losses on further statistics, computed tile by tile; see :mod:`.tiles`.

Means, covariances and shifted Gram matrices are sums over positions, like Gram matrices. The
target of each is computed from such sums, too: ``target(sums, elements)``.
"""

from __future__ import annotations

import onnxscript
from onnxscript import FLOAT, script

from .correlations import pulled_apart
from .notation import Tensor, op
from .scaled import scaled_error, squared_error
from .terms import carried_back
from .wasserstein import distance_of, identity, root

DOMAIN = onnxscript.values.Opset("nstbatch.tiled_statistics", 1)


@script(DOMAIN, default_opset=op)
def mean_target(sums: Tensor, elements: Tensor) -> Tensor:
    """S / (C H W)."""
    return sums / elements


@script(DOMAIN, default_opset=op)
def positions_of(sums: Tensor, elements: Tensor) -> Tensor:
    """H W of the whole picture, (1,), for sums (N, R, C)."""
    return elements / op.Cast(op.Shape(sums, start=2), to=FLOAT.dtype)


# --- Means and deviations ---------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def moment_sums(activation: Tensor, mask: Tensor) -> Tensor:
    """Sum F and sum F^2 of each channel, (N, 2, C)."""
    features = op.Reshape(activation * mask, [0, 0, -1])
    both = op.Concat(op.ReduceSum(features, [2]), op.ReduceSum(features * features, [2]), axis=2)
    return op.Transpose(both, perm=[0, 2, 1])


@script(DOMAIN, default_opset=op)
def moments_target(sums: Tensor, elements: Tensor) -> Tensor:
    """Mean and standard deviation of each channel, (N, 2, C); see :func:`.moments.moments`."""
    means, squares = op.Split(sums / positions_of(sums, elements), num_outputs=2, axis=1)
    variances = op.Relu(squares - means * means) + 1e-8
    return op.Concat(means, op.Sqrt(variances), axis=1)


@script(DOMAIN, default_opset=op)
def line(found: Tensor, slope: Tensor, positions: Tensor) -> Tensor:
    """The derivative in F, a + b F, as (a, b), (N, 2, C); see :func:`.moments.moments_back`."""
    of_mean, of_deviation = op.Split(slope, num_outputs=2, axis=1)
    mean, deviation = op.Split(found, num_outputs=2, axis=1)
    factor = of_deviation / deviation
    return op.Concat(of_mean - factor * mean, factor, axis=1) / positions


@script(DOMAIN, default_opset=op)
def moments_finish(
    sums: Tensor, target: Tensor, weight: Tensor, elements: Tensor
) -> tuple[Tensor, Tensor]:
    """See :func:`.moments.moments_loss`."""
    found = moments_target(sums, elements)
    loss, slope = squared_error(found, target, weight)
    return loss, line(found, slope, positions_of(sums, elements))


@script(DOMAIN, default_opset=op)
def scaled_moments_finish(
    sums: Tensor, target: Tensor, weight: Tensor, elements: Tensor
) -> tuple[Tensor, Tensor]:
    """See :func:`.moments.scaled_moments_loss`."""
    found = moments_target(sums, elements)
    loss, slope = scaled_error(found - target, weight)
    return loss, line(found, slope, positions_of(sums, elements))


@script(DOMAIN, default_opset=op)
def moments_pull(activation: Tensor, slope: Tensor) -> Tensor:
    """dL/dF = a + b F."""
    columns = op.Unsqueeze(op.Transpose(slope, perm=[0, 2, 1]), [3])
    offset, factor = op.Split(columns, num_outputs=2, axis=2)
    return offset + factor * activation


# --- Means and covariances --------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def gaussian_sums(activation: Tensor, mask: Tensor) -> Tensor:
    """Sum F of each channel, above F F^T: (N, 1 + C, C)."""
    features = op.Reshape(activation * mask, [0, 0, -1])
    rows = op.Transpose(features, perm=[0, 2, 1])
    return op.Concat(op.ReduceSum(rows, [1]), op.MatMul(features, rows), axis=1)


@script(DOMAIN, default_opset=op)
def gaussian_of(sums: Tensor, elements: Tensor) -> tuple[Tensor, Tensor]:
    """Means (N, C, 1) and covariances (N, C, C); see :func:`.wasserstein.covariance`."""
    both = sums / positions_of(sums, elements)
    row, products = op.Slice(both, [0], [1], [1]), op.Slice(both, [1], [1048576], [1])
    means = op.Transpose(row, perm=[0, 2, 1])
    return means, products - op.MatMul(means, row) + 1e-4 * identity(products)


@script(DOMAIN, default_opset=op)
def gaussian_target(sums: Tensor, elements: Tensor) -> Tensor:
    """The mean and the root of the covariance, (N, 1 + C, C); see :func:`.wasserstein.gaussian`."""
    means, found = gaussian_of(sums, elements)
    return op.Concat(op.Transpose(means, perm=[0, 2, 1]), root(found), axis=1)


@script(DOMAIN, default_opset=op)
def wasserstein_finish(
    sums: Tensor, target: Tensor, weight: Tensor, elements: Tensor
) -> tuple[Tensor, Tensor]:
    """See :func:`.wasserstein.wasserstein_loss`. The slope is a, above A of the pull a + A F."""
    means, found = gaussian_of(sums, elements)
    positions = positions_of(sums, elements)
    loss, away, filters = distance_of(means, found, target, weight, positions)
    offset = op.Transpose(away - op.MatMul(filters, means), perm=[0, 2, 1])
    return loss, op.Concat(offset, filters, axis=1)


@script(DOMAIN, default_opset=op)
def wasserstein_pull(activation: Tensor, slope: Tensor, pictures: int = 1) -> Tensor:
    """dL/dF = a + A F."""
    row, filters = op.Slice(slope, [0], [1], [1]), op.Slice(slope, [1], [1048576], [1])
    offset = op.Unsqueeze(op.Transpose(row, perm=[0, 2, 1]), [3])
    return offset + carried_back(filters, activation, pictures=pictures)


# --- Shifted Gram matrices --------------------------------------------------------------------


@script(DOMAIN, default_opset=op)
def shifted_product(activation: Tensor, mask: Tensor, axis: int, shift: int) -> Tensor:
    """F(p + shift) F(p)^T over the places p of the mask, (N, C, C)."""
    along, reach = op.Reshape(axis, [1]), op.Reshape(shift, [1])
    later = op.Reshape(op.Slice(activation, reach, [2147483647], along), [0, 0, -1])
    earlier = op.Reshape(op.Slice(activation * mask, [0], -reach, along), [0, 0, -1])
    return op.MatMul(later, op.Transpose(earlier, perm=[0, 2, 1]))


@script(DOMAIN, default_opset=op)
def shifted_sums(activation: Tensor, mask: Tensor, shift: int = 1) -> Tensor:
    """The products down and to the right, one above the other: (N, 2 C, C)."""
    down = shifted_product(activation, mask, axis=2, shift=shift)
    right = shifted_product(activation, mask, axis=3, shift=shift)
    return op.Concat(down, right, axis=1)


@script(DOMAIN, default_opset=op)
def shifted_scale(sums: Tensor, elements: Tensor) -> Tensor:
    """The number of values of the pairs down and to the right, (2,), for each row: (2 C, 1)."""
    rows = op.Concat([2], op.Shape(sums, start=2), axis=0)
    return op.Reshape(op.Expand(op.Unsqueeze(elements, [1]), rows), [-1, 1])


@script(DOMAIN, default_opset=op)
def shifted_target(sums: Tensor, elements: Tensor) -> Tensor:
    """See :func:`.correlations.shifted_grams`."""
    return sums / shifted_scale(sums, elements)


@script(DOMAIN, default_opset=op)
def shifted_finish(
    sums: Tensor, target: Tensor, weight: Tensor, elements: Tensor
) -> tuple[Tensor, Tensor]:
    """See :func:`.correlations.shifted_gram_loss`."""
    scale = shifted_scale(sums, elements)
    loss, slope = squared_error(sums / scale, target, weight)
    return loss, slope / scale


@script(DOMAIN, default_opset=op)
def apart(activation: Tensor, slope: Tensor, axis: int, shift: int) -> Tensor:
    """:func:`.correlations.pulled_apart` of a slope that is already divided by the whole's P."""
    along, reach = op.Reshape(axis, [1]), op.Reshape(shift, [1])
    later = op.Slice(activation, reach, [2147483647], along)
    pairs = op.Cast(op.ReduceProd(op.Shape(later, start=1)), to=FLOAT.dtype)
    return pulled_apart(activation, slope * pairs, axis=axis, shift=shift)


@script(DOMAIN, default_opset=op)
def shifted_pull(activation: Tensor, slope: Tensor, shift: int = 1) -> Tensor:
    """dL/dF, down and to the right."""
    down, right = op.Split(slope, axis=1, num_outputs=2)
    of_down = apart(activation, down, axis=2, shift=shift)
    return of_down + apart(activation, right, axis=3, shift=shift)
