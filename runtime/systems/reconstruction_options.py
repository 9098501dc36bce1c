"""The options of an image reconstruction and their defaults, for library and commands.

Imports nothing heavy, so the command line can show the defaults without numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nstbatch.runtime.checks import (
    OptimizerName,
    Own,
    Pooling,
    at_least,
    several,
    shared_fields,
    text,
    whole,
)
from nstbatch.runtime.errors import UsageError

# Mahendran & Vedaldi (CVPR 2015), table 3: lambda 1, 2 and 3 of the total variation. In their code,
# deep-goggle, experiment_cnn.m, these are lambdaTV / 2.
TV_SWEEP = (0.5, 5.0, 50.0)

# Weight of the total variation for layers whose receptive field has at least so many pixels. 11, 67
# and 163 are conv1, pool2 and conv5 of AlexNet, where deep-goggle changes from one lambda to the
# next. Its table has no smaller receptive fields, which hardly need a prior: a tenth again, chosen
# for an error of at most 2 % at relu1_1 of VGG16.
TV_BY_RECEPTIVE_FIELD = ((0, 0.05), (11, 0.5), (67, 5.0), (163, 50.0))

# deep-goggle, experiment_cnn.m: lambdaL2 / 2, for every layer. nnpreimage weighs both priors
# together against the distance, so here it falls with the total variation, in proportion to its
# largest weight. Unreduced, it makes the red of a cup pale at relu1_1 of VGG16, an error of 8 %.
ALPHA_WEIGHT = 4e-10

# Step size of Adam: a picture changes much on its way from noise, and the last steps settle it.
# Chosen by the loss at AlexNet's relu5 after 120 steps:
# docs/decisions/0010-two-ways-to-reconstruct.md.
ADAM_RATE = 0.05

# nnpreimage, get_preimage_opts.m: shifts over a quarter of the layer's stride, an eighth each way.
JITTER_OF_STRIDE = 1 / 8
# Stride of layers without positions: the largest one here. A guess.
WIDEST_STRIDE = 32


@dataclass(frozen=True)
class ReconstructionOptions:
    """Options of an image reconstruction.

    Attributes:
        layers: Names and patterns such as "relu*", or "all"; None for the last of every stage.
        size: Long side of the image, in pixels; "own" for that of the original.
        max_size: Upper bound of the long side, with which no image is enlarged either; None for
            no bound.
        iterations: Optimiser steps for each layer.
        optimizer: "adam" or "lbfgs"; None for Adam with jitter, and L-BFGS without.
        learning_rate: Step size of the optimiser; None for 0.05 with Adam, and 1 with L-BFGS.
        tv_weights: Weights of the total variation, in the units of the paper; every layer is
            reconstructed with each of them. None chooses one by the layer's receptive field.
        tv_beta: The exponent of TV^beta.
        alpha_weight: Weight of the alpha-norm, in the units of the paper; None for the published
            one, or if ``tv_weights`` is None for a part of it, by the receptive field.
        alpha: The exponent of the alpha-norm.
        jitter: Largest random shift of the image in a step, in pixels either way; None for an
            eighth of the layer's stride, or 0 with L-BFGS.
        seed: Random seed for the initial noise and the jitter.
        pooling: Pooling variant of the network, "avg" or "max".

    Raises:
        UsageError: For a value of another type or out of range, naming the option.
    """

    layers: tuple[str, ...] | None = None
    size: int | Own = 224  # the networks' training size
    max_size: int | None = None
    iterations: int = 350  # nnpreimage, get_defaults.m
    optimizer: OptimizerName | None = None  # docs/decisions/0010-two-ways-to-reconstruct.md
    learning_rate: float | None = None
    tv_weights: tuple[float, ...] | None = None
    tv_beta: float = 2.0  # deep-goggle, experiment_cnn.m: opts.TVbeta
    alpha_weight: float | None = None
    alpha: float = 6.0  # deep-goggle: opts.beta
    jitter: int | None = None
    seed: int = 0
    pooling: Pooling = "max"  # as the networks were trained

    def __post_init__(self) -> None:
        shared_fields(self)
        for name, lowest in (("tv_beta", 1), ("alpha", 2)):
            at_least(name, getattr(self, name), lowest)
        if self.layers is not None:
            several("layers", self.layers, "layer names and patterns")
            for layer in self.layers:
                text("layer in layers", layer)
        if self.tv_weights is not None:
            several("tv_weights", self.tv_weights, "numbers")
            for weight in self.tv_weights:
                at_least("tv_weight", weight, 0)
        if any(given is not None and not given for given in (self.tv_weights, self.layers)):
            raise UsageError("At least one layer and one tv_weight are needed, or None.")
        if self.jitter is not None:
            whole("jitter", self.jitter, 0)
        if self.alpha_weight is not None:
            at_least("alpha_weight", self.alpha_weight, 0)
        if self.jitter and self.optimizer == "lbfgs":
            raise UsageError(
                "L-BFGS would mistake the jitter for curvature; "
                "use the optimizer 'adam' with it, or a jitter of 0."
            )

    def tv_weights_of(self, receptive_field: int | None) -> tuple[float, ...]:
        """Return the weights of the total variation for a receptive field; None sees all pixels."""
        if self.tv_weights is not None:
            return self.tv_weights
        seen = math.inf if receptive_field is None else receptive_field
        return (max(weight for field, weight in TV_BY_RECEPTIVE_FIELD if field <= seen),)

    def alpha_weight_of(self, tv_weight: float) -> float:
        """Return the weight of the alpha-norm for a weight of the total variation."""
        if self.alpha_weight is not None:
            return self.alpha_weight
        return ALPHA_WEIGHT * (1 if self.tv_weights else tv_weight / TV_SWEEP[-1])

    def jitter_of(self, stride: int | None) -> int:
        """Return the jitter for a stride, in pixels either way; a None stride has no positions."""
        if self.jitter is not None:
            return self.jitter
        return 0 if self.optimizer == "lbfgs" else int((stride or WIDEST_STRIDE) * JITTER_OF_STRIDE)

    def optimizer_of(self, stride: int | None) -> OptimizerName:
        """Return the name of the optimiser for a layer of this stride."""
        return self.optimizer or ("adam" if self.jitter_of(stride) else "lbfgs")

    def learning_rate_of(self, optimizer: OptimizerName) -> float | None:
        """Return the step size of an optimiser; None for its default."""
        if self.learning_rate is not None:
            return self.learning_rate
        return ADAM_RATE if optimizer == "adam" else None
