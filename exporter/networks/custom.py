"""Makes a backbone from any other network: a module that the user's own code returns."""

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
from nstbatch.runtime.user_folders import expanded

from . import zoo
from .backbones import IMAGENET, Backbone
from .layers import activations

# Side of the images that networks for ImageNet are made for: large enough for all their poolings.
PROBE_SIZE = 224


def custom(spec: str, patterns: Sequence[str] = ("*",)) -> Backbone:
    """A backbone from ``package.module:factory`` or ``file.py:factory``.

    The factory takes no arguments and returns a module with its weights: image (N, 3, H, W),
    preprocessed, of any size -> anything. Images are normalised with ImageNet's mean and std
    unless the module has an attribute ``preprocessing``, a mapping such as
    ``{"channels": "BGR", "scale": 255, "mean": [104, 117, 123], "std": [1, 1, 1]}``, for
    ``(image * scale - mean) / std``.

    Args:
        spec: The place of the factory. The file or module is imported, so its code runs.
        patterns: Globs over the dotted names of the submodules; ``*`` also matches dots. The
            outputs of the matching submodules are the layers. Left out are outputs that are not
            (N, C, H, W) or (N, C), and a tensor that another layer has already.

    Raises:
        UsageError: The file or module does not exist or fails, the factory returns no
            ``nn.Module``, or a submodule given by its full name is no layer.
        UnknownNameError: The module has no such factory, or a pattern matches no submodule.
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
    """Up to ``count`` of the names, evenly spaced from the first to the last."""
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
    except Exception as error:  # the user's code may raise anything
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
            zoo.models()  # makes a torchvision importable that does not fit this torch
            return load(place)
    except UsageError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise UsageError(f"Cannot import {place}: {type(error).__name__}: {error}") from error


def _import_file(place: str) -> ModuleType:
    path = (expanded(place) or Path(place)).resolve()
    if not path.is_file():
        raise UsageError(f"There is no file {place}.")
    # Dataclasses and pickles look up their module by name, so it needs one that nothing else has.
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
    """The outputs of the submodules that match the patterns, in the order of execution."""
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
    """Keep the first of several names for one tensor, such as a container's and its last part's."""
    kept: dict[str, Tensor] = {}
    for name, output in layers.items():
        if name in named or all(output is not other for other in kept.values()):
            kept[name] = output
    return kept
