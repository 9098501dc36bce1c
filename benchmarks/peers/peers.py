"""The baselines: the same networks, weights and objective in plain PyTorch, as is common.

They use autograd and an optimiser of ``torch.optim``, and clamp the pixels after each step. The
network ends at the deepest layer of the objective. Outside the exporter, only this room and
``gpu/peers.py`` import torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nstbatch.benchmarks.options import PEERS
from nstbatch.benchmarks.tasks.matrix_rate import Product
from nstbatch.benchmarks.tasks.tasks import Task, WeightedTerm
from nstbatch.benchmarks.tasks.turns import AbsentError
from nstbatch.exporter.networks import zoo
from nstbatch.exporter.networks.pooling import use_pooling
from nstbatch.exporter.networks.rebuild import rebuild
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.bundles.bundle import Bundle, Preprocessing

from .optimizers import open_optimizer
from .products import torch_products
from .terms import DEGREES, LOSSES, TARGETS


class Peer:
    """A task in PyTorch."""

    def __init__(self, task: Task, name: str, threads: int, device: str) -> None:
        """Build the network and compute the targets.

        Args:
            task: The pictures and the objective.
            name: A key of :data:`nstbatch.benchmarks.options.PEERS`.
            threads: Number of threads.
            device: "cpu" or "cuda".

        Raises:
            AbsentError: PyTorch finds no GPU.
            UnknownNameError: The bundle's network is not one known by name.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise AbsentError("PyTorch finds no GPU, and the others run on one")
        torch.set_num_threads(threads)
        # With TF32, convolutions on a GPU keep 10 bits of the mantissa, which is not fp32.
        torch.backends.cudnn.allow_tf32 = False
        self.precision, self.device = PEERS[name], device
        self._features = _features(task).to(device)
        self._image = torch.tensor(task.images, device=device, requires_grad=True)
        self._terms = task.terms
        self._given = self._make_targets(task)
        self._losses: Callable[[Tensor], Tensor] = self._plain_losses
        if name == "torch-compile":
            self._losses = torch.compile(self._plain_losses, fullgraph=True)
        self._move = open_optimizer(task.optimizer, self._image)
        self._bounds = task.bounds
        self.losses: Array = np.empty((0, len(task.terms)), np.float32)
        """Losses (N, T) of the images before the last step."""

    def step(self) -> None:
        """Take one complete step."""
        self._image.grad = None
        losses = self._losses(self._image)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._move(losses.sum(1))
        with torch.no_grad():
            self._image.clamp_(*self._bounds)
        self.losses = losses.detach().cpu().numpy()
        self._wait()

    @property
    def images(self) -> Array:
        """A copy of the current images."""
        return np.array(self._image.detach().cpu().numpy())

    @property
    def gradient(self) -> Array:
        """A copy of the gradient (N, 3, H, W) of the last step."""
        assert self._image.grad is not None
        return np.array(self._image.grad.cpu().numpy())

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    # --- The objective ------------------------------------------------------------------------

    def _plain_losses(self, image: Tensor) -> Tensor:
        """Weighted losses (N, T) of images (N, 3, H, W)."""
        with self._autocast():
            activations = self._features(image)
        losses = []
        for term in self._terms:
            seen = image if term.layer is None else activations[term.layer].float()
            weight, targets = self._given[term]
            loss = LOSSES[term.kind](seen, *targets, **dict(term.attributes))
            losses.append(weight * loss)
        return torch.stack(losses, dim=1)

    def _autocast(self) -> Any:
        """Half precision for the network only: the objective stays in float32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)

    @torch.no_grad()
    def _make_targets(self, task: Task) -> dict[WeightedTerm, tuple[Tensor, tuple[Tensor, ...]]]:
        """For each term, the weight of its loss and its target, if it has one, in float32."""
        seen = {
            kind: self._features(torch.tensor(pictures, device=self.device))
            for kind, pictures in task.references.items()
        }
        given = {}
        for term in task.terms:
            weight, targets = torch.tensor(term.weight, device=self.device), tuple[Tensor, ...]()
            if term.kind in task.given:
                targets = (torch.tensor(task.given[term.kind], device=self.device),)
            elif term.layer is not None:
                target = TARGETS[term.kind](seen[term.kind][term.layer])
                scale = (target.abs() ** DEGREES[term.kind]).flatten(1).mean(1)
                weight, targets = weight / scale, (target,)
            given[term] = weight, targets
        return given

    def products(self) -> tuple[Product, ...]:
        """Products for its matrix rate."""
        dtype = torch.float32 if self.precision == "fp32" else torch.bfloat16
        return torch_products(dtype, self.device, self._wait)


# --- The network ------------------------------------------------------------------------------


def _features(task: Task) -> nn.Module:
    """Images (N, 3, H, W), RGB in [0, 1] -> activations of the terms' layers, by layer."""
    zoo.models()  # imports torchvision even if its compiled part does not fit torch
    extraction = importlib.import_module("torchvision.models.feature_extraction")
    bundle = Bundle.load(task.model)
    network, paths = rebuild(bundle)
    wanted = {paths[term.layer]: term.layer for term in task.terms if term.layer is not None}
    network = extraction.create_feature_extractor(use_pooling(network, task.pooling), wanted)
    return nn.Sequential(_Normalize(bundle.preprocessing), network)


class _Normalize(nn.Module):
    """The preprocessing of a backbone."""

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.order = ["RGB".index(channel) for channel in preprocessing.channels]
        self.scale = preprocessing.scale
        self.register_buffer("mean", torch.tensor(preprocessing.mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).reshape(3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        channels = image if self.order == [0, 1, 2] else image[:, self.order]
        return (channels * self.scale - self.mean) / self.std
