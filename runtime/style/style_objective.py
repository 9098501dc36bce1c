"""The objective of a style transfer: the terms of its options, and their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.bundles.manifest import Layer
from nstbatch.runtime.checks import Error
from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.objectives.style_losses import STYLE_LOSSES
from nstbatch.runtime.objectives.terms import (
    Objective,
    content,
    scaled_content,
    total_variation,
)

from .style_transfer_options import StyleTransferOptions, Weighting

CONTENT: Mapping[Error, Callable[[str], Objective]] = {
    "mse": content,
    "scaled-mse": scaled_content,
}
# Weights of the style layers with the scaled error, from shallow to deep. style-transfer-pytorch's
# 256:64:16:4:1 come to these shares once each loss is relative to its target, with VGG16 and three
# paintings: docs/decisions/0030-the-default-picture.md.
BY_DEPTH = (8.0, 16.0, 12.0, 1.6, 0.1)
# style-transfer-pytorch, style_transfer.py: style_weights.
PLAIN_BY_DEPTH = (256.0, 64.0, 16.0, 4.0, 1.0)


def style_objective(bundle: Bundle, options: StyleTransferOptions) -> Objective:
    """Return the weighted terms of the options.

    The style weight is divided among its layers in proportion to their own weights, and the
    content weight evenly, so neither depends on the number of layers.

    Raises:
        UnknownNameError: The options name a layer that the bundle lacks; lists those it has.
        UsageError: No style layer has a weight.
    """
    of_style = options.style_layers or default_weights(
        bundle.style_layers, options.error, options.weighting
    )
    of_content = tuple(dict.fromkeys(options.content_layers or bundle.content_layers))
    total = sum(of_style.values())
    if total == 0:
        raise UsageError("At least one style layer needs a weight above 0.")
    of_layer = STYLE_LOSSES[options.style_loss][options.error]
    objective = Objective()
    for name in of_content:
        share = options.content_weight / len(of_content)
        objective += share * CONTENT[options.error](bundle.layer(name).name)
    for name, weight in of_style.items():
        layer, share = bundle.layer(name), options.style_weight * weight / total
        objective += share * _unit(layer, options) * of_layer(layer.name, layer.stride or 1)
    if options.tv_weight > 0:
        objective += options.tv_weight * total_variation(of_sum=options.tv_reduction == "sum")
    return plain(objective) if options.weighting == "plain" else objective


def plain(objective: Objective) -> Objective:
    """Return an objective whose losses are not relative to their targets."""
    return Objective(
        tuple((weight, replace(term, relative=False)) for weight, term in objective.weighted)
    )


def _unit(layer: Layer, options: StyleTransferOptions) -> float:
    """The factor from our style loss to that which the weight is for.

    style-transfer-pytorch's Gram matrices are not divided by the number of channels, and its scaled
    error grows with them, not with their square.
    """
    is_scaled_gram = options.style_loss == "gram" and options.error == "scaled-mse"
    return layer.channels if options.weighting == "plain" and is_scaled_gram else 1.0


def default_weights(
    layers: tuple[str, ...], error: Error, weighting: Weighting = "relative"
) -> dict[str, float]:
    """Return the weights of a bundle's style layers: equal ones, or those by depth.

    Networks with another number of layers get weights between those of :data:`BY_DEPTH` or
    :data:`PLAIN_BY_DEPTH`, on a logarithmic scale.
    """
    if error == "mse":
        return dict.fromkeys(layers, 1.0)
    known = BY_DEPTH if weighting == "relative" else PLAIN_BY_DEPTH
    depths = np.linspace(0, len(known) - 1, len(layers))
    logarithms = np.interp(depths, range(len(known)), np.log(known))
    return {layer: float(weight) for layer, weight in zip(layers, np.exp(logarithms), strict=True)}
