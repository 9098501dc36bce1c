"""Any other network, as a backbone: a module that the user's own code makes."""

from __future__ import annotations

import copy
import fnmatch
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from nstbatch.runtime.bundles.bundle import Preprocessing
from nstbatch.runtime.errors import BundleError, UnknownNameError, UsageError

from . import zoo
from .backbones import IMAGENET, Backbone
from .layers import activations

# The size that networks for ImageNet are made for: large enough for the pools of any of them.
PROBE_SIZE = 224


def custom(spec: str, patterns: Sequence[str] = ("*",)) -> Backbone:
    """A backbone from ``package.module:factory`` or ``file.py:factory``.

    The factory is called without arguments and gives a module: image (N, 3, H, W), preprocessed,
    of any size -> anything. It brings its weights. Images are normalised with ImageNet's mean and
    std before it, unless the module has an attribute ``preprocessing``, a mapping such as
    ``{"channels": "BGR", "scale": 255, "mean": [104, 117, 123], "std": [1, 1, 1]}``, for
    ``(image * scale - mean) / std``.

    Args:
        spec: where the factory is. Files and modules are imported, so they are code that runs.
        patterns: globs over the dotted names of the submodules, in which ``*`` also matches dots.
            The outputs of the submodules that match are the layers. Matches that are no layer
            (no (N, C, H, W) or (N, C), or the same tensor as another one's) are left out.

    Raises:
        UsageError: there is no such file or module, it fails, it makes no ``nn.Module``, or what
            is asked for by its full name is no layer.
        UnknownNameError: the module has no such factory, or a pattern matches no submodule.
    """
    place, _, attribute = spec.rpartition(":")
    if not place or not attribute:
        raise UsageError(f"{spec!r} should be package.module:factory or file.py:factory.")
    network = zoo.prepared(_call(_factory(place, attribute), spec))
    outputs = _chosen(network, patterns)
    positions = [name for name, output in outputs.items() if output.shape[2:].numel() > 1]
    return Backbone(
        name=re.sub(r"\W+", "_", Path(place).stem if _is_file(place) else attribute),
        architecture=f"{Path(place).name}:{attribute}" if _is_file(place) else spec,
        build=partial(copy.deepcopy, network),
        layers={name: name for name in outputs},
        preprocessing=_preprocessing(network),
        style_layers=spread(positions, 5),
        # Gatys' relu4_2 is two thirds into VGG-19.
        content_layers=tuple(positions[round((len(positions) - 1) * 2 / 3) :][:1]),
    )


def spread(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Up to ``count`` of the names, evenly from the first to the last."""
    if len(names) <= count:
        return tuple(names)
    return tuple(names[round(i * (len(names) - 1) / (count - 1))] for i in range(count))


# --- The factory ------------------------------------------------------------------------------


def _factory(place: str, attribute: str) -> Callable[[], object]:
    module = _import(place)
    factory = getattr(module, attribute, None)
    if factory is None:
        known = [name for name, value in vars(module).items() if callable(value)]
        raise UnknownNameError(f"factory in {place}", attribute, known)
    if not callable(factory):
        raise UsageError(f"{attribute!r} in {place} is {type(factory).__name__}, not a factory.")
    return partial(_itself, factory) if isinstance(factory, nn.Module) else factory


def _itself(module: nn.Module) -> nn.Module:
    return module


def _call(factory: Callable[[], object], spec: str) -> nn.Module:
    try:
        network = factory()
    except Exception as error:  # the user's code: anything can happen inside
        raise UsageError(f"{spec} fails: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{spec} gives {type(network).__name__}; expected a torch.nn.Module.")
    return network


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _import(place: str) -> ModuleType:
    load = _import_file if _is_file(place) else importlib.import_module
    try:
        try:
            return load(place)
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            zoo.models()  # a torchvision that does not fit this torch; see there
            return load(place)
    except UsageError:
        raise
    except Exception as error:  # the user's code: anything can happen inside
        raise UsageError(f"Cannot import {place}: {type(error).__name__}: {error}") from error


def _import_file(place: str) -> ModuleType:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"There is no file {place}.")
    # Dataclasses and pickles look their module up, so it needs a name; one that is nobody else's.
    name = f"_nstbatch_custom_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _preprocessing(network: nn.Module) -> Preprocessing:
    own = getattr(network, "preprocessing", IMAGENET)
    if isinstance(own, Preprocessing):
        return own
    try:
        return Preprocessing.parse(own)
    except BundleError as error:
        raise UsageError(f"The module's own preprocessing is wrong: {error}") from error


# --- Its layers -------------------------------------------------------------------------------


def _chosen(network: nn.Module, patterns: Sequence[str]) -> dict[str, Tensor]:
    """The outputs of the submodules that the patterns choose, in the order of execution."""
    names = [name for name, _ in network.named_modules() if name]
    matches = {pattern: fnmatch.filter(names, pattern) for pattern in patterns}
    for pattern, matched in matches.items():
        if not matched:
            raise UnknownNameError("layer", pattern, names)
    wanted = {name for matched in matches.values() for name in matched}
    outputs = activations(network, wanted, torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE))
    layers = {name: output for name, output in outputs.items() if output.ndim in (2, 4)}
    for name in wanted.intersection(patterns):
        if name not in layers:
            raise UsageError(
                f"{name!r} is no layer: it does not run, gives no activation (N, C, H, W) or "
                "(N, C), or is overwritten in place."
            )
    if not layers:
        raise UsageError(f"None of the submodules that match {', '.join(patterns)} is a layer.")
    return _without_repeats(layers, patterns)


def _without_repeats(layers: Mapping[str, Tensor], named: Sequence[str]) -> dict[str, Tensor]:
    """Of several names for one tensor, as a container and its last child have, the first."""
    kept: dict[str, Tensor] = {}
    for name, output in layers.items():
        if name in named or all(output is not other for other in kept.values()):
            kept[name] = output
    return kept
