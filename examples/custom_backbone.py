"""Your own network, here a small one with random filters, which are enough for textures.

    nstbatch export examples/custom_backbone.py:build
    nstbatch stylize photos/ --style painting.jpg --model custom_backbone

Replace `build` with a function that makes and loads your network. It takes no arguments and returns
a `torch.nn.Module` that

* takes images (N, 3, H, W) of any size, normalised as in its attribute ``preprocessing``, or with
  ImageNet's mean and standard deviation if it has none;
* has its weights, which are frozen and stored as float16;
* pools in modules, `nn.MaxPool2d` or `nn.AvgPool2d`, so that it can be exported with either.

The module's own output does not matter. Layers are the outputs of its submodules, by their dotted
names; ``--layers 'relu*'`` selects some of them.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

# Filters in each stage, and their side. Each stage sees the picture at half the size of the one
# before. The numbers are guesses.
WIDTHS = (32, 64, 128, 256)
SIZE = 5


def build() -> nn.Module:
    """A convolution, a ReLU and a pooling in each stage, with the same random filters each time.

    Random filters describe textures well (Ustyuzhaninov et al. 2017, "What does it take to generate
    natural textures?"), and pictures too if there are several stages (He et al. 2016, "A
    powerful generative model using random weights for the deep image representation").
    """
    torch.manual_seed(0)
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for stage, filters in enumerate(WIDTHS, start=1):
        if stage > 1:
            stages[f"pool{stage - 1}"] = nn.MaxPool2d(2)
        stages[f"relu{stage}"] = FilterBank(inputs, filters)
        inputs = filters
    return nn.Sequential(stages)


class FilterBank(nn.Conv2d):
    """A convolution and its ReLU in one module, which makes them one layer."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__(inputs, filters, SIZE, padding=SIZE // 2)
        with torch.no_grad():
            self.weight.copy_(random_filters(filters, inputs))
            self.bias.zero_()

    def forward(self, image: Tensor) -> Tensor:
        """Positive responses (N, filters, H, W) of the filters to an image (N, inputs, H, W)."""
        return torch.relu(super().forward(image))


def random_filters(filters: int, inputs: int) -> Tensor:
    """Noise that fades towards the edge, as filters (filters, inputs, SIZE, SIZE) without grain.

    Filters on the responses of other filters ignore the mean of these.
    """
    distance = torch.arange(SIZE) - SIZE // 2
    fade = torch.exp(-(distance**2) / 3)
    noise = torch.randn(filters, inputs, SIZE, SIZE) * fade[:, None] * fade
    if inputs > 3:
        noise -= noise.mean((1, 2, 3), keepdim=True)
    return nn.functional.normalize(noise.flatten(1)).view_as(noise) * 2**0.5  # a ReLU halves energy
