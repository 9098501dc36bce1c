"""The objective of a style transfer: the terms of its options, and their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.objectives.terms import (
    Objective,
    content,
    scaled_content,
    scaled_style,
    style,
    total_variation,
)

from .style_transfer_options import Error, StyleTransferOptions

CONTENT: Mapping[Error, Callable[[str], Objective]] = {
    "mse": content,
    "scaled-mse": scaled_content,
}
STYLE: Mapping[Error, Callable[[str], Objective]] = {"mse": style, "scaled-mse": scaled_style}

# Weights of the style layers with the scaled error, from shallow to deep. style-transfer-pytorch's
# 256:64:16:4:1 come to these shares once each loss is relative to its target, with VGG16 and three
# paintings: docs/decisions/0030-the-default-picture.md.
BY_DEPTH = (8.0, 16.0, 12.0, 1.6, 0.1)


def style_objective(bundle: Bundle, options: StyleTransferOptions) -> Objective:
    """Return the weighted terms of the options.

    The style weight is divided among its layers in proportion to their own weights, and the
    content weight evenly, so neither depends on the number of layers.

    Raises:
        UnknownNameError: The options name a layer that the bundle lacks; lists those it has.
        UsageError: No style layer has a weight.
    """
    of_style = options.style_layers or default_weights(bundle.style_layers, options.error)
    of_content = tuple(dict.fromkeys(options.content_layers or bundle.content_layers))
    total = sum(of_style.values())
    if total == 0:
        raise UsageError("At least one style layer needs a weight above 0.")
    objective = Objective()
    for layer in of_content:
        share = options.content_weight / len(of_content)
        objective += share * CONTENT[options.error](bundle.layer(layer).name)
    for layer, weight in of_style.items():
        share = options.style_weight * weight / total
        objective += share * STYLE[options.error](bundle.layer(layer).name)
    if options.tv_weight > 0:
        objective += options.tv_weight * total_variation()
    return objective


def default_weights(layers: tuple[str, ...], error: Error) -> dict[str, float]:
    """Return the weights of a bundle's style layers: equal ones, or those by depth.

    Networks with another number of layers get weights between those of :data:`BY_DEPTH`, on a
    logarithmic scale.
    """
    if error == "mse":
        return dict.fromkeys(layers, 1.0)
    depths = np.linspace(0, len(BY_DEPTH) - 1, len(layers))
    logarithms = np.interp(depths, range(len(BY_DEPTH)), np.log(BY_DEPTH))
    return {layer: float(weight) for layer, weight in zip(layers, np.exp(logarithms), strict=True)}
