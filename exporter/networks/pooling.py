"""Swaps max pooling for average pooling, or back; the weights stay the same.

Gatys, Ecker and Bethge (2016, section 2) found that average pooling gives "slightly more appealing
results"; deconvnets need max pooling, because they follow its switches.
"""

from __future__ import annotations

import copy

from torch import nn

from nstbatch.runtime.checks import Pooling
from nstbatch.runtime.errors import UsageError


def use_pooling(network: nn.Module, pooling: Pooling) -> nn.Module:
    """A copy of the network whose pooling modules are all average or all max pooling.

    Windows, strides and paddings stay. Averages leave the padding out, as maxima do, and do not
    count it as zeros. Global and adaptive pooling stays, as does pooling that a ``forward`` does
    without a module.

    Raises:
        UsageError: A max pooling has dilation or returns its indices: it has no average.
    """
    swapped = copy.deepcopy(network)
    # A network may hold one pooling module under several names.
    for path, module in list(swapped.named_modules(remove_duplicate=False)):
        replacement = _swapped(module, pooling)
        if replacement is not module:
            swapped.set_submodule(path, replacement)
    return swapped


def _swapped(module: nn.Module, pooling: Pooling) -> nn.Module:
    if pooling == "avg" and isinstance(module, nn.MaxPool2d):
        return _average(module)
    if pooling == "max" and isinstance(module, nn.AvgPool2d):
        return nn.MaxPool2d(
            module.kernel_size, module.stride, module.padding, ceil_mode=module.ceil_mode
        )
    return module


def _average(module: nn.MaxPool2d) -> nn.AvgPool2d:
    if module.dilation not in (1, (1, 1)) or module.return_indices:
        raise UsageError(f"There is no average pooling for {module}; export it with max pooling.")
    return nn.AvgPool2d(
        module.kernel_size,
        module.stride,
        module.padding,
        ceil_mode=module.ceil_mode,
        count_include_pad=False,
    )
